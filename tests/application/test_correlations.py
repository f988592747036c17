"""What comes of a message that names no correlation belongs to what its stream belongs to."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from application.deciders import Committed, Decider, decide_together
from application.event_log import EventLog
from application.pasts import Pasts
from domain import job
from domain.event import Metadata
from domain.job import JobPaused
from tests.application.logs import open_logs, sqlite_settings
from tests.builders import CORRELATION, NOW, TENANT, metadata

SAYS_NOTHING = metadata(command_id="m-1", causation_id="m-1", correlation_id="m-1")
"""Of a message that belongs to nothing but itself."""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    with open_logs(sqlite_settings(tmp_path)) as logs:
        yield logs.open()


def noted(log: EventLog, pasts: Pasts, meta: Metadata, *, keeps: bool) -> Metadata:
    """What an event of a stream is traced back to."""
    paused = JobPaused(job="j", by="ann", reason="why", paused_at=NOW)
    keeps = keeps and meta.names_no_correlation
    decider = Decider(f"{TENANT}/job/j", job.evolve, lambda state: (paused,), meta, NOW, None, keeps)
    (answer,) = decide_together(log, pasts, [decider])
    assert isinstance(answer, Committed), answer
    (recorded,) = answer.new
    return recorded.meta


@pytest.mark.parametrize(
    ("meta", "keeps", "belongs_to"),
    [
        (SAYS_NOTHING, True, CORRELATION),
        (SAYS_NOTHING, False, "m-1"),
        (msgspec.structs.replace(SAYS_NOTHING, correlation_id="deal-7"), True, "deal-7"),
        (msgspec.structs.replace(SAYS_NOTHING, causation_id=None), True, "m-1"),
    ],
    ids=["says nothing", "of a stream of many things", "says it", "is no message"],
)
@pytest.mark.parametrize("remembered", [True, False])
def test_what_names_no_correlation_may_belong_to_what_its_stream_belongs_to(
    log: EventLog, meta: Metadata, keeps: bool, belongs_to: str, remembered: bool
) -> None:
    pasts = Pasts(log, most=100)
    assert noted(log, pasts, metadata(command_id="m-0"), keeps=True).correlation_id == CORRELATION
    theirs = pasts if remembered else Pasts(log, most=100)
    assert noted(log, theirs, meta, keeps=keeps).correlation_id == belongs_to


def test_what_a_stream_begins_with_belongs_to_itself(log: EventLog) -> None:
    assert noted(log, Pasts(log, most=100), SAYS_NOTHING, keeps=True) == SAYS_NOTHING
