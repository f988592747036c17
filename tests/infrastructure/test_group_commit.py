"""Threads that commit together: each has its own answer, and nobody waits for ever."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from infrastructure.postgres import group_commit
from infrastructure.postgres.group_commit import GroupCommit


class Disk:
    """Answers tenfold, holds its first call until told, and remembers what came together."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.first_is_under_way = threading.Event()
        self.go_on = threading.Event()
        self.answer: Callable[[int], int | Exception] = lambda given: given * 10

    def commit(self, given: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(given))
        if len(self.batches) == 1:
            self.first_is_under_way.set()
            assert self.go_on.wait(5)
        return [self.answer(each) for each in given]


def commit_while_one_is_under_way(disk: Disk, numbers: Sequence[int]) -> list[int | Exception]:
    """What became of 0, which is under way alone, and of the numbers that came meanwhile, in their order."""
    commit = GroupCommit(disk.commit)

    def outcome(number: int) -> int | Exception:
        try:
            return commit(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(numbers) + 1) as threads:
        first = threads.submit(outcome, 0)
        assert disk.first_is_under_way.wait(5)
        others = []
        for number in numbers:
            others.append(threads.submit(outcome, number))
            while len(commit._waiting) < len(others):
                time.sleep(0.001)
        disk.go_on.set()
        return [each.result(5) for each in (first, *others)]


def test_who_comes_alone_is_served_at_once() -> None:
    disk = Disk()
    disk.go_on.set()
    commit = GroupCommit(disk.commit)
    assert [commit(1), commit(2)] == [10, 20]
    assert disk.batches == [[1], [2]]


def test_those_who_come_while_one_is_under_way_share_the_next_one() -> None:
    disk = Disk()
    assert commit_while_one_is_under_way(disk, [1, 2, 3, 4]) == [0, 10, 20, 30, 40]
    assert disk.batches == [[0], [1, 2, 3, 4]]


def test_no_more_go_together_than_allowed_and_the_rest_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MOST_AT_ONCE", 2)
    disk = Disk()
    assert commit_while_one_is_under_way(disk, [1, 2, 3, 4, 5]) == [0, 10, 20, 30, 40, 50]
    assert disk.batches == [[0], [1, 2], [3, 4], [5]]


def test_an_answer_that_is_an_exception_is_raised_to_its_caller_alone() -> None:
    disk = Disk()
    refusal = ValueError("not two")
    disk.answer = lambda given: refusal if given == 2 else given
    assert commit_while_one_is_under_way(disk, [1, 2, 3]) == [0, 1, refusal, 3]


def test_a_commit_that_fails_fails_for_all_who_shared_it_and_for_nobody_else() -> None:
    disk = Disk()
    failure = OSError("the disk is gone")

    def answer(given: int) -> int:
        if given in (1, 2):
            raise failure
        return given

    disk.answer = answer
    assert commit_while_one_is_under_way(disk, [1, 2]) == [0, failure, failure]
    disk.answer = lambda given: given
    assert GroupCommit(disk.commit)(3) == 3


def test_a_wrong_number_of_answers_leaves_nobody_waiting() -> None:
    commit: GroupCommit[int, int] = GroupCommit(lambda given: [])
    with pytest.raises(ValueError, match="shorter"):
        commit(1)
    with pytest.raises(ValueError, match="shorter"):
        commit(2)


def test_under_a_crowd_everybody_gets_the_answer_to_what_he_gave() -> None:
    batches: list[int] = []

    def together(given: Sequence[int]) -> list[int]:
        batches.append(len(given))
        return [each * 10 for each in given]

    commit = GroupCommit(together)
    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(commit, range(3000))) == [number * 10 for number in range(3000)]
    assert sum(batches) == 3000
