"""The library's own notification: the ms from an append's return until a reader has the event, at a steady
rate."""

import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from uuid import uuid4

from eventsourcing.persistence import ApplicationRecorder, InfrastructureFactory, StoredEvent
from eventsourcing.utils import Environment
from psycopg.conninfo import conninfo_to_dict

STATE = b"x" * 400
SECONDS_TO_END = 10.0


def sqlite_wakeups(count: int, a_second: float) -> list[float]:
    """Measure a reader that an event in the process notifies: the library has no notification for SQLite."""
    appended = threading.Event()

    def read(recorder: ApplicationRecorder, got: list[float]) -> None:
        position = 0
        while len(got) < count:
            appended.wait()
            appended.clear()
            found = recorder.select_notifications(position, count, inclusive_of_start=False)
            got += [time.perf_counter()] * len(found)
            position = found[-1].id if found else position

    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        settings = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": f"{folder}/events.db"}
        return _wakeups(settings, count, a_second, read, appended.set)


def postgres_wakeups(url: str, count: int, a_second: float) -> list[float]:
    """Measure the library's own subscription, which uses LISTEN, on its own recorder."""

    def read(recorder: ApplicationRecorder, got: list[float]) -> None:
        with recorder.subscribe(gt=0) as subscription:
            for _ in subscription:
                got.append(time.perf_counter())
                if len(got) == count:
                    return

    given = conninfo_to_dict(url)
    settings = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(given["dbname"]),
        "POSTGRES_HOST": str(given["host"]),
        "POSTGRES_PORT": str(given["port"]),
        "POSTGRES_USER": str(given["user"]),
        "POSTGRES_PASSWORD": str(given.get("password", "none")),
    }
    return _wakeups(settings, count, a_second, read, lambda: None)


def _wakeups(
    settings: dict[str, str],
    count: int,
    a_second: float,
    read: Callable[[ApplicationRecorder, list[float]], None],
    wake: Callable[[], None],
) -> list[float]:
    """Append events at the rate while a thread reads. Return the ms per event."""
    with closing(
        InfrastructureFactory.construct(Environment("reference", {"ORIGINATOR_ID_TYPE": "text", **settings}))
    ) as factory:
        recorder = factory.application_recorder()
        got: list[float] = []
        appended: list[float] = []
        reader = threading.Thread(target=read, args=(recorder, got), daemon=True)
        reader.start()
        began = time.perf_counter()
        for number in range(count):
            time.sleep(max(0.0, began + number / a_second - time.perf_counter()))
            recorder.insert_events([StoredEvent(str(uuid4()), 1, "reference", STATE)])
            appended.append(time.perf_counter())
            wake()
        reader.join(SECONDS_TO_END)
        if len(got) < count:
            raise RuntimeError(f"the library's reader has seen {len(got)} of {count} events")
        return [max(0.0, seen - at) * 1e3 for seen, at in zip(got, appended, strict=True)]
