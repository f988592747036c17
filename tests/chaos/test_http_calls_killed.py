"""kill -9 while a step's call is under way: it is made again under the same key, and its workflow ends.

What is promised: a call is made at least once; again only until its answer is stored, never afterwards.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.chaos.decisions import get, in_thread
from tests.chaos.instances import leader_of
from tests.harness import ServiceProcess, eventually
from tests.lying_service import Neighbour, lying_service
from tests.neighbours import Names

pytestmark = pytest.mark.anyio

Launch = Callable[..., ServiceProcess]


@pytest.fixture
def neighbour() -> Iterator[Neighbour]:
    with lying_service() as neighbour:
        yield neighbour


@pytest.fixture
def orchestrators(tmp_path: Path, names: Names, neighbour: Neighbour) -> Iterator[Launch]:
    """Makes processes beside the neighbour, not started yet."""
    made: list[ServiceProcess] = []

    def make(**environ: str) -> ServiceProcess:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        process = ServiceProcess(
            folder,
            overlay=names.overlay(),
            module="tests.http_orchestrator",
            RISK_ANALYTICS_URL=neighbour.url,
            **environ,
        )
        made.append(process)
        return process

    yield make
    for process in made:
        process.stop()


async def start(service: ServiceProcess, definition: str) -> str:
    """Start a workflow; its id."""
    async with service.async_client() as client:
        answer = await client.post(
            "/api/v1/workflows", json={"definition": definition, "opportunityId": "opp-1"}
        )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["workflowId"])


async def completed(service: ServiceProcess, workflow_id: str) -> dict[str, Any]:
    """The workflow's document, once it has completed."""

    async def there() -> dict[str, Any] | None:
        workflow = await get(service, f"/workflows/{workflow_id}")
        assert workflow["status"] in ("running", "completed"), workflow
        return workflow if workflow["status"] == "completed" else None

    found: dict[str, Any] = await eventually(there, seconds=40, every=0.1)
    return found


async def until_asked(neighbour: Neighbour, workflow_id: str, times: int = 1) -> None:
    """Until the neighbour has been asked so often."""

    async def is_asked() -> bool:
        return len(asked(neighbour, workflow_id)) >= times

    await eventually(is_asked)


def asked(neighbour: Neighbour, workflow_id: str) -> list[dict[str, Any]]:
    """What the neighbour was asked for a workflow."""
    return [each for each in neighbour.seen() if each["path"].endswith(workflow_id)]


def keys(neighbour: Neighbour, workflow_id: str) -> list[str]:
    """The idempotency keys of that."""
    return [each["headers"]["idempotency-key"] for each in asked(neighbour, workflow_id)]


async def test_a_call_that_a_kill_cut_short_is_made_again_under_the_same_key(
    orchestrators: Launch, neighbour: Neighbour
) -> None:
    service = orchestrators()
    await in_thread(service.start)
    workflow_id = await start(service, "call-3")
    await until_asked(neighbour, workflow_id)
    service.kill()
    await in_thread(service.start)
    workflow = await completed(service, workflow_id)
    assert workflow["steps"][0]["attempt"] == 1, "to be killed is no failure of the neighbour's"
    found = keys(neighbour, workflow_id)
    assert len(found) == 2
    assert len(set(found)) == 1


async def test_a_stop_in_the_middle_of_a_call_is_quick_and_loses_nothing(
    orchestrators: Launch, neighbour: Neighbour
) -> None:
    service = orchestrators()
    await in_thread(service.start)
    short, long = await start(service, "call-2"), await start(service, "call-12")
    await until_asked(neighbour, short)
    await until_asked(neighbour, long)
    assert await in_thread(service.terminate) == 0
    await in_thread(service.start)
    await completed(service, short)
    await completed(service, long)
    assert len(keys(neighbour, short)) == 1, "there was time enough for its answer"
    assert len(keys(neighbour, long)) == 2
    assert len(set(keys(neighbour, long))) == 1


@pytest.mark.timeout(240)
async def test_kills_at_random_while_many_call(orchestrators: Launch, neighbour: Neighbour) -> None:
    chance = random.Random(5)
    service = orchestrators()
    await in_thread(service.start)
    workflows = []
    for _ in range(3):
        workflows += [await start(service, f"call-{chance.choice(['0', '0.1', '0.5'])}") for _ in range(15)]
        await anyio.sleep(chance.uniform(0, 0.6))
        service.kill()
        await in_thread(service.start)
    documents = {workflow_id: await completed(service, workflow_id) for workflow_id in workflows}

    requests: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in neighbour.seen():
        requests[each["path"].rsplit("/", 1)[1]].append(each)
    assert set(requests) == set(workflows)
    for workflow_id, made in requests.items():
        assert len({each["headers"]["idempotency-key"] for each in made}) == 1
        (step,) = documents[workflow_id]["steps"]
        ended_at = datetime.fromisoformat(step["completedAt"]).timestamp()
        assert all(each["at"] <= ended_at + 0.001 for each in made), "called again after it was completed"
    assert sum(map(len, requests.values())) > len(workflows), "no kill has met a call"


@pytest.mark.postgres
@pytest.mark.rabbitmq
async def test_another_instance_makes_the_calls_of_one_that_was_killed(
    orchestrators: Launch, neighbour: Neighbour, postgres_store_url: str, rabbitmq_url: str
) -> None:
    services = [
        orchestrators(EVENT_STORE_URL=postgres_store_url, RABBITMQ_URL=rabbitmq_url) for _ in range(2)
    ]
    for service in services:
        await in_thread(service.start)
    caller = await leader_of("http-steps", services)
    (heir,) = [service for service in services if service is not caller]
    workflow_id = await start(heir, "call-3")
    await until_asked(neighbour, workflow_id)
    caller.kill()
    await completed(heir, workflow_id)
    found = keys(neighbour, workflow_id)
    assert len(found) == 2
    assert len(set(found)) == 1
