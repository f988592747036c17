"""The time from the start of the process to ``/ready``, with an empty and with a long log.

All followers have handled the long log before, as after any stop. It is measured on SQLite, and on PostgreSQL
with the same log, copied with ``copy-log``. A service on PostgreSQL also needs RabbitMQ. The ratio shows
whether a long log slows down the start: the aim is no growth, apart from the variation of starts.
"""

import shutil
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx

from benchmarks.harness import Aim, Measurement, Options, in_turns
from benchmarks.pasts import Past, moved_to_postgresql, past_of
from benchmarks.service import START_SECONDS, prepared_service
from benchmarks.stores import broker, migrated_database, postgres_server
from tests.neighbours import Names

POLL_SECONDS = 0.005
EMPTY = "empty log"


def run(options: Options) -> list[Measurement]:
    """Measure the empty and the long log alternately, on both stores."""
    root, events = options.service_root, options.pick(1_000, 100_000, 1_000_000)
    measured: list[Measurement] = []
    with ExitStack() as stack:
        data = stack.enter_context(past_of(root, Past(events)))
        server = stack.enter_context(postgres_server())
        full, empty = (stack.enter_context(migrated_database(server, root)) for _ in range(2))
        moved_to_postgresql(root, data, full)
        url, names = stack.enter_context(broker())
        blank = data.with_name("blank")
        for store, environ_full, environ_empty in (
            ("SQLite", {}, {}),
            (
                "PostgreSQL",
                {"EVENT_STORE_URL": full, "RABBITMQ_URL": url},
                {"EVENT_STORE_URL": empty, "RABBITMQ_URL": url},
            ),
        ):
            sides = {
                "full": partial(_seconds_to_ready, root, data, environ_full, names),
                EMPTY: partial(_seconds_to_ready, root, blank, environ_empty, names),
            }
            found = in_turns(options.rounds, sides)
            shutil.rmtree(blank)
            note = f"{events} events in the log"
            measured += [
                _measurement(f"start.{store.lower()}.empty", f"Start, {store}, empty log", found[EMPTY], {}),
                _measurement(
                    f"start.{store.lower()}.full",
                    f"Start, {store}, long past",
                    found["full"],
                    {EMPTY: found[EMPTY]},
                    note,
                ),
            ]
    return measured


def _measurement(
    work: str, title: str, ours: list[float], references: dict[str, list[float]], *notes: str
) -> Measurement:
    aims = [Aim("at most", 1.5), *(Aim("at most", 1.15, name) for name in references)]
    return Measurement(work, title, "s", ours, references, aims, better="lower", notes=list(notes))


def _seconds_to_ready(root: Path, data: Path, environ: dict[str, str], names: Names) -> float:
    with (
        prepared_service(root, environ, overlay=names.overlay(), data_dir=data) as service,
        httpx.Client(timeout=5) as client,
    ):
        began = time.perf_counter()
        service.launch()
        while time.perf_counter() - began < START_SECONDS:
            try:
                if client.get(f"{service.url}/ready").status_code == 200:
                    return time.perf_counter() - began
            except httpx.HTTPError:
                time.sleep(POLL_SECONDS)
        raise RuntimeError(f"not ready in {START_SECONDS:g} s:\n{service.log.read_text()[-3000:]}")
