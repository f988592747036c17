"""Approvals of the former service are taken over beside instances on real stores; the command is killed."""

import subprocess
from functools import partial

import httpx
import pytest

from tests.chaos.conftest import LaunchOn
from tests.chaos.decisions import in_thread
from tests.chaos.killed_adopt import BEFORE
from tests.cosmos import Account
from tests.former_service import Left, approvals_in, former_approval, leave
from tests.harness import OTHER_TENANT, TENANT, ServiceProcess, eventually, run_command, run_module
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq, pytest.mark.postgres, pytest.mark.cosmos]

LIST = "/api/v1/hitl/approvals"


@pytest.fixture(params=["PostgreSQL", "Cosmos DB"])
async def services(launch: LaunchOn, request: pytest.FixtureRequest) -> list[ServiceProcess]:
    """Two instances, with the log in either."""
    log = {"EVENT_STORE_URL": "cosmos://"} if request.param == "Cosmos DB" else {}
    both = [launch(**log), launch(**log)]
    for each in both:
        await in_thread(each.start)
    return both


def operator(service: ServiceProcess) -> dict[str, str]:
    """The stores of a service, and a folder of one's own."""
    return {**service.environ, "DATA_DIR": str(service.data_dir.parent / "operator")}


def command(service: ServiceProcess, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return run_command(*arguments, timeout=120, **operator(service))


def approve(service: ServiceProcess, left: Left) -> None:
    with service.client(left["tenantId"]) as client:
        headers = {"X-User-ID": "ada"}
        answer = client.post(f"{LIST}/{left['id']}/approve", json={"decidedBy": "ada"}, headers=headers)
        assert answer.status_code == httpx.codes.OK, answer.text


def events_of(service: ServiceProcess, left: Left) -> list[str]:
    with service.client(left["tenantId"]) as client:
        answer = client.get(f"{LIST}/{left['id']}/events")
        return [each["type"] for each in answer.json().get("events", ())]


async def test_each_is_taken_over_once_and_decided_and_the_neighbours_hear_of_the_decision_alone(
    services: list[ServiceProcess], cosmos: Account, crm: Neighbour
) -> None:
    database = services[0].environ["COSMOS_DB_DATABASE_ID"]
    everything: list[Left] = []
    for moment in BEFORE:
        left = [former_approval(tenant) for tenant in (TENANT, OTHER_TENANT, TENANT, OTHER_TENANT)]
        everything += left
        await leave(cosmos, database, *left)
        killed = await in_thread(
            partial(run_module, "tests.chaos.killed_adopt", moment, timeout=120, **operator(services[0]))
        )
        assert killed.returncode == -9, killed.stdout + killed.stderr
        repeated = await in_thread(partial(command, services[0], "adopt"))
        assert repeated.returncode == 0, repeated.stderr
        for each in left:
            assert await in_thread(partial(events_of, services[1], each)) == ["approval.requested"]
    assert crm.messages() == []

    async def all_ours() -> bool:
        there = await approvals_in(cosmos, database)
        return all("streamVersion" in document for document in there.values())

    await eventually(all_ours)
    for number, each in enumerate(everything):
        await in_thread(partial(approve, services[number % 2], each))
    told = await crm.expect("hitl.approval.completed", len(everything))
    assert {(each["tenantId"], each["data"]["approvalId"]) for each in told} == {
        (each["tenantId"], each["id"]) for each in everything
    }
    assert len(crm.messages()) == len(everything)
    for each in everything:
        assert await in_thread(partial(events_of, services[0], each)) == [
            "approval.approved",
            "approval.requested",
        ]

    async def as_the_log_makes_them() -> bool:
        compared = await in_thread(partial(command, services[0], "rebuild", "--verify"))
        return bool(compared.returncode == 0)

    await eventually(as_the_log_makes_them)
    nothing = await in_thread(partial(command, services[0], "adopt"))
    assert (nothing.returncode, nothing.stdout.strip()) == (0, "there is nothing to take over")
    await leave(cosmos, database, former_approval(amount=None), former_approval())
    partly = await in_thread(partial(command, services[0], "adopt", "--dry-run"))
    assert partly.returncode == 1
    assert "approvals that cannot be taken over: 1. Correct their documents" in partly.stderr
    assert "amount: Field required" in partly.stdout
    assert "would be taken over: 1" in partly.stdout
