"""A service and a neighbour on a real RabbitMQ, with names of their own."""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from domain.definition import WorkflowDefinition
from tests.contract.amqp import validate_message
from tests.harness import Service, eventually, service, settings_in
from tests.neighbours import Names, Neighbour, neighbour


@pytest.fixture
def names() -> Names:
    """Names of this test's own."""
    return Names.fresh()


@pytest.fixture
def definitions() -> Sequence[WorkflowDefinition]:
    """Those of tenants, by which the service says more than the contract's own messages."""
    return ()


@pytest.fixture
def aliases() -> Mapping[str, str]:
    """What types are called on the wire, where it is not what the contract calls them."""
    return {}


@pytest.fixture
async def crm(
    rabbitmq_url: str,
    names: Names,
    definitions: Sequence[WorkflowDefinition],
    aliases: Mapping[str, str],
) -> AsyncIterator[Neighbour]:
    """The neighbours, in one person; what they are told keeps to the contract."""
    async with neighbour(rabbitmq_url, names) as each:
        yield each
        for message in each.seen:
            if message.app_id == "workflow-orchestrator":
                validate_message(
                    message.body,
                    message,
                    routing_key=message.routing_key,
                    aliases=aliases,
                    definitions=definitions,
                )


@pytest.fixture
def approvals_file() -> str:
    """What tenants have laid down about approvals, in YAML: nothing."""
    return "tenants: {}"


@pytest.fixture
async def orchestrator(
    tmp_path: Path, rabbitmq_url: str, names: Names, crm: Neighbour, approvals_file: str
) -> AsyncIterator[Service]:
    """The service, embedded stores, on RabbitMQ."""
    (tmp_path / "approvals.yaml").write_text(approvals_file)
    settings = settings_in(
        tmp_path,
        overlay=names.overlay(),
        RABBITMQ_URL=rabbitmq_url,
        APPROVALS_FILE=str(tmp_path / "approvals.yaml"),
    )
    async with service(settings) as running:
        await is_connected(running)
        yield running


async def is_connected(running: Service) -> None:
    """Wait until the service takes messages in and gives them out."""

    async def up() -> bool:
        return (await running.container.transport.check()).status == "up"

    await eventually(up)
