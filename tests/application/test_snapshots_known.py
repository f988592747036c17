"""Which streams have a snapshot is asked a partition at a time, and commands elsewhere do not wait for it."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Signal

import pytest

from application import snapshots as module
from application.event_log import EventLog
from application.pasts import Past, Pasts
from application.snapshots import Snapshots, SnapshotStore
from domain import job
from domain.errors import StoreUnavailable
from tests.application.logs import UNVERIFIED
from tests.application.test_snapshots import STREAM, Place, on_cosmos, runs
from tests.builders import OTHER_TENANT, TENANT

__all__ = ["on_cosmos"]

pytestmark = [pytest.mark.cosmos, UNVERIFIED]

OTHER_STREAM = f"{OTHER_TENANT}/job/j"


class Process:
    """One that remembers nothing, and notes what it asks the store of snapshots."""

    def __init__(self, log: EventLog, store: SnapshotStore) -> None:
        self.asked: list[str | None] = []
        self.got: list[str] = []
        self.answers: dict[str, Signal] = {}
        self.refused: set[str] = set()
        self._versions, self._get = store.versions, store.get
        self._log = log
        self.snapshots = Snapshots(store, log, every=5)

    def versions(self, partition: str | None = None) -> Mapping[str, int]:
        self.asked.append(partition)
        if partition in self.answers:
            assert self.answers[partition].wait(10)
        if partition in self.refused:
            raise StoreUnavailable("too many requests")
        return self._versions(partition)

    def get(self, stream: str) -> object:
        self.got.append(stream)
        return self._get(stream)

    def read(self, *streams: str) -> list[int]:
        """The versions of streams."""
        pasts = Pasts(self._log, most=1, snapshots=self.snapshots).read(dict.fromkeys(streams, job.evolve))
        return [past.version for past in pasts.values() if isinstance(past, Past)]


@pytest.fixture
def process(on_cosmos: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    for stream in (STREAM, OTHER_STREAM):
        on_cosmos.append(runs(1, 10), stream=stream)
        on_cosmos.read(stream=stream)
    process = Process(on_cosmos.log, on_cosmos.store)
    monkeypatch.setattr(on_cosmos.store, "versions", process.versions)
    monkeypatch.setattr(on_cosmos.store, "get", process.get)
    yield process
    for answer in process.answers.values():
        answer.set()
    process.snapshots.close()


def test_it_is_asked_once_about_a_tenant_and_not_about_the_others(process: Process) -> None:
    for _ in range(2):
        assert process.read(STREAM, f"{TENANT}/job/new") == [30, 0]
    assert process.asked == [TENANT]
    assert process.got == [STREAM, STREAM]
    assert process.read(OTHER_STREAM, STREAM) == [30, 30]
    assert process.asked == [TENANT, OTHER_TENANT]


def test_while_nobody_can_tell_others_go_on_and_soon_those_who_asked(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WAIT_SECONDS", 0.5)
    answer = process.answers[TENANT] = Signal()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(process.read, STREAM)
        while not process.asked:
            time.sleep(0.01)
        began = time.monotonic()
        assert threads.submit(process.read, OTHER_STREAM).result() == [30]
        assert time.monotonic() - began < 0.3
        assert first.result(5) == [30], "it was read from the first event"
    assert process.got == [OTHER_STREAM]
    answer.set()
    assert process.read(STREAM) == [30]
    assert process.asked == [TENANT, OTHER_TENANT]
    assert process.got == [OTHER_STREAM, STREAM]


def test_that_nobody_could_tell_is_not_taken_for_that_there_are_none(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REST_SECONDS", 0.3)
    process.refused = {TENANT}
    assert process.read(STREAM) == process.read(STREAM) == [30]
    assert process.asked == [TENANT], "it is not asked again at once"
    assert process.got == []
    process.refused = set()
    time.sleep(0.3)
    assert process.read(STREAM) == [30]
    assert process.got == [STREAM]
