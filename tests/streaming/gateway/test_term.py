"""The end of a call is announced, comes when it was announced, and cuts nobody off."""

import pytest

from streaming.gateway.access import Access, Account
from streaming.gateway.term import GRACE_S, Term
from streaming.keys import read_keys
from streaming.tdm.clock import ManualClock


def account_of(clock: ManualClock, *keys: str) -> Account:
    caller = Access(read_keys(keys), clock).identify(key.partition(":")[0] for key in keys)
    assert caller is not None
    return caller.account


@pytest.mark.parametrize(
    ("most_s", "announced"), [(300.0, [(240, 60), (290, 10)]), (45.0, [(0, 45), (35, 10)]), (5.0, [(0, 5)])]
)
async def test_each_warning_comes_once_and_in_time(most_s: float, announced: list[tuple[int, int]]) -> None:
    clock = ManualClock()
    term = Term(clock, most_s, account_of(clock).enter())
    heard = []
    for second in range(round(most_s) + 5):
        if warning := term.warning():
            heard.append((second, round(warning.left_s)))
            assert str(round(warning.left_s)) in warning.message
        await clock.advance(1)
    assert heard == announced


async def test_whoever_is_speaking_may_end_their_sentence_but_not_go_on_for_ever() -> None:
    clock = ManualClock()
    term = Term(clock, 100, account_of(clock).enter())
    await clock.advance(99.9)
    assert term.over(quiet=True) is None
    await clock.advance(0.1)
    assert term.over(quiet=False) is None
    closed = term.over(quiet=True)
    assert closed is not None
    assert closed.reason == "expired"
    await clock.advance(GRACE_S)
    assert term.over(quiet=False) == closed


async def test_the_minutes_of_a_key_end_a_call_before_the_server_does() -> None:
    clock = ManualClock()
    account = account_of(clock, "a:minutes=2")
    earlier = account.enter()
    await clock.advance(60)
    earlier.leave()
    term = Term(clock, 3600, account.enter())
    assert term.left_s == 60
    warning = term.warning()
    assert warning is not None
    assert "minutes" in warning.message
    await clock.advance(60)
    closed = term.over(quiet=True)
    assert closed is not None
    assert closed.reason == "quota"
    assert closed.retry_s
