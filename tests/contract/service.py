"""The whole service as one ASGI application: built in the loop that starts it, with its followers."""

from contextlib import AsyncExitStack
from pathlib import Path

import anyio
from starlette.types import Receive, Scope, Send

from config.container import Container, build
from config.settings import load_settings


class EmbeddedService:
    """Whoever drives this as an ASGI server starts and stops the service through its lifespan."""

    def __init__(self, data_dir: Path, **environment: str) -> None:
        self._settings = load_settings(environ={"DATA_DIR": str(data_dir), **environment})
        self._container: Container | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or live from start-up to shutdown."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            assert self._container is not None, "the service has not been started"
            await self._container.app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with AsyncExitStack() as stack, anyio.create_task_group() as tasks:
            self._container = container = await build(self._settings, stack)
            for follower in container.followers:
                tasks.start_soon(follower.run)
            container.transport.start(tasks)
            tasks.start_soon(container.timers.run)
            await container.scheduler.start()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await container.scheduler.stop()
            tasks.cancel_scope.cancel()
        await send({"type": "lifespan.shutdown.complete"})
