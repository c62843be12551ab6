"""Keys as the configuration writes them."""

import pytest

from streaming.config import Config, ConfigError
from streaming.keys import Key, read_keys


def test_a_key_alone_has_no_limits_and_is_named_by_its_place() -> None:
    assert read_keys(("a", "b:name=ann")) == (Key("a", "key1"), Key("b", "ann"))


def test_limits_come_in_any_order() -> None:
    assert read_keys(("a:minutes=1.5:sessions=2", "b:sessions=3:name=ann")) == (
        Key("a", "key1", 2, 1.5),
        Key("b", "ann", 3),
    )


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ((":sessions=1",), "empty"),
        (("ek_sekret",), "ek_"),
        (("sekret:oops",), "name=…"),
        (("sekret:minuts=3",), "name=…"),
        (("sekret:sessions=1:sessions=2",), "once"),
        (("sekret:sessions=0",), "1 or more"),
        (("sekret:sessions=two",), "1 or more"),
        (("sekret:minutes=0",), "above 0"),
        (("sekret:minutes=nan",), "above 0"),
        (("sekret:minutes=1e9",), "1440"),
        (("sekret:name=a b",), "name of key 1"),
        (("sekret", "sekret:sessions=1"), "same value"),
        (("sekret:name=key2", "other"), "same name"),
    ],
)
def test_what_is_wrong_is_said_without_showing_the_key(texts: tuple[str, ...], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as wrong:
        Config(api_keys=texts)
    assert "sekret" not in str(wrong.value)


def test_a_key_is_not_shown_when_it_is_printed() -> None:
    assert "sekret" not in repr(read_keys(("sekret:sessions=1",)))


def test_what_a_key_makes_stays_its_own_when_keys_are_added_before_it() -> None:
    alone = read_keys(("sekret", "b:name=ann"))
    later = read_keys(("first", "second:name=ben", "sekret:sessions=1", "changed:name=ann"))
    assert alone[0].owner == later[2].owner
    assert alone[1].owner == later[3].owner == "ann"
    assert len({key.owner for key in later}) == 4


def test_what_a_key_makes_does_not_show_the_key_and_cannot_be_given_by_a_name() -> None:
    (key,) = read_keys(("sekret",))
    assert key.owner is not None
    assert "sekret" not in key.owner
    with pytest.raises(ValueError, match="letters"):
        read_keys((f"other:name={key.owner}",))


def test_the_key_of_whoever_runs_the_server_owns_what_was_made_without_keys() -> None:
    assert read_keys(("sekret:name=host",))[0].owner is None
