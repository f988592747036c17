"""The service with stand-ins on its in-process bus, in its own process. ``benchmarks.workflows`` runs this.

    python -P -m benchmarks.in_process WORKFLOWS AT_ONCE

This is the only program that uses the service's own code, because the bus has no other interface: settings
from the environment, the composition root, and the bus' ``subscribe`` and ``send``. It prints workflows per
second.
"""

import os
import sys
import time
from contextlib import AsyncExitStack

import anyio

from benchmarks.stand_ins import COMPLETED, REQUESTS, SERVICE, STARTING, Workflows, message, reply_to
from config.container import build
from config.garbage_collection import leave_alone_what_is_here_to_stay
from config.logs import configure_logs
from config.runtime import working
from config.settings import load_settings
from config.transport import InProcessTransport

TENANT = "7d0f3f2e-6a51-4b0c-9a53-1b2f5a1c9e10"
PATIENCE_SECONDS = 120.0


async def workflows_a_second(total: int, at_once: int) -> float:
    """Return the rate from the first event that is sent to the last completion that arrives."""
    workflows = Workflows(total, at_once)
    done = anyio.Event()
    async with AsyncExitStack() as stack:
        settings = load_settings(None, dict(os.environ))
        configure_logs(settings.logging, {"service": settings.service.name})
        container = await build(settings, stack)
        assert isinstance(container.transport, InProcessTransport), "a broker is configured"
        bus = container.transport.bus

        async def begin(opportunities: list[str]) -> None:
            for opportunity in opportunities:
                await bus.send(STARTING, message(STARTING, TENANT, {"opportunityId": opportunity}))

        async def answer(message_type: str, body: bytes) -> None:
            await bus.send(*reply_to(message_type, body))

        async def count(message_type: str, body: bytes) -> None:
            await begin(workflows.next_after(body))
            if workflows.are_done:
                done.set()

        bus.subscribe(SERVICE, REQUESTS, answer)
        bus.subscribe("counter", [COMPLETED], count)
        async with working(container):
            leave_alone_what_is_here_to_stay()
            began = time.perf_counter()
            await begin(workflows.first())
            with anyio.fail_after(PATIENCE_SECONDS):
                await done.wait()
            return total / (time.perf_counter() - began)


def main() -> None:
    """Print the figure."""
    total, at_once = int(sys.argv[1]), int(sys.argv[2])
    print(anyio.run(workflows_a_second, total, at_once, backend_options={"use_uvloop": True}))


if __name__ == "__main__":
    main()
