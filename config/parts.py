"""What one instance at a time does, as far as it is among this process's roles."""

import socket
from collections.abc import Sequence
from uuid import uuid4

import anyio
import msgspec

from application.audit.anchoring import Anchoring
from application.audit.indexing import INDEXED_AT_ONCE, Indexing, IndexPosition, LogAsStored
from application.audit.ports import Index
from application.dispatcher import Dispatcher
from application.held_deadlines import HeldDeadlines
from application.joint_part import JointPart
from application.leadership import Leadership, Part, PassingPart
from application.outbox import Outbox
from application.policies import (
    approval_timers,
    concurrency,
    job_timers,
    task_leases,
    wait_steps,
    workflow_timers,
)
from application.policies.approval_steps import ApprovalSteps
from application.policies.approval_timers import ApprovalTimers
from application.policies.backfills import Backfills
from application.policies.child_workflows import ChildWorkflows
from application.policies.concurrency import ConcurrencyGroups
from application.policies.http_steps import HttpSteps
from application.policies.job_timers import JobTimers
from application.policies.reaction import Reaction
from application.policies.task_leases import TaskLeaseTimers
from application.policies.tasks import TaskSteps
from application.policies.timer_keeper import TIMERS_REST_SECONDS, TimerKeeper
from application.policies.wait_steps import WaitSteps
from application.policies.workflow_timers import WorkflowTimers
from application.ports import Clock, Publisher, Timers
from application.store_clock import StoreClock
from application.timers import DueTimers, Held
from config.definitions import platform_wire_types
from config.erasures import build_completing
from config.foundation import Foundation
from config.http_steps import HttpStepBuilder
from config.roles import POLICIES, PROJECTOR, PUBLISHER, TIMERS
from config.sections import Settings
from config.stores import ShareStores, Stores
from config.transport import Transport
from domain.share import Share
from interfaces.rest.root import Check
from interfaces.scheduling.cron_commands import CronCommands
from interfaces.scheduling.heartbeat import Heartbeat
from interfaces.scheduling.job_health import JobHealthLoop
from interfaces.scheduling.marks import Marks
from interfaces.scheduling.step_calls import StepCallLoop
from interfaces.scheduling.timers import TimerLoop
from interfaces.scheduling.watch import CronOff, CronWatch
from projections.follower import REST_SECONDS, Follower
from projections.follower_status import FollowerStatus, together
from projections.ports import Checkpoints, Handler
from projections.projection import Materializer, Projection
from projections.remaking import Remaker
from projections.share_of_log import ShareOfLog


class Parts(msgspec.Struct, frozen=True):
    """The parts, and what decides whether this instance does them now.

    ``clockwork`` gives commands by the clock. It is stopped first, so that what its commands cause is still
    published.
    """

    shares: Sequence["PartsOfShare"]
    indexing: Sequence[Follower]
    cron: CronWatch | CronOff | None
    job_health: JobHealthLoop | None
    store_clock: StoreClock
    leadership_of_documents: Leadership
    leadership_of_reactions: Leadership
    leadership_of_clockwork: Leadership

    @property
    def followers(self) -> Sequence[Follower]:
        """All followers of the log, for one share of it or the whole."""
        return [*(follower for each in self.shares for follower in each.followers), *self.indexing]

    @property
    def leaderships(self) -> Sequence[Leadership]:
        """All of them."""
        return (self.leadership_of_documents, self.leadership_of_reactions, self.leadership_of_clockwork)

    def follower(self, name: str, partition: str) -> Follower | None:
        """Return the follower of a partition with a name, if that is among this process's roles."""
        here = [*self.indexing]
        for each in self.shares:
            if each.share.has(partition):
                here += each.followers
        return next((follower for follower in here if follower.name == name), None)

    def statuses(self) -> list[FollowerStatus]:
        """Return the status of each follower, and of the loops."""
        loops = [loop.status for each in self.shares for loop in each.loops]
        health = [] if self.job_health is None else [self.job_health.status]
        return together([*(follower.status for follower in self.followers), *loops, *health])

    def held(self) -> dict[str, bool]:
        """Return each part, and whether this instance does it now."""
        return {name: held for each in self.leaderships for name, held in each.held.items()}

    async def scheduler_check(self) -> Check:
        """Return the state of cron."""
        cron = self.cron
        if cron is None:
            return Check("off", "scheduler is not a role of this process")
        if isinstance(cron, CronOff):
            return Check("off", "batch_jobs.enabled is false")
        if self.leadership_of_clockwork.away is not None:
            return Check("down", f"who watches the clock is not known: {self.leadership_of_clockwork.away}")
        if self.store_clock.differs():
            return Check("up", f"stands back until its clock is right: {off_by(self.store_clock)}")
        if not self.held()[cron.name]:
            return Check("up", "on standby: another instance watches the clock")
        if not cron.scheduler.running:
            return Check("down", "not running")
        late = cron.scheduler.last_error
        return Check("up", f"{late.job} of {late.nominal_time}: {late.error}" if late else None)

    async def taken_over(self) -> None:
        """Wait until this instance does what was free, for some seconds at most. All parts are running
        then."""
        async with anyio.create_task_group() as tasks:
            for leadership in self.leaderships:
                tasks.start_soon(leadership.taken_over)

    async def finish_clockwork(self) -> None:
        """Let no new firing or timer begin. Those under way are finished."""
        await self.leadership_of_clockwork.finish()

    async def finish(self) -> None:
        """Let the followers finish the current batch, all at the same time, and give every lease back."""
        async with anyio.create_task_group() as tasks:
            for leadership in self.leaderships:
                tasks.start_soon(leadership.finish)


