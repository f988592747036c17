"""What a backfill does: a range is cut into windows, and each of them is one run of the job."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from domain.errors import BadInput
from domain.faults import Fault
from domain.values import derived_id, timestamp

MOST_WINDOWS = 1_000

MOST_ACTIVE = 20
"""The most windows of one backfill that are open at a time. More would hold up cron's runs in the job's
queue."""

MOST_METADATA_BYTES = 16_384
"""The most bytes of metadata, which go out with every window."""

FROM, TO = "from", "to"
"""What a window's metadata says beside what is said of all."""

Form = Literal["dates", "moments"]
"""How the worker is told a window's ends: as ISO dates, or as times in UTC."""


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A range, from its beginning up to but excluding its end, and how it is processed.

    A window is ``window_days`` times 24 hours in UTC. The last one ends with the range. Each window's trigger
    carries ``metadata``.
    """

    backfill_id: str
    job: str
    starts_at: datetime
    ends_at: datetime
    by: str
    form: Form = "dates"
    window_days: int = 1
    metadata: Mapping[str, Any] = {}
    max_active: int = 1

    @property
    def total(self) -> int:
        """How many windows there are."""
        return -(-(self.ends_at - self.starts_at) // timedelta(days=self.window_days))

    def window(self, number: int) -> "Window":
        """Return a window by its number, counted from 1."""
        length = timedelta(days=self.window_days)
        starts_at = self.starts_at + (number - 1) * length
        ends_at = self.ends_at if number == self.total else starts_at + length
        ends = {FROM: as_text(starts_at, self.form), TO: as_text(ends_at, self.form)}
        return Window(
            number=number,
            run_id=window_run_id(self.backfill_id, number),
            starts_at=starts_at,
            ends_at=ends_at,
            metadata={**self.metadata, **ends},
        )

    def windows(self) -> list["Window"]:
        """Return all windows, in their order."""
        return [self.window(number) for number in range(1, self.total + 1)]


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the range, and its run."""

    number: int
    run_id: str
    starts_at: datetime
    ends_at: datetime
    metadata: Mapping[str, Any]


def window_run_id(backfill_id: str, number: int) -> str:
    """Return the id of a window's run. It depends only on the backfill and the number, so that the run is
    opened once."""
    return derived_id("window of a backfill", backfill_id, str(number))


def as_text(moment: datetime, form: Form) -> str:
    """Return an end of a window as the worker reads it."""
    return moment.astimezone(UTC).date().isoformat() if form == "dates" else timestamp(moment)


def is_midnight(moment: datetime) -> bool:
    """Return whether a date alone can express this time."""
    return moment.astimezone(UTC).time() == datetime.min.time()


def require_sound(plan: Plan) -> None:
    """Check what can be checked without the job.

    Raises:
        BadInput: with every fault.
    """
    faults = list(_faults(plan))
    if faults:
        raise BadInput("the backfill cannot be created", faults)


def _faults(plan: Plan) -> list[Fault]:
    faults = []
    if plan.window_days < 1:
        faults.append(Fault("windowDays", "must be at least 1"))
    if not 1 <= plan.max_active <= MOST_ACTIVE:
        faults.append(Fault("maxActive", f"must be from 1 to {MOST_ACTIVE}"))
    if plan.ends_at <= plan.starts_at:
        faults.append(Fault(TO, "must be later than from"))
    elif plan.window_days >= 1 and plan.total > MOST_WINDOWS:
        faults.append(Fault("windowDays", f"makes {plan.total} windows; at most {MOST_WINDOWS} are allowed"))
    faults += [
        Fault(f"metadata.{name}", "must not be given: each window sets its own")
        for name in (FROM, TO)
        if name in plan.metadata
    ]
    if len(msgspec.json.encode(plan.metadata)) > MOST_METADATA_BYTES:
        faults.append(
            Fault("metadata", f"must be at most {MOST_METADATA_BYTES} bytes: it is sent with each window")
        )
    return faults
