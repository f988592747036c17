"""What the document of a backfill says, event by event."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from domain import backfill
from domain.backfill import MOST_WINDOWS, BackfillCancelled, BackfillWindowTriedAgain, backfill_stream
from domain.event import Event, Recorded
from domain.values import SYSTEM_TENANT
from projections.backfills import MOST_FAILED_SHOWN, Backfills
from projections.projection import document_of
from projections.size_limit import MOST_BYTES
from tests.builders import NOW, recorded
from tests.contract.contract import validate_document
from tests.domain.backfill.asked import completed, day, ended, failed, plan, requested, started
from tests.samples_backfills import BACKFILL_EVENTS

ASKED = plan(backfill_id="39e4ed36-7bb6-4b3c-90ab-295cf38df37f", max_active=2)
BEGUN: tuple[Event, ...] = (requested(ASKED), started(ASKED, 1), started(ASKED, 2))


def document(*events: Event, id: str = ASKED.backfill_id) -> dict[str, Any]:
    """The document after these events."""
    story: Sequence[Recorded] = recorded(backfill_stream(id), events)
    body: dict[str, Any] = msgspec.json.decode(document_of(Backfills(), id, story))
    return body


def test_it_says_what_was_asked_and_which_windows_are_open() -> None:
    shown = document(*BEGUN)
    validate_document("Backfill", shown)
    assert shown == {
        "id": ASKED.backfill_id,
        "backfillId": ASKED.backfill_id,
        "tenantId": SYSTEM_TENANT,
        "job": "risk-snapshot-backfill",
        "status": "running",
        "actor": "ada",
        "from": "2026-01-01",
        "to": "2026-01-06",
        "windowDays": 1,
        "maxActive": 2,
        "metadata": {},
        "progress": {"total": 5, "pending": 3, "open": 2, "completed": 0, "failed": 0, "percent": 0},
        "openWindows": [
            {
                "number": number,
                "from": f"2026-01-0{number}",
                "to": f"2026-01-0{number + 1}",
                "runId": ASKED.window(number).run_id,
                "attempt": 1,
                "startedAt": "2026-11-22T22:10:05.123Z",
            }
            for number in (1, 2)
        ],
        "failedWindows": [],
        "createdAt": "2026-11-22T22:10:05.123Z",
        "updatedAt": "2026-11-22T22:10:05.125Z",
    }


def test_a_window_that_has_ended_counts_whether_it_came_to_something_or_not() -> None:
    shown = document(*BEGUN, completed(ASKED, 2), started(ASKED, 3), failed(ASKED, 1))
    validate_document("Backfill", shown)
    assert shown["progress"] == {
        "total": 5,
        "pending": 2,
        "open": 1,
        "completed": 1,
        "failed": 1,
        "percent": 40,
    }
    assert [each["number"] for each in shown["openWindows"]] == [3]
    assert shown["failedWindows"] == [
        {
            "number": 1,
            "from": "2026-01-01",
            "to": "2026-01-02",
            "runId": ASKED.window(1).run_id,
            "attempt": 1,
            "startedAt": "2026-11-22T22:10:05.123Z",
            "status": "failed",
            "failedAt": "2026-11-22T22:10:05.123Z",
            "error": "no disk",
        }
    ]


def test_a_report_that_came_late_takes_its_window_from_those_that_failed() -> None:
    shown = document(*BEGUN, failed(ASKED, 1, "timed_out", None), completed(ASKED, 1, late=True))
    assert shown["failedWindows"] == []
    assert (shown["progress"]["completed"], shown["progress"]["failed"]) == (1, 0)


def test_another_run_of_a_window_stands_in_the_place_of_the_one_before() -> None:
    again = BackfillWindowTriedAgain(
        backfill_id=ASKED.backfill_id, number=2, run_id="again", attempt=2, tried_again_at=NOW
    )
    first, second = document(*BEGUN, again)["openWindows"]
    assert (first["attempt"], second["attempt"], second["runId"]) == (1, 2, "again")


def test_it_says_who_has_cancelled_it_and_how_it_ended() -> None:
    cancelled = BackfillCancelled(
        backfill_id=ASKED.backfill_id, job=ASKED.job, by="bob", reason="enough", cancelled_at=NOW
    )
    shown = document(*BEGUN, cancelled)
    assert (shown["status"], shown["cancelledBy"], shown["cancelReason"]) == ("cancelling", "bob", "enough")
    rest = (completed(ASKED, 1), completed(ASKED, 2), ended(ASKED, "cancelled"))
    shown = document(*BEGUN, cancelled, *rest)
    validate_document("Backfill", shown)
    assert (shown["status"], shown["progress"]["pending"]) == ("cancelled", 3)


def test_a_percent_is_whole_and_a_hundred_only_at_the_end() -> None:
    asked = plan(ends_at=day(4), backfill_id=ASKED.backfill_id)
    events: list[Event] = [requested(asked)]
    percents = []
    for number in (1, 2, 3):
        events += [started(asked, number), completed(asked, number)]
        percents.append(document(*events)["progress"]["percent"])
    assert percents == [33, 66, 100]


def test_however_many_fail_the_document_stays_small() -> None:
    asked = plan(
        starts_at=day(1).replace(year=2023),
        ends_at=day(1).replace(year=2023) + MOST_WINDOWS * (day(2) - day(1)),
        backfill_id=ASKED.backfill_id,
    )
    events = list(backfill.request(None, asked, now=NOW))
    for number in range(1, 151):
        events += [failed(asked, number, error="ü" * 300), started(asked, number + 1)]
    shown = document(*events)
    validate_document("Backfill", shown)
    assert shown["progress"]["failed"] == 150
    assert len(shown["failedWindows"]) == MOST_FAILED_SHOWN
    assert len(msgspec.json.encode(shown)) < MOST_BYTES / 10


@pytest.mark.parametrize("event", BACKFILL_EVENTS, ids=lambda each: each.TOPIC)
def test_what_a_job_knows_of_its_backfills_is_in_no_document(event: Event) -> None:
    unseen = event.TOPIC in ("backfill.admitted", "backfill.left")
    assert list(Backfills().reads(event)) == ([] if unseen else ["backfill-1"])