def off_by(store_clock: StoreClock) -> str:
    """Return how far our clock is from the store's, in words."""
    seconds = store_clock.ahead_seconds
    return f"{abs(seconds):,.0f} s {'ahead of' if seconds > 0 else 'behind'} the event store's"


class PartsOfShare(msgspec.Struct, frozen=True):
    """What is done for a share of the tenants. If that is the whole, each part has its own lease."""

    share: Share
    materializing: Sequence[Follower]
    publishing: Sequence[Follower | JointPart]
    deciding: Sequence[Follower]
    timers: Sequence[TimerLoop]
    followers: Sequence[Follower]
    loops: Sequence[StepCallLoop | TimerLoop]

    @property
    def by_the_clock(self) -> set[str]:
        """The leases of what must not be done with a wrong clock: timers, and calls, whose time may be
        over."""
        if self.share.is_whole:
            return {TimerLoop.name, HttpSteps.name}
        return {self.share.lease(TIMERS), self.share.lease(PUBLISHER)}

    def leased(self, role: str, parts: Sequence[PassingPart]) -> Sequence[Part]:
        """Return the parts as they are done under leases."""
        return parts if self.share.is_whole or not parts else [JointPart(self.share.lease(role), parts)]


def build_parts(
    foundation: Foundation,
    dispatch: Dispatcher,
    transport: Transport,
    http_steps: HttpStepBuilder,
    anchoring: Anchoring | None,
) -> Parts:
    """Build the parts of this process's roles. Without a signing key there is no ``anchoring``."""
    settings, stores, clock = foundation.settings, foundation.stores, foundation.clock
    roles = settings.service.roles
    held = HeldDeadlines(stores.event_store, clock, transport.is_taken_in).held
    builder = _ShareBuilder(foundation, dispatch, transport.publisher, http_steps, held)
    shares = [builder.build(each) for each in stores.shares]
    indexing: list[Follower] = []
    alone: list[Part] = []
    cron: CronWatch | CronOff | None = None
    job_health: JobHealthLoop | None = None
    if "projector" in roles and (made_index := stores.audit.made_index) is not None:
        indexing.append(_indexing(settings, stores, made_index, clock))
        alone += indexing
    if "projector" in roles:
        alone.append(build_completing(settings, stores, clock))
    if "publisher" in roles and anchoring is not None:
        alone.append(anchoring)
    if "scheduler" in roles:
        cron = _cron(foundation, dispatch)
        job_health = JobHealthLoop(
            stores.event_store,
            list(foundation.jobs.by_name),
            Marks(stores.log_positions, foundation.schedules).peek,
            batch_size=settings.followers.batch_size,
        )
    documents = [part for each in shares for part in each.leased(PROJECTOR, each.materializing)]
    reactions = [
        part
        for each in shares
        for part in (*each.leased(PUBLISHER, each.publishing), *each.leased(POLICIES, each.deciding))
    ]
    clockwork = [part for each in shares for part in each.leased(TIMERS, each.timers)]
    holder = f"{socket.gethostname()}-{foundation.source.instance}-{uuid4().hex[:8]}"
    return Parts(
        shares,
        indexing,
        cron,
        job_health,
        stores.store_clock,
        *(
            Leadership(
                leases,
                holder,
                parts,
                switches=lambda: stores.event_store.switches,
                store=stores.store_clock,
                by_the_clock={CronWatch.name}.union(*(each.by_the_clock for each in shares)),
            )
            for leases, parts in (
                (stores.document_leases, documents),
                (stores.leases, [*alone, *reactions]),
                (stores.leases, clockwork if cron is None else [cron, *clockwork]),
            )
        ),
    )


