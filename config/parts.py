"""What one instance at a time does, as far as it is among this process's roles."""

from collections.abc import Callable, Sequence

import msgspec

from application.audit.anchoring import Anchoring
from application.audit.indexing import INDEXED_AT_ONCE, Indexing, IndexPosition, LogAsStored
from application.audit.ports import Index
from application.dispatcher import Dispatcher
from application.jobs import Jobs
from application.joint_part import JointPart
from application.leadership import Leadership
from application.outbox import Outbox
from application.policies import approval_timers, job_timers, runs, task_leases, wait_steps, workflow_timers
from application.policies.approval_steps import ApprovalSteps
from application.policies.approval_timers import ApprovalTimers
from application.policies.backfills import Backfills
from application.policies.child_workflows import ChildWorkflows
from application.policies.job_timers import JobTimers
from application.policies.reaction import Reaction
from application.policies.runs import Runs
from application.policies.task_leases import TaskLeaseTimers
from application.policies.tasks import TaskSteps
from application.policies.wait_steps import WaitSteps
from application.policies.workflow_timers import WorkflowTimers
from application.ports import Clock, Publisher
from application.shared_reads import SharedReads
from application.timers import DueTimers
from config.http_steps import HttpStepParts
from config.sections import Settings
from config.stores import Stores
from interfaces.rest.root import Check
from interfaces.scheduling.cron import UnixCron
from interfaces.scheduling.firing import CronFirings
from interfaces.scheduling.heartbeat import Heartbeat
from interfaces.scheduling.job_health import JobHealthLoop
from interfaces.scheduling.marks import Marks
from interfaces.scheduling.step_calls import StepCallLoop
from interfaces.scheduling.timers import TimerLoop
from interfaces.scheduling.watch import CronOff, CronWatch
from projections.follower import Follower, FollowerStatus, Handler
from projections.ports import Checkpoints
from projections.projection import Materializer, Projection
from projections.remaking import Remaker


class Parts(msgspec.Struct, frozen=True):
    """The parts, and who decides whether this instance does them now.

    ``clockwork`` gives commands by the clock; it is stopped first, so that what they cause still goes out.
    """

    followers: Sequence[Follower]
    callers: Sequence[StepCallLoop]
    clockwork: Sequence[CronWatch | CronOff | TimerLoop]
    job_health: JobHealthLoop | None
    leadership_of_documents: Leadership
    leadership_of_reactions: Leadership
    leadership_of_clockwork: Leadership

    @property
    def leaderships(self) -> Sequence[Leadership]:
        """All of them."""
        return (self.leadership_of_documents, self.leadership_of_reactions, self.leadership_of_clockwork)

    def statuses(self) -> list[FollowerStatus]:
        """How each follower fares, and the loops."""
        timers = [part.status for part in self.clockwork if isinstance(part, TimerLoop)]
        callers = [caller.status for caller in self.callers]
        health = [] if self.job_health is None else [self.job_health.status]
        return [*(follower.status for follower in self.followers), *callers, *timers, *health]

    def held(self) -> dict[str, bool]:
        """Each part, and whether this instance does it now."""
        return {name: held for each in self.leaderships for name, held in each.held.items()}

    async def scheduler_check(self) -> Check:
        """How cron fares."""
        cron = next((part for part in self.clockwork if isinstance(part, CronWatch | CronOff)), None)
        if cron is None:
            return Check("off", "scheduler is not a role of this process")
        if isinstance(cron, CronOff):
            return Check("off", "batch_jobs.enabled is false")
        if self.leadership_of_clockwork.away is not None:
            return Check("down", f"who watches the clock is not known: {self.leadership_of_clockwork.away}")
        if not self.held()[cron.name]:
            return Check("up", "on standby: another instance watches the clock")
        if not cron.scheduler.running:
            return Check("down", "not running")
        late = cron.scheduler.last_error
        return Check("up", f"{late.job} of {late.nominal_time}: {late.error}" if late else None)

    async def finish_clockwork(self) -> None:
        """Let no new firing or timer begin; those in hand are finished."""
        await self.leadership_of_clockwork.finish()

    async def finish(self) -> None:
        """Let the followers finish the batch in hand, and give every lease back."""
        for leadership in self.leaderships:
            await leadership.finish()


