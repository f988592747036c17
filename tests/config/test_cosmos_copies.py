"""What a copy to Cosmos DB takes along is what a service keeps, under the leases that a service has."""

from pathlib import Path

import pytest

from config.cosmos_copies import BESIDE
from interfaces.scheduling import watch
from interfaces.scheduling.timers import TimerLoop
from tests.archives import signing_settings
from tests.harness import service

pytestmark = pytest.mark.anyio


async def test_every_lease_follower_and_kind_of_timer_of_a_service_is_known(tmp_path: Path) -> None:
    async with service(signing_settings(tmp_path)) as running:
        parts = running.container.parts
        of_documents = parts.leadership_of_documents.held.keys()
        held = {*parts.leadership_of_reactions.held, *parts.leadership_of_clockwork.held} - {"audit"}
        assert set(BESIDE.leases) == held
        followers = {each.name for each in parts.followers} - of_documents - {"audit"}
        assert set(BESIDE.followers) == followers | {watch.NAME}
        (timers,) = (part for part in parts.clockwork if isinstance(part, TimerLoop))
        assert set(BESIDE.setters) == set(timers._fire_due.__self__._commands)  # type: ignore[attr-defined]
