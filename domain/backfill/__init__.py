"""Backfill: a job is run over a range of the past, window by window.

``plan`` is what there is to do, ``events`` is what happens, ``state`` what the rules know of it. ``running``
are its commands, ``admission`` limits how many there may be of a job.
"""

from domain.backfill.admission import MOST_UNFINISHED, Unfinished, admit, evolve_admissions, leave
from domain.backfill.events import (
    BackfillAdmitted,
    BackfillCancelled,
    BackfillEnded,
    BackfillEvent,
    BackfillLeft,
    BackfillRequested,
    BackfillWindowCompleted,
    BackfillWindowFailed,
    BackfillWindowStarted,
    BackfillWindowTriedAgain,
    Failing,
    Outcome,
    admissions_stream,
    backfill_stream,
)
from domain.backfill.plan import MOST_ACTIVE, MOST_WINDOWS, Form, Plan, Window, as_text, is_midnight
from domain.backfill.running import cancel, complete_window, fail_window, request, try_window_again
from domain.backfill.state import Backfill, OpenWindow, evolve

__all__ = [
    "MOST_ACTIVE",
    "MOST_UNFINISHED",
    "MOST_WINDOWS",
    "Backfill",
    "BackfillAdmitted",
    "BackfillCancelled",
    "BackfillEnded",
    "BackfillEvent",
    "BackfillLeft",
    "BackfillRequested",
    "BackfillWindowCompleted",
    "BackfillWindowFailed",
    "BackfillWindowStarted",
    "BackfillWindowTriedAgain",
    "Failing",
    "Form",
    "OpenWindow",
    "Outcome",
    "Plan",
    "Unfinished",
    "Window",
    "admissions_stream",
    "admit",
    "as_text",
    "backfill_stream",
    "cancel",
    "complete_window",
    "evolve",
    "evolve_admissions",
    "fail_window",
    "is_midnight",
    "leave",
    "request",
    "try_window_again",
]
