"""Builds what carries out the steps of kind ``http``."""

import anyio
import msgspec

from application.circuit_breaker import Circuits
from application.dispatcher import Dispatcher
from application.event_store import EventStore
from application.policies.http_steps import HttpSteps
from application.ports import Clock
from application.step_calls import Observe, StepCallMaker
from config.sections import Settings
from config.stores import ShareStores
from infrastructure.services.caller import HttpCaller
from infrastructure.services.tokens import ServiceTokens
from interfaces.scheduling.step_calls import StepCallLoop


class HttpStepParts(msgspec.Struct, frozen=True):
    """A handler that stores the calls of steps, and the loop that makes them, for one share."""

    handler: HttpSteps
    loop: StepCallLoop


class HttpStepBuilder:
    """Builds them, with everything that the shares of a process have in common."""

    def __init__(
        self, settings: Settings, store: EventStore, *, dispatch: Dispatcher, clock: Clock, observe: Observe
    ) -> None:
        services = settings.services
        tokens = ServiceTokens(
            settings.jwt.secret.get_secret_value(), issuer=settings.jwt.issuer, service=settings.service.name
        )
        self.circuits = Circuits(
            services.urls,
            failures=services.circuit_failures,
            open_seconds=services.circuit_seconds,
            now=anyio.current_time,
        )
        self._maker = StepCallMaker(
            HttpCaller(services.urls, tokens, user_agent=settings.service.name),
            store,
            clock,
            self.circuits,
            timeout_seconds=services.timeout_seconds,
            observe=observe,
        )
        self._dispatch = dispatch
        self._places = anyio.CapacityLimiter(services.calls_at_once)
        self._poll_seconds = settings.followers.poll_seconds

    def of(self, share: ShareStores) -> HttpStepParts:
        """Build those of a share. The loop is told of new calls. The more shares have to be asked for others,
        the less often it looks for them."""
        loop = StepCallLoop(
            share.step_calls,
            self._maker,
            self._dispatch,
            places=self._places,
            poll_seconds=self._poll_seconds * share.share.of,
        )
        return HttpStepParts(HttpSteps(share.step_calls, on_change=loop.note_change), loop)