class _ShareBuilder:
    """Builds what is done for a share. Each share has handlers of its own, because they remember things."""

    def __init__(
        self,
        foundation: Foundation,
        dispatch: Dispatcher,
        publisher: Publisher,
        http_steps: HttpStepBuilder,
        held: Held,
    ) -> None:
        self._foundation = foundation
        self._settings = foundation.settings
        self._stores = foundation.stores
        self._dispatch = dispatch
        self._publisher = publisher
        self._http_steps = http_steps
        self._held = held

    def build(self, stores: ShareStores) -> PartsOfShare:
        """Build the parts of this process's roles for a share."""
        roles = self._settings.service.roles
        materializing: list[Follower] = []
        publishing: list[Follower | JointPart] = []
        deciding: list[Follower] = []
        timers: list[TimerLoop] = []
        following: list[Follower] = []
        loops: list[StepCallLoop | TimerLoop] = []
        if "projector" in roles:
            materializing += [
                self._materializer(each, stores.share) for each in self._foundation.projections.all()
            ]
        if "publisher" in roles:
            http_steps = self._http_steps.of(stores)
            outbox = self._follower(
                Outbox(self._publisher, self._dispatch, wire_types=platform_wire_types(self._settings)),
                stores.share,
            )
            noting = self._follower(http_steps.handler, stores.share)
            publishing += [outbox, JointPart(http_steps.handler.name, [noting, http_steps.loop])]
            following += [outbox, noting]
            loops.append(http_steps.loop)
        if "scheduler" in roles:
            deciding += [self._deciding(each, stores.share) for each in self._policies(stores.timers)]
            timers.append(self._timers(stores))
            loops += timers
        followers = [*materializing, *following, *deciding]
        return PartsOfShare(stores.share, materializing, publishing, deciding, timers, followers, loops)

    def _policies(self, timers: Timers) -> Sequence[Handler]:
        return [
            WorkflowTimers(timers),
            WaitSteps(timers, self._dispatch),
            Reaction(ApprovalSteps(), self._dispatch),
            Reaction(ChildWorkflows(), self._dispatch),
            ConcurrencyGroups(self._dispatch, timers),
            Reaction(TaskSteps(), self._dispatch),
            TaskLeaseTimers(timers),
            JobTimers(timers),
            Reaction(Backfills(), self._dispatch),
            ApprovalTimers(timers, look_again_seconds=self._settings.approvals.look_again_seconds),
        ]

    def _timers(self, stores: ShareStores) -> TimerLoop:
        commands = {
            **workflow_timers.COMMANDS,
            **concurrency.COMMANDS,
            **task_leases.COMMANDS,
            **approval_timers.COMMANDS,
            **job_timers.COMMANDS,
            wait_steps.TIMER_KIND: wait_steps.wait_is_over,
        }
        has_partitions = not stores.share.is_whole
        due = DueTimers(
            stores.timers,
            self._foundation.clock,
            self._dispatch,
            commands,
            self._held,
            catch_up=self._stores.event_store.catch_up if has_partitions else None,
            tenants_fail_apart=has_partitions,
            count_set_back=self._foundation.metrics.clock_set_back,
        )
        return TimerLoop(due.fire, poll_seconds=self._settings.followers.poll_seconds)

    def _materializer(self, projection: Projection, share: Share) -> Follower:
        documents = self._stores.documents
        remaker = Remaker(projection, documents, self._stores.event_store.load_left)
        handler = Materializer(projection, documents, remaker, is_alone=share.is_whole)
        return self._follower(handler, share, self._stores.document_positions)

    def _deciding(self, handler: Handler, share: Share) -> Follower:
        """Build a follower that handles events one by one, which takes a while. If one order holds several
        tenants, they take turns."""
        return self._follower(
            handler,
            share,
            in_turns=share.is_whole and isinstance(handler, Reaction | ConcurrencyGroups),
            rest_seconds=TIMERS_REST_SECONDS if isinstance(handler, TimerKeeper) else REST_SECONDS,
        )

    def _follower(
        self,
        handler: Handler,
        share: Share,
        positions: Checkpoints | None = None,
        *,
        in_turns: bool = False,
        rest_seconds: float = REST_SECONDS,
    ) -> Follower:
        log = self._foundation.reads
        return Follower(
            handler,
            log if share.is_whole else ShareOfLog(log, share),
            positions or self._stores.log_positions,
            now=self._foundation.clock.now,
            poll_seconds=self._settings.followers.poll_seconds,
            batch_size=self._settings.followers.batch_size,
            in_turns=in_turns,
            rest_seconds=rest_seconds,
        )


def _indexing(settings: Settings, stores: Stores, index: Index, clock: Clock) -> Follower:
    """Build the follower of the index, which lies beside the log, so that one of all instances on the log
    does it."""
    return Follower(
        Indexing(index),
        LogAsStored(stores.event_store, stores.audit.log),
        IndexPosition(index),
        now=clock.now,
        poll_seconds=settings.followers.poll_seconds,
        batch_size=INDEXED_AT_ONCE,
    )


def _cron(foundation: Foundation, dispatch: Dispatcher) -> CronWatch | CronOff:
    settings, stores, jobs = foundation.settings, foundation.stores, foundation.jobs
    schedules = foundation.schedules
    watched = {job: schedule for job, schedule in schedules.items() if jobs.find(job).enabled}
    marks = Marks(stores.log_positions, watched, switched_off=schedules.keys() - watched.keys())
    if not settings.batch_jobs.enabled:
        return CronOff(marks)
    firings = CronCommands(dispatch)
    heartbeat: Heartbeat | None = None
    if url := settings.batch_jobs.heartbeat_url.get_secret_value():
        ping = stores.event_store.ping
        heartbeat = Heartbeat(url, ping, foundation.metrics.heartbeat, user_agent=settings.service.name)
    return CronWatch(jobs, watched, firings.fire, firings.miss, marks, foundation.clock, heartbeat)
