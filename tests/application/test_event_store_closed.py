"""A store that is closed while a thread is still at it."""

import threading
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from application.event_log import EventLog
from application.event_store import EventStore
from tests.application.logs import sqlite_settings
from tests.application.test_event_store import append

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("seconds", [0.3, 3.0], ids=["it answers", "it gives no answer"])
async def test_no_connection_is_closed_under_a_thread_that_is_at_it(tmp_path: Path, seconds: float) -> None:
    log = EventLog(sqlite_settings(tmp_path))
    store = EventStore(log)
    await append(store, "one")
    closed, found = threading.Event(), []
    select, close = log.ours.select_after, log.close
    goes_on = threading.Event()

    def slow(*what: Any, **how: Any) -> Any:
        goes_on.wait(seconds)
        found.append((closed.is_set(), select(*what, **how)))

    def closing() -> None:
        closed.set()
        close()

    log.ours.select_after, log.close = slow, closing  # type: ignore[method-assign]
    with anyio.move_on_after(0.05):
        await store.read("log", None, 10)
    began = time.monotonic()
    store.close()
    took = time.monotonic() - began
    goes_on.set()
    assert (took < 1, closed.is_set()) == (seconds < 1, seconds < 1)
    assert took < 2.5
    while not found:
        await anyio.sleep(0.01)
    ((was_closed, events),) = found
    assert (was_closed, len(events)) == (False, 1)
    close()
