"""Answers that are kept for a while: how old they are, who shares them, and what is forgotten."""

import asyncio

import pytest

from application.single_flight_cache import SingleFlightCache

pytestmark = pytest.mark.anyio

SECONDS = 10.0


class Neighbour:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.time = 0.0
        self.asked: list[tuple[str, asyncio.Future[str]]] = []
        self.has_been_asked = asyncio.Event()

    def now(self) -> float:
        return self.time

    async def ask(self, key: str) -> str:
        answer = asyncio.Future[str]()
        self.asked.append((key, answer))
        self.has_been_asked.set()
        return await answer

    async def is_asked(self, times: int) -> asyncio.Future[str]:
        """The answer that is owed to whoever asked last, once it was asked so often."""
        while len(self.asked) < times:
            self.has_been_asked.clear()
            await self.has_been_asked.wait()
        assert len(self.asked) == times
        return self.asked[-1][1]


@pytest.fixture
async def neighbour() -> Neighbour:
    return Neighbour()


@pytest.fixture
async def kept(neighbour: Neighbour) -> SingleFlightCache[str, str]:
    return SingleFlightCache(neighbour.ask, seconds=SECONDS, most=2, now=neighbour.now)


async def asking(kept: SingleFlightCache[str, str], key: str = "a") -> asyncio.Task[str]:
    """Somebody who waits for an answer by now."""
    task = asyncio.create_task(kept.get(key))
    await asyncio.sleep(0)
    return task


async def answered(kept: SingleFlightCache[str, str], neighbour: Neighbour, key: str, answer: str) -> None:
    """An answer is at hand."""
    waiting = await asking(kept, key)
    (await neighbour.is_asked(len(neighbour.asked) + 1)).set_result(answer)
    assert await waiting == answer


async def test_an_answer_is_as_old_as_its_asking(
    kept: SingleFlightCache[str, str], neighbour: Neighbour
) -> None:
    first = await asking(kept)
    answer = await neighbour.is_asked(1)
    neighbour.time = SECONDS
    answer.set_result("one")
    assert await first == "one"
    assert (await kept.get("a"), kept.at_hand("a")) == ("one", "one")
    neighbour.time += 0.1
    assert kept.at_hand("a") is None
    second = await asking(kept)
    (await neighbour.is_asked(2)).set_result("two")
    assert await second == "two"


async def test_who_asks_at_once_shares_one_answer(
    kept: SingleFlightCache[str, str], neighbour: Neighbour
) -> None:
    waiting = [await asking(kept) for _ in range(50)]
    (await neighbour.is_asked(1)).set_result("one")
    assert await asyncio.gather(*waiting) == ["one"] * 50
    assert len(neighbour.asked) == 1


async def test_one_key_does_not_wait_for_another(
    kept: SingleFlightCache[str, str], neighbour: Neighbour
) -> None:
    slow = await asking(kept, "slow")
    await neighbour.is_asked(1)
    await answered(kept, neighbour, "b", "two")
    assert not slow.done()
    slow.cancel()


async def test_who_gives_up_fails_nobody_else(
    kept: SingleFlightCache[str, str], neighbour: Neighbour
) -> None:
    first, second = await asking(kept), await asking(kept)
    answer = await neighbour.is_asked(1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    answer.set_result("one")
    assert await second == "one"


async def test_what_all_gave_up_is_at_hand_for_the_next(
    kept: SingleFlightCache[str, str], neighbour: Neighbour
) -> None:
    only = await asking(kept)
    answer = await neighbour.is_asked(1)
    only.cancel()
    with pytest.raises(asyncio.CancelledError):
        await only
    answer.set_result("one")
    assert await kept.get("a") == "one"


async def test_what_was_on_its_way_when_it_was_forgotten_is_not_kept(
    kept: SingleFlightCache[str, str], neighbour: Neighbour
) -> None:
    before = await asking(kept)
    old = await neighbour.is_asked(1)
    kept.forget("a")
    after = await asking(kept)
    new = await neighbour.is_asked(2)
    new.set_result("new")
    assert await after == "new"
    old.set_result("old")
    assert await before == "old"
    assert await kept.get("a") == "new"


async def test_what_is_at_hand_is_forgotten(kept: SingleFlightCache[str, str], neighbour: Neighbour) -> None:
    await answered(kept, neighbour, "a", "one")
    kept.forget("a")
    assert kept.at_hand("a") is None
    await answered(kept, neighbour, "a", "two")


async def test_who_comes_too_late_for_an_asking_waits_for_its_end_and_asks_anew(
    kept: SingleFlightCache[str, str], neighbour: Neighbour
) -> None:
    first = await asking(kept)
    old = await neighbour.is_asked(1)
    neighbour.time = SECONDS + 1
    late = [await asking(kept) for _ in range(2)]
    assert len(neighbour.asked) == 1, "a key is asked for once at a time"
    old.set_result("old")
    assert await first == "old"
    (await neighbour.is_asked(2)).set_result("new")
    assert await asyncio.gather(*late) == ["new", "new"]


async def test_an_error_is_for_all_who_wait_and_is_not_kept(
    kept: SingleFlightCache[str, str], neighbour: Neighbour
) -> None:
    waiting = [await asking(kept) for _ in range(2)]
    (await neighbour.is_asked(1)).set_exception(OSError("away"))
    for each in waiting:
        with pytest.raises(OSError, match="away"):
            await each
    await answered(kept, neighbour, "a", "back")


async def test_only_so_many_are_kept_and_those_of_no_use_give_way(
    kept: SingleFlightCache[str, str], neighbour: Neighbour
) -> None:
    for key in ("a", "b"):
        await answered(kept, neighbour, key, key)
    assert await kept.get("a") == "a"
    await answered(kept, neighbour, "c", "c")
    assert [kept.at_hand(key) for key in "abc"] == ["a", None, "c"]


async def test_what_is_kept_for_no_time_at_all_is_asked_for_each_time(neighbour: Neighbour) -> None:
    kept = SingleFlightCache(neighbour.ask, seconds=0.0, most=2)
    await answered(kept, neighbour, "a", "one")
    await answered(kept, neighbour, "a", "two")
