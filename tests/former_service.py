"""The documents of the platform's previous service in Cosmos DB."""

from typing import Any
from uuid import uuid4

from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy

from tests.cosmos import Account, administrator
from tests.harness import TENANT

APPROVALS = "hitl_approvals"

Left = dict[str, Any]


def former_approval(tenant: str = TENANT, **fields: Any) -> Left:
    """Return an approval in the form of the wire contract (section 3), by default pending. Fields that are
    None are left out."""
    left = {
        "id": str(uuid4()),
        "tenantId": tenant,
        "opportunityId": "opp-1",
        "riskScore": 0.87,
        "amount": 250_000,
        "requestedAt": "2026-08-03T09:15:00.000Z",
        "status": "pending",
        "ownerId": "otto",
        "approverId": "ada",
        "recipientId": "rita",
        "correlationId": "3e0a8f8e-6f0f-4c8e-9a39-0c1d7be0f3aa",
        "approvalUrl": "https://crm.example/approvals/1",
        **fields,
    }
    return {name: value for name, value in left.items() if value is not None}


async def leave(account: Account, database: str, *approvals: Left) -> None:
    """Store documents in a container as the previous service has created it."""
    async with administrator(account) as client:
        made = await client.create_database_if_not_exists(database)
        container = await made.create_container_if_not_exists(APPROVALS, PartitionKey("/tenantId"))
        for approval in approvals:
            await container.upsert_item(approval)


async def approvals_in(account: Account, database: str) -> dict[tuple[str, str], Left]:
    """Return all documents of the container by tenant and ID, without the fields that Cosmos DB adds."""
    async with administrator(account) as client:
        container: ContainerProxy = client.get_database_client(database).get_container_client(APPROVALS)
        return {
            (item["tenantId"], item["id"]): {
                name: value for name, value in item.items() if not name.startswith("_")
            }
            async for item in container.read_all_items()
        }
