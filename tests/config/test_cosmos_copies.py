"""What a copy to Cosmos DB takes along is what a service keeps, under the leases that a service has."""

from pathlib import Path

import pytest

from config.cosmos_beside import BESIDE
from config.roles import POLICIES, PUBLISHER
from interfaces.scheduling import watch
from tests.archives import signing_settings
from tests.harness import service

pytestmark = pytest.mark.anyio


async def test_every_follower_and_kind_of_timer_of_a_service_is_known(tmp_path: Path) -> None:
    async with service(signing_settings(tmp_path)) as running:
        parts = running.container.parts
        assert BESIDE.anchorer in parts.leadership_of_reactions.held
        (share,) = parts.shares
        deciding = {each.name for each in share.deciding}
        publishing = {each.name for each in share.followers if each not in share.materializing} - deciding
        roles = {**dict.fromkeys(deciding, POLICIES), **dict.fromkeys(publishing, PUBLISHER)}
        assert BESIDE.followers == {**roles, watch.NAME: None}
        (timers,) = share.timers
        assert set(BESIDE.kinds) == set(timers._fire_due.__self__._commands)  # type: ignore[attr-defined]
