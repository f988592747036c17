"""The part of a service that completes interrupted erasures."""

from collections.abc import Sequence

import anyio

from application.ports import Clock
from application.privacy.completing import Completing
from application.privacy.erasing import Erasing
from config.sections import Settings
from config.stores import Stores

MARGIN_SECONDS = 0.5
"""In addition to the time after which no process has a destroyed key in memory."""


def build_completing(settings: Settings, stores: Stores, clock: Clock) -> Completing:
    """Build the part. It makes no documents again: followers do that when they read the erasure."""

    async def wait() -> None:
        await anyio.sleep(settings.privacy.fresh_seconds + MARGIN_SECONDS)

    async def leave_it_to_followers(streams: Sequence[str]) -> None:
        """Nothing is done here."""

    return Completing(
        Erasing(
            stores.event_store,
            stores.audit.log,
            stores.audit.index,
            stores.personal.keys,
            clock,
            wait=wait,
            remake=leave_it_to_followers,
        )
    )
