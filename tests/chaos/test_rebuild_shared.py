"""`rebuild` beside instances on PostgreSQL and Cosmos DB: documents are made right one by one."""

import json
import random
import subprocess
import time

import anyio
import pytest

from tests.chaos.conftest import LaunchOn
from tests.chaos.decisions import Answered, all_published, decide_a_bit_of_everything, in_thread, until_ready
from tests.chaos.test_rebuild_beside import SLOWED, end
from tests.chaos.watchers import watched
from tests.cosmos import Account, administrator
from tests.harness import TENANT, ServiceProcess, eventually, run_command, run_module, start_module
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq, pytest.mark.postgres, pytest.mark.cosmos]


def command(service: ServiceProcess, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command line on the stores of a service, in a folder of its own."""
    return run_command(*arguments, timeout=120, **{**service.environ, "DATA_DIR": folder(service)})


def slowed(service: ServiceProcess, moment: str) -> "subprocess.CompletedProcess[str]":
    environ = {**service.environ, "DATA_DIR": folder(service)}
    return run_module(SLOWED, moment, "rebuild", timeout=120, **environ)


def folder(service: ServiceProcess) -> str:
    return str(service.data_dir.parent / "operator")


async def damage(account: Account, service: ServiceProcess) -> int:
    """Steps that are otherwise, one that is missing and one that nobody has made; how many in all."""
    async with administrator(account) as client:
        database = client.get_database_client(service.environ["COSMOS_DB_DATABASE_ID"])
        steps = database.get_container_client("workflow_steps")
        items = [each async for each in steps.query_items("SELECT * FROM c", partition_key=TENANT)]
        missing, *others = items
        await steps.delete_item(missing["id"], partition_key=TENANT)
        for item in others:
            await steps.upsert_item({**item, "stepType": "damaged"})
        await steps.upsert_item({**missing, "id": "added", "stepId": "added"})
    return len(items) + 1


async def until_saved(service: ServiceProcess) -> None:
    """Wait until the positions are saved, as they are now and then: up to there what is deleted is missed."""

    async def at_the_head() -> bool:
        told = await in_thread(lambda: command(service, "projections", "--json"))
        assert told.returncode == 0, told.stderr
        return all(json.loads(line)["behind"] == 0 for line in told.stdout.splitlines())

    await eventually(at_the_head)


@pytest.fixture
async def services(launch: LaunchOn) -> list[ServiceProcess]:
    """Two instances."""
    both = [launch(), launch()]
    for each in both:
        await in_thread(each.start)
    return both


async def test_queries_during_a_rebuild_are_complete_and_no_message_goes_out_again(
    services: list[ServiceProcess], cosmos: Account, crm: Neighbour
) -> None:
    answered = Answered()
    await decide_a_bit_of_everything(services[0], answered, count=6)
    await all_published(crm, answered)
    await until_ready(services[0])
    await until_saved(services[0])
    wrong = await damage(cosmos, services[0])
    compared = await in_thread(lambda: command(services[0], "rebuild", "--verify"))
    assert compared.returncode == 1, compared.stderr
    named = [line for line in compared.stdout.splitlines() if line.startswith("workflow_steps ")]
    assert len(named) == wrong, compared.stdout
    for what in ("differs in stepType", "is missing; the log makes it", "the log makes none"):
        assert any(what in line for line in named), compared.stdout
    async with watched(*services, answered=answered, most=15):
        rebuilt = await in_thread(lambda: slowed(services[0], "never"))
        assert rebuilt.returncode == 0, rebuilt.stderr
    await all_published(crm, answered)
    compared = await in_thread(lambda: command(services[0], "rebuild", "--verify"))
    assert compared.returncode == 0, compared.stdout + compared.stderr
    ids = [message.message_id for message in crm.seen if message.app_id == "workflow-orchestrator"]
    assert len(ids) == len(set(ids))


async def test_a_rebuild_that_is_killed_is_gone_on_with(
    services: list[ServiceProcess], cosmos: Account, crm: Neighbour
) -> None:
    answered = Answered()
    await decide_a_bit_of_everything(services[0], answered, count=4)
    await until_ready(services[0])
    await until_saved(services[0])
    wrong = await damage(cosmos, services[0])
    dice = random.Random(time.time_ns())
    environ = {**services[0].environ, "DATA_DIR": folder(services[0])}
    async with watched(*services, answered=answered, most=10):
        killed = await in_thread(lambda: slowed(services[0], "write-2"))
        assert killed.returncode == -9, killed.stderr
        process = start_module(SLOWED, "never", "rebuild", **environ)
        await anyio.sleep(1 + dice.random() * 2)
        end(process)
        killed = await in_thread(lambda: slowed(services[0], f"mended-{dice.randrange(1, wrong)}"))
        assert killed.returncode in (-9, 0), killed.stderr
        rebuilt = await in_thread(lambda: command(services[0], "rebuild"))
        assert rebuilt.returncode == 0, rebuilt.stderr
    await until_ready(services[0])
    compared = await in_thread(lambda: command(services[0], "rebuild", "--verify"))
    assert compared.returncode == 0, compared.stdout + compared.stderr
    told = await in_thread(lambda: command(services[0], "projections"))
    assert told.returncode == 0, told.stderr
    assert "is rebuilt" not in told.stdout
