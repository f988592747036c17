"""Instances on one log in PostgreSQL, the clock of one of which is hours away from the server's."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.chaos.campaign.instances import FAKETIME, Clock
from tests.chaos.conftest import Launch
from tests.chaos.decisions import get, in_thread, until
from tests.chaos.instances import leader_of, parts_of
from tests.harness import ServiceProcess, eventually
from tests.services import missing

pytestmark = [pytest.mark.anyio, pytest.mark.postgres, pytest.mark.rabbitmq]

BY_THE_CLOCK = {"scheduler", "timers", "http-steps"}
A_LOOK_SECONDS = 10.0
"""A deadline that is looked at late is passed at the second look, five seconds after the first."""


@pytest.fixture
def instance(processes: Launch, tmp_path: Path, postgres_store_url: str, rabbitmq_url: str) -> Any:
    if not FAKETIME.exists():
        missing("libfaketime")

    def make(name: str, clock: Clock | None = None) -> ServiceProcess:
        environ = {} if clock is None else clock.environ()
        return processes(
            module="tests.task_definitions",
            EVENT_STORE_URL=postgres_store_url,
            RABBITMQ_URL=rabbitmq_url,
            DATA_DIR=str(tmp_path / name),
            **environ,
        )

    return make


async def started(service: ServiceProcess, definition: str) -> str:
    body = {"definition": definition, "opportunityId": "o-1", "input": {"number": 1}}
    async with service.async_client() as client:
        answer = await client.post("/api/v1/workflows", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["workflowId"])


async def step_of(service: ServiceProcess, workflow: str) -> dict[str, Any]:
    """Its only one, once it is there."""

    async def there() -> Any:
        steps = (await get(service, f"/workflows/{workflow}/steps"))["steps"]
        return steps[0] if steps else None

    found: dict[str, Any] = await eventually(there)
    return found


async def is_in_time(service: ServiceProcess, workflow: str) -> bool:
    """Whether the step of a workflow still is at its first attempt, which has two minutes."""
    step = await step_of(service, workflow)
    return (step["status"], step["attempt"]) == ("running", 1)


async def skew_of(service: ServiceProcess) -> float:
    async with service.async_client() as client:
        text = (await client.get("/metrics")).text
    (line,) = [each for each in text.splitlines() if each.startswith("clock_skew_seconds ")]
    return float(line.split()[1])


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("offset", "seconds", "word"), [("+3h", 10_800, "ahead of"), ("-3h", -10_800, "behind")]
)
async def test_whose_clock_differs_from_the_servers_leaves_what_goes_by_it_to_another(
    instance: Any, tmp_path: Path, offset: str, seconds: int, word: str
) -> None:
    clock = Clock(tmp_path / "clock")
    clock.set(offset)
    right, wrong = instance("right"), instance("wrong", clock)
    await in_thread(right.start)
    await in_thread(wrong.start)
    workflow = await started(right, "one-task")
    await step_of(right, workflow)
    await in_thread(right.stop)

    assert await leader_of("workflow-timers", [wrong]) is wrong
    await anyio.sleep(A_LOOK_SECONDS)
    assert await is_in_time(wrong, workflow)
    assert not await parts_of(wrong) & BY_THE_CLOCK
    status, body = await until(wrong, lambda said: said["status"] == "ready")
    assert status == 200
    differs = f"{abs(seconds):,} s {word} the event store's"
    assert body["checks"]["scheduler"]["status"] == "up"
    assert differs in body["checks"]["scheduler"]["detail"]
    assert differs in body["checks"]["eventStore"]["detail"]
    assert await skew_of(wrong) == pytest.approx(seconds, abs=5)
    assert wrong.log.count('"clock_differs"') == 1

    third = instance("third")
    await in_thread(third.start)
    for part in BY_THE_CLOCK:
        assert await leader_of(part, [wrong, third]) is third
    assert await skew_of(third) == pytest.approx(0, abs=5)
    short = await started(third, "short-task")

    async def timed_out() -> bool:
        return bool((await step_of(third, short))["status"] == "failed")

    await eventually(timed_out, seconds=30)
    failed = await step_of(third, short)
    assert abs(datetime.fromisoformat(failed["completedAt"]) - datetime.now(UTC)) < timedelta(minutes=5)
    assert await is_in_time(third, workflow)


@pytest.mark.timeout(300)
async def test_a_clock_that_is_set_while_it_does_things_fires_nothing_and_goes_on_once_it_is_right(
    instance: Any, tmp_path: Path
) -> None:
    clock = Clock(tmp_path / "clock")
    service = instance("only", clock)
    await in_thread(service.start)
    assert await leader_of("timers", [service]) is service
    workflow = await started(service, "one-task")
    await step_of(service, workflow)
    clock.set("+3h")

    async def stands_back() -> bool:
        return not await parts_of(service) & BY_THE_CLOCK

    await eventually(stands_back, seconds=30)
    await anyio.sleep(A_LOOK_SECONDS)
    assert await is_in_time(service, workflow)
    clock.set("+0")
    for part in BY_THE_CLOCK:
        await leader_of(part, [service])
    assert await is_in_time(service, workflow)
    assert "clock_agrees" in service.log
