"""Types renamed on the wire, for neighbours that accept only three parts."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.harness import service, settings_in
from tests.integration.conftest import is_connected
from tests.neighbours import Names, Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

ALIASES = {
    "workflow.risk.analysis.requested": "workflow.risk_analysis.requested",
    "shard.updated": "shard.record.updated",
    "workflow.job.trigger": "workflow.batch_job.trigger",
}


@pytest.fixture
def aliases() -> Mapping[str, str]:
    """What the neighbour knows the types by."""
    return ALIASES


async def test_aliases_rename_what_goes_out_and_are_understood_coming_in(
    tmp_path: Path, rabbitmq_url: str, names: Names, crm: Neighbour, aliases: Mapping[str, str]
) -> None:
    overlay = names.overlay(type_aliases=dict(aliases))
    async with service(settings_in(tmp_path, overlay=overlay, RABBITMQ_URL=rabbitmq_url)) as running:
        await is_connected(running)
        for event_type in ("shard.record.updated", "shard.updated"):
            await crm.send(event_type, {"shardId": event_type, "shardTypeName": "opportunity"})

        requests = await crm.expect("workflow.risk_analysis.requested", 2)
        assert {each["data"]["opportunityId"] for each in requests} == {
            "shard.record.updated",
            "shard.updated",
        }
        assert crm.messages("workflow.risk.analysis.requested") == []
        (raw, *_) = [each for each in crm.seen if each.routing_key == "workflow.risk_analysis.requested"]
        assert raw.type == "workflow.risk_analysis.requested"