def build_parts(
    settings: Settings,
    stores: Stores,
    log: SharedReads,
    projections: Sequence[Projection],
    *,
    dispatch: Dispatcher,
    publisher: Publisher,
    http_steps: HttpStepParts,
    jobs: Jobs,
    schedules: dict[str, UnixCron],
    clock: Clock,
    holder: str,
    count_heartbeat: Callable[[bool], None],
    anchoring: Anchoring | None,
) -> Parts:
    """The parts of this process's roles; ``holder`` is what it holds their leases as.

    Without a key to sign with there is no ``anchoring``.
    """
    roles = settings.service.roles

    def follower(handler: Handler, positions: Checkpoints) -> Follower:
        return Follower(
            handler,
            log,
            positions,
            now=clock.now,
            poll_seconds=settings.followers.poll_seconds,
            batch_size=settings.followers.batch_size,
        )

    materializing: list[Follower] = []
    following: list[Follower] = []
    reacting: list[Follower | JointPart | Anchoring] = []
    callers: list[StepCallLoop] = []
    clockwork: list[CronWatch | CronOff | TimerLoop] = []
    job_health: JobHealthLoop | None = None
    if "projector" in roles:
        for projection in projections:
            materializer = Materializer(
                projection,
                stores.documents,
                Remaker(projection, stores.documents, stores.event_store.load_left),
            )
            materializing.append(follower(materializer, stores.document_positions))
        if (made_index := stores.audit.made_index) is not None:
            indexing = _indexing(settings, stores, made_index, clock)
            following.append(indexing)
            reacting.append(indexing)
    if "publisher" in roles:
        outbox = follower(Outbox(publisher, dispatch), stores.log_positions)
        noting = follower(http_steps.handler, stores.log_positions)
        following += [outbox, noting]
        reacting += [outbox, http_steps.under_one_lease(noting)]
        callers.append(http_steps.loop)
        if anchoring is not None:
            reacting.append(anchoring)
    if "scheduler" in roles:
        carrying_out: list[Handler] = [
            WorkflowTimers(stores.timers),
            WaitSteps(stores.timers, dispatch),
            Reaction(ApprovalSteps(), dispatch),
            Reaction(ChildWorkflows(), dispatch),
            Runs(dispatch, stores.timers),
            Reaction(TaskSteps(), dispatch),
            TaskLeaseTimers(stores.timers),
            JobTimers(stores.timers),
            Reaction(Backfills(), dispatch),
            ApprovalTimers(stores.timers, look_again_seconds=settings.approvals.look_again_seconds),
        ]
        carriers = [follower(handler, stores.log_positions) for handler in carrying_out]
        following += carriers
        reacting += carriers
        clockwork = [
            _cron(settings, stores, dispatch, jobs, schedules, clock, count_heartbeat),
            _timers(settings, stores, dispatch, clock),
        ]
        job_health = JobHealthLoop(
            stores.event_store,
            list(jobs.by_name),
            Marks(stores.log_positions, schedules).peek,
            batch_size=settings.followers.batch_size,
        )
    return Parts(
        [*materializing, *following],
        callers,
        clockwork,
        job_health,
        Leadership(stores.document_leases, holder, materializing),
        Leadership(stores.leases, holder, reacting),
        Leadership(stores.leases, holder, clockwork),
    )


def _indexing(settings: Settings, stores: Stores, index: Index, clock: Clock) -> Follower:
    """It lies beside the log, so that one of all instances on the log does it."""
    return Follower(
        Indexing(index),
        LogAsStored(stores.event_store, stores.audit.log),
        IndexPosition(index),
        now=clock.now,
        poll_seconds=settings.followers.poll_seconds,
        batch_size=INDEXED_AT_ONCE,
    )


def _cron(
    settings: Settings,
    stores: Stores,
    dispatch: Dispatcher,
    jobs: Jobs,
    schedules: dict[str, UnixCron],
    clock: Clock,
    count_heartbeat: Callable[[bool], None],
) -> CronWatch | CronOff:
    watched = {job: schedule for job, schedule in schedules.items() if jobs.find(job).enabled}
    marks = Marks(stores.log_positions, watched, switched_off=schedules.keys() - watched.keys())
    if not settings.batch_jobs.enabled:
        return CronOff(marks)
    firings = CronFirings(dispatch)
    heartbeat: Heartbeat | None = None
    if url := settings.batch_jobs.heartbeat_url.get_secret_value():
        ping = stores.event_store.ping
        heartbeat = Heartbeat(url, ping, count_heartbeat, user_agent=settings.service.name)
    return CronWatch(jobs, watched, firings.fire, firings.miss, marks, clock, heartbeat)


def _timers(settings: Settings, stores: Stores, dispatch: Dispatcher, clock: Clock) -> TimerLoop:
    commands = {
        **workflow_timers.COMMANDS,
        **runs.COMMANDS,
        **task_leases.COMMANDS,
        **approval_timers.COMMANDS,
        **job_timers.COMMANDS,
        wait_steps.TIMER_KIND: wait_steps.wait_is_over,
    }
    due = DueTimers(stores.timers, clock, dispatch, commands)
    return TimerLoop(due.fire, poll_seconds=settings.followers.poll_seconds)
