"""``workflow.audit.anchored`` on a real RabbitMQ."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from domain.values import SYSTEM_TENANT
from infrastructure.signatures import new_key
from tests.audit_trail import verify_file
from tests.harness import TENANT, USER, eventually, service, settings_in
from tests.integration.conftest import is_connected
from tests.neighbours import Names, Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]


async def test_who_listens_on_the_broker_can_prove_an_export_by_what_it_heard(
    tmp_path: Path, rabbitmq_url: str, names: Names, crm: Neighbour
) -> None:
    pem, signer = new_key()
    settings = settings_in(
        tmp_path,
        overlay=names.overlay(),
        RABBITMQ_URL=rabbitmq_url,
        AUDIT_SIGNING_KEY=pem.decode(),
        AUDIT_ANCHOR_EVERY_SECONDS="0.2",
    )
    async with service(settings) as running, running.client() as client:
        await is_connected(running)
        asked = await client.post(
            "/api/v1/hitl/approvals", json={"opportunityId": "opp-1", "riskScore": 0.5, "amount": 3}
        )
        answer = await client.post(
            f"/api/v1/hitl/approvals/{asked.json()['id']}/approve",
            json={"decidedBy": USER},
            headers={"X-User-ID": USER},
        )

        async def heard() -> Any:
            told = [each for each in crm.seen if each.routing_key == "workflow.audit.anchored"]
            return [msgspec.json.decode(each.body) for each in told if b'"number":2' in each.body]

        (message,) = await eventually(heard)
        assert (message["tenantId"], message["data"]["tenantId"]) == (SYSTEM_TENANT, TENANT)
        position = answer.headers["X-Position"]
        export = await client.get("/api/v1/audit/export", headers={"X-Min-Position": position})
    file, anchors, key = (tmp_path / name for name in ("export.ndjson", "heard.ndjson", "key.pub"))
    file.write_bytes(export.content)
    key.write_bytes(signer.public.pem)
    messages = [each.body for each in crm.seen if each.routing_key == "workflow.audit.anchored"]
    anchors.write_bytes(b"\n".join(messages))
    told = verify_file(file, [key], [anchors])
    assert told["sound"], told
    assert told["anchors"] >= 1
