"""Makes calls as they come, concurrently, while this instance is the one that makes them."""

from collections.abc import Sequence
from contextlib import suppress

import anyio
import structlog
from anyio.abc import TaskGroup

from application.call_lanes import Lanes
from application.command import Command
from application.dispatcher import Dispatcher
from application.ports import StepCall, StepCalls
from application.step_calls import StepCallMaker, failed
from domain.errors import Failure, LeaseLost, Refusal, StoreUnavailable
from domain.lease import Lease
from interfaces.scheduling.loop_progress import LoopProgress
from projections.follower_status import FollowerStatus
from projections.patience import Patience, Stopped

_REST_SECONDS = 0.003
"""The pause between two rounds, so that under load several calls come together, and several end together."""

_DRAIN_SECONDS = 3.0
"""How long calls under way may take when the service stops. A call that is not answered by then is made
again."""

log = structlog.get_logger(__name__)


class StepCallLoop:
    """Takes calls from the list, makes them, gives the commands, and deletes what is done.

    ``places`` belong to the process: several loops may use them, each with a share of the tenants.
    """

    name = "step-calls"
    failing_seconds = 0.0
    """Always 0: a neighbour that is away is no failure here, and otherwise the loop depends only on the event
    store."""

    def __init__(
        self,
        calls: StepCalls,
        maker: StepCallMaker,
        dispatch: Dispatcher,
        *,
        places: anyio.CapacityLimiter,
        poll_seconds: float,
    ) -> None:
        self._calls = calls
        self._maker = maker
        self._dispatch = dispatch
        self._places = places
        self._at_once = int(places.total_tokens)
        self._poll_seconds = poll_seconds
        self._patience = Patience("step calls")
        self._lanes = Lanes(self._at_once)
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._done: set[str] = set()
        self._woken = anyio.Event()
        self._may_have_more = True
        self._progress = LoopProgress(self.name)

    @property
    def status(self) -> FollowerStatus:
        """The loop's state, in the form of a follower's."""
        return self._progress.status(is_over=self._patience.is_over)

    def note_change(self, struck_out: Sequence[str]) -> None:
        """Note that the list has changed: there may be new calls, and those under way that were deleted
        end."""
        self._lanes.strike_out(struck_out)
        for id in struck_out:
            if id in self._scopes:
                self._scopes[id].cancel()
        self._may_have_more = True
        self._woken.set()

    async def take_over(self, lease: Lease) -> None:
        """Do nothing: the calls are in a store."""

    async def run(self, lease: Lease) -> None:
        """Make calls until :meth:`stop` or :meth:`leave`.

        Raises:
            LeaseLost: another instance makes them now.
        """
        self._patience.begin()
        self._progress.note_begun()
        self._lanes, self._done, self._may_have_more = Lanes(self._at_once), set(), True
        lost: LeaseLost | None = None
        try:
            async with anyio.create_task_group() as tasks:
                try:
                    await self._go_on(lease, tasks)
                    tasks.cancel_scope.deadline = anyio.current_time() + _DRAIN_SECONDS
                except LeaseLost as error:
                    lost = error
                    tasks.cancel_scope.cancel()
        finally:
            self._progress.note_ended()
        if lost is not None:
            raise lost
        with suppress(Failure):
            await self._strike_out_done(lease)

    def stop(self) -> None:
        """Ask :meth:`run` to return. Calls under way have a moment left."""
        self._patience.stop()
        self._woken.set()

    def leave(self) -> None:
        """Ask :meth:`run` to return; it may be run again."""
        self._patience.pause()
        self._woken.set()

    async def _go_on(self, lease: Lease, tasks: TaskGroup) -> None:
        with suppress(Stopped):
            while not self._patience.is_stopped:
                await self._patience.until_done(
                    lambda: self._turn(lease, tasks),
                    may_pass=lambda error, _: not isinstance(error, LeaseLost),
                    on_failure=self._progress.note_failure,
                )
                self._progress.note_success()
                with anyio.move_on_after(self._poll_seconds) as polling:
                    await self._woken.wait()
                self._may_have_more |= polling.cancelled_caught
                self._woken = anyio.Event()
                await anyio.sleep(_REST_SECONDS)

    async def _turn(self, lease: Lease, tasks: TaskGroup) -> None:
        """Delete what is done, look for more if there may be any, and begin what may begin."""
        lease.check()
        await self._strike_out_done(lease)
        if self._may_have_more or self._lanes.runs_dry:
            self._may_have_more = False
            try:
                under_way = set(self._lanes.under_way)
                found = await self._calls.waiting(each=self._lanes.each, besides=under_way)
            except BaseException:
                self._may_have_more = True
                raise
            self._lanes.refill([call for call in found if call.id not in self._done])
        for call in self._lanes.startable():
            tasks.start_soon(self._see_through, call, lease)

    async def _strike_out_done(self, lease: Lease) -> None:
        done = sorted(self._done)
        if done:
            await self._calls.change(add=(), remove=done, lease=lease)
            self._done.difference_update(done)

    async def _see_through(self, call: StepCall, lease: Lease) -> None:
        """Make a call and give the command. What cannot be stored now is kept until it can. A failure ends
        this one step, by its deadline if necessary."""
        try:
            with anyio.CancelScope() as self._scopes[call.id]:
                lease.check()
                if await self._patience.until_done(
                    lambda: self._maker.is_waited_for(call), may_pass=_is_away
                ):
                    command = await self._outcome(call)
                    self._progress.done += 1
                    if command is not None:
                        await self._give(command, call)
            self._done.add(call.id)
        except (LeaseLost, Stopped):
            pass
        except Exception:
            log.exception("http_step_broke", workflow=call.workflow_id, step=call.step_type, call=call.id)
            self._done.add(call.id)
        finally:
            self._scopes.pop(call.id, None)
            self._lanes.end(call)
            self._woken.set()

    async def _outcome(self, call: StepCall) -> Command | None:
        """Return the outcome of a call. One that raises has failed, because nothing else ends a step without
        a deadline."""
        try:
            async with self._places:
                return await self._maker.make(call)
        except Exception as error:
            log.exception("http_step_call_broke", workflow=call.workflow_id, step=call.step_type)
            return failed(call, f"the call cannot be made: {type(error).__name__}")

    async def _give(self, command: Command, call: StepCall) -> None:
        try:
            await self._patience.until_done(lambda: self._dispatch(command), may_pass=_is_away)
        except Refusal as refusal:
            log.warning("http_step_refused", workflow=call.workflow_id, reason=refusal.in_a_line)
        except (LeaseLost, Stopped):
            raise
        except Exception as error:
            log.exception("http_step_answer_broke", workflow=call.workflow_id, step=call.step_type)
            fault = failed(call, f"the answer cannot be taken: {type(error).__name__}")
            await self._patience.until_done(lambda: self._dispatch(fault), may_pass=_is_away)


def _is_away(error: Exception, _: int) -> bool:
    return isinstance(error, StoreUnavailable)
