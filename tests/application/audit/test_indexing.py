"""How the index follows the log: behind the writes, much at once, and at once where somebody waits for it."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from application.audit.indexing import LOOK_EVERY_SECONDS
from tests.audit_trail import audited_log
from tests.builders import LEASE, TENANT
from tests.harness import eventually

pytestmark = pytest.mark.anyio


async def test_while_events_come_all_the_time_it_takes_many_at_once(tmp_path: Path) -> None:
    async with audited_log(tmp_path) as log:
        follower, puts, put = log.follower(batch_size=1000), 0, log.made_index.put

        async def counted(*arguments: Any) -> None:
            nonlocal puts
            puts += 1
            await put(*arguments)

        vars(log.made_index)["put"] = counted
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follower.run, LEASE)
            began = anyio.current_time()
            for version in range(1, 151):
                log.append((f"{TENANT}/1", 1), first_version=version)
                log.store.notice(None)
                await anyio.sleep(0.005)
            seconds = anyio.current_time() - began
            follower.look_again()

            async def caught_up() -> bool:
                return (await log.stores.index.head(TENANT)).number == 150

            await eventually(caught_up)
            follower.stop()
        assert puts <= seconds / LOOK_EVERY_SECONDS + 3


async def test_who_waits_for_it_need_not_wait_for_the_next_look(tmp_path: Path) -> None:
    """A look that has just found little, and another one asked for right behind it."""
    async with audited_log(tmp_path) as log:
        follower = log.follower()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follower.run, LEASE)
            for version in range(1, 21):
                log.append((f"{TENANT}/1", 1), first_version=version)
                follower.look_again()

                async def is_there(version: int = version) -> bool:
                    return (await log.stores.index.head(TENANT)).number == version

                await eventually(is_there, every=0.002)
            follower.stop()
