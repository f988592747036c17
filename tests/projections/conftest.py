"""What tests of followers stand on."""

import pytest

from infrastructure.memory.checkpoints import MemoryCheckpoints
from projections import patience
from tests.builders import SettableClock
from tests.projections.fakes import PartitionedLog
from tests.projections.following import Setting


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_SECONDS", 0.005)


@pytest.fixture
def log() -> PartitionedLog:
    return PartitionedLog("one", "two")


@pytest.fixture
def positions() -> MemoryCheckpoints:
    return MemoryCheckpoints()


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def at(log: PartitionedLog, positions: MemoryCheckpoints, clock: SettableClock) -> Setting:
    return Setting(log, positions, clock)
