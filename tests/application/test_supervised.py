"""What goes on beside all else is ended by no error, and each kind is told once."""

import pytest
from structlog.testing import capture_logs

from application.supervised import Supervised
from domain.errors import StoreUnavailable

pytestmark = pytest.mark.anyio


class Work:
    """Fails as told, one after the other."""

    def __init__(self, *errors: Exception | None) -> None:
        self._errors = list(errors)

    async def __call__(self) -> None:
        if error := self._errors.pop(0):
            raise error


async def test_no_error_comes_out_and_a_kind_is_told_once_until_it_goes_on() -> None:
    supervised, away, bug = Supervised("it"), StoreUnavailable("away"), KeyError("a bug")
    work = Work(away, away, bug, None, None, away)
    with capture_logs() as logs:
        done = [await supervised.has_done(work) for _ in range(6)]
    assert done == [False, False, False, True, True, False]
    assert [(line["log_level"], line["what"], line["error"]) for line in logs] == [
        ("warning", "it", "StoreUnavailable: away"),
        ("error", "it", "KeyError: 'a bug'"),
        ("warning", "it", "StoreUnavailable: away"),
    ]
    assert [bool(line.get("exc_info")) for line in logs] == [False, True, False]


async def test_what_comes_to_no_end_tells_itself_that_it_goes_on() -> None:
    supervised = Supervised("it")
    assert not await supervised.has_done(Work(StoreUnavailable("away")))
    assert supervised.is_failing
    supervised.note_progress()
    assert not supervised.is_failing
