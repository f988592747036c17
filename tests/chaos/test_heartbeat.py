"""The word to somebody outside, from real processes on one log: it stops with who gave it, and goes on with
who takes over."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from tests.harness import ServiceProcess
from tests.lying_service import Neighbour, lying_service

pytestmark = [pytest.mark.postgres, pytest.mark.rabbitmq]

HANDOVER_SECONDS = 20.0


@pytest.fixture
def listener() -> Iterator[Neighbour]:
    with lying_service() as neighbour:
        yield neighbour


def test_who_takes_over_beats_on_and_the_address_is_nowhere_in_the_log(
    tmp_path: Path, postgres_store_url: str, rabbitmq_url: str, listener: Neighbour
) -> None:
    secret = uuid4().hex

    def beats() -> int:
        return len(listener.seen(f"/ok/{secret}"))

    with ExitStack() as stack:

        def instance(name: str) -> ServiceProcess:
            folder = tmp_path / name
            folder.mkdir()
            process = ServiceProcess(
                folder,
                EVENT_STORE_URL=postgres_store_url,
                RABBITMQ_URL=rabbitmq_url,
                BATCH_JOBS_HEARTBEAT_URL=f"{listener.url}/ok/{secret}",
                LOG_LEVEL="debug",
            )
            stack.callback(process.stop)
            return process.start()

        holder, other = instance("holder"), instance("other")
        until(lambda: beats() == 1)
        holder.kill()
        until(lambda: beats() == 2)
        with other.client() as client:
            counted = 'scheduler_heartbeats_total{outcome="answered"} 1.0'
            until(lambda: counted in client.get("/metrics").text)
        other.terminate()
        for each in (holder, other):
            assert secret not in each.log
            assert f'"on":"{listener.url}/***"' in each.log


def until(condition: Callable[[], bool]) -> None:
    """Fails when it is not so within the time of a handover."""
    deadline = time.monotonic() + HANDOVER_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
