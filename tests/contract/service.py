"""The whole service as one ASGI application, built in the event loop of whoever starts it."""

from starlette.types import Receive, Scope, Send

from config.settings import Settings
from tests.harness import Service, service


class EmbeddedService:
    """Starts the service, and stops it, with the lifespan of the application."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._service: Service | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or live from start-up to shutdown."""
        if scope["type"] == "lifespan":
            await receive()
            async with service(self._settings) as self._service:
                await send({"type": "lifespan.startup.complete"})
                await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            assert self._service is not None, "the service has not been started"
            await self._service.container.app(scope, receive, send)
