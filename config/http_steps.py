"""What carries out the steps of kind ``http``."""

import anyio
import msgspec

from application.circuit_breaker import Circuits
from application.dispatcher import Dispatcher
from application.joint_part import JointPart
from application.policies.http_steps import HttpSteps
from application.ports import Clock
from application.step_calls import Observe, StepCallMaker
from config.sections import Settings
from config.stores import Stores
from infrastructure.services.caller import HttpCaller
from infrastructure.services.tokens import ServiceTokens
from interfaces.scheduling.step_calls import StepCallLoop
from projections.follower import Follower


class HttpStepParts(msgspec.Struct, frozen=True):
    """A handler that notes the calls, and the loop that makes them; one instance does both."""

    handler: HttpSteps
    loop: StepCallLoop
    circuits: Circuits

    def under_one_lease(self, follower: Follower) -> JointPart:
        """The part; ``follower`` feeds the handler."""
        return JointPart(self.handler.name, [follower, self.loop])


def build_http_steps(
    settings: Settings,
    stores: Stores,
    *,
    dispatch: Dispatcher,
    clock: Clock,
    observe: Observe,
) -> HttpStepParts:
    """Everything of them but the follower."""
    services = settings.services
    tokens = ServiceTokens(
        settings.jwt.secret.get_secret_value(), issuer=settings.jwt.issuer, service=settings.service.name
    )
    caller = HttpCaller(services.urls, tokens, user_agent=settings.service.name)
    circuits = Circuits(
        services.urls,
        failures=services.circuit_failures,
        open_seconds=services.circuit_seconds,
        now=anyio.current_time,
    )
    maker = StepCallMaker(
        caller,
        stores.event_store,
        clock,
        circuits,
        timeout_seconds=services.timeout_seconds,
        observe=observe,
    )
    loop = StepCallLoop(
        stores.step_calls,
        maker,
        dispatch,
        at_once=services.calls_at_once,
        poll_seconds=settings.followers.poll_seconds,
    )
    return HttpStepParts(HttpSteps(stores.step_calls, on_change=loop.note_change), loop, circuits)
