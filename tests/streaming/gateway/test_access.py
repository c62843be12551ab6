"""What each key may use, what it has used, and that nothing of it counts for another."""

from datetime import datetime, timedelta

import pytest

from streaming.gateway.access import Access, Caller
from streaming.keys import read_keys
from streaming.tdm.clock import ManualClock

NOON = datetime(2026, 11, 22, 12)


class Day:
    """A wall clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def day() -> Day:
    return Day()


def known(access: Access, *shown: str) -> Caller:
    caller = access.identify(shown)
    assert caller is not None
    return caller


def test_only_known_keys_open_and_each_its_own_account(clock: ManualClock) -> None:
    access = Access(read_keys(("first", "second:name=ann")), clock)
    assert known(access, "second").account.name == "ann"
    assert known(access, "wrong", "first").account.name == "key1"
    assert known(access, "first").account is known(access, "first").account
    for shown in ((), ("",), ("firs",), ("firstx",), ("\udcff",), ("key1",), ("ek_none",)):
        assert access.identify(shown) is None


def test_without_keys_everybody_is_let_in_but_not_with_a_secret_that_is_over(clock: ManualClock) -> None:
    access = Access((), clock)
    assert known(access).account is known(access, "anything").account
    assert known(access).account.name is None
    assert access.identify(("ek_none",)) is None


def test_calls_at_the_same_time_are_limited_for_each_key_alone(clock: ManualClock) -> None:
    access = Access(read_keys(("a:sessions=2", "b:sessions=1")), clock)
    a, b = known(access, "a").account, known(access, "b").account
    visits = [a.enter(), a.enter()]
    assert a.refusal is not None
    assert a.refusal.reason == "busy"
    assert a.refusal.retry_s
    assert b.refusal is None
    visits[0].leave()
    visits[0].leave()  # twice is once
    assert a.refusal is None
    a.enter()
    assert a.refusal is not None


async def test_minutes_are_used_up_by_all_calls_together_and_return_at_midnight(clock: ManualClock, day: Day) -> None:
    account = known(Access(read_keys(("a:minutes=10",)), clock, day), "a").account
    first, second = account.enter(), account.enter()
    await clock.advance(120)
    assert account.left_s == 360
    second.leave()
    await clock.advance(360)
    assert account.left_s == 0
    refusal = account.refusal
    assert refusal is not None
    assert refusal.reason == "quota"
    assert refusal.retry_s == 12 * 3600
    assert "10 minutes" in refusal.message
    day.now = NOON + timedelta(hours=12)
    assert account.refusal is None
    assert account.left_s == 600
    await clock.advance(60)
    assert account.left_s == 540  # what lasts over midnight counts from then on
    first.leave()
    await clock.advance(60)
    assert account.left_s == 540


async def test_what_follows_midnight_counts_though_nobody_looked_meanwhile(clock: ManualClock, day: Day) -> None:
    account = known(Access(read_keys(("a:minutes=10",)), clock, day), "a").account
    account.use(600)
    day.now = NOON + timedelta(hours=12)
    account.use(60)
    assert account.left_s == 540


def test_a_secret_stands_for_its_key_and_for_no_other(clock: ManualClock) -> None:
    access = Access(read_keys(("a:sessions=1", "b")), clock)
    a, b = known(access, "a"), known(access, "b")
    value = a.account.secrets.make({"instructions": "of a"}, 60)
    caller = known(access, value)
    assert caller.account is a.account
    assert caller.secret is not None
    assert caller.secret.session == {"instructions": "of a"}
    other = known(access, a.account.secrets.make({}, 60))
    by_key, by_secret = a.enter(), caller.enter()
    assert a.account.refusal is not None
    assert a.owns(by_key)
    assert a.owns(by_secret)
    assert caller.owns(by_secret)
    assert known(access, value).owns(by_secret)
    assert not caller.owns(by_key)
    assert not other.owns(by_secret)
    assert not b.owns(by_secret)
