"""SIMULATION: the model of instances, PostgreSQL logs and outboxes that ``benchmarks.simulation`` runs.

A command costs CPU on its instance's one core. Then it waits for a thread. A thread that has the core takes
all commands that wait by then, up to a limit, and handles them as a batch: CPU per batch; a round trip that
loads all their streams, which occupies a core of the database; and a round trip that appends, which waits for
the log's lock and holds it until the commit is on the disk. Without group commit a batch is one command. The
log's leader follows the committed events in batches: this costs CPU per event on its instance, in competition
with the commands, and a broker confirms a number of messages per second. An instance serves all logs, with
its own threads for each.

Not in the model: garbage collection, checkpoints and vacuum, retries after a lost race, and the broker's own
limits.
"""

from collections import deque
from collections.abc import Sequence
from statistics import fmean

import msgspec

from benchmarks.simulated_time import Clock, Process, Signal, Turn

WARM_UP = 0.5
"""The share of the simulated time that is not counted."""

BATCH = 256
"""How many messages the outbox has in flight."""

BACKLOG = 500
"""How many events the outbox may be behind before clients are held back."""

BUSY = 0.9
"""The share of the time from which a resource counts as the limit."""


class Inputs(msgspec.Struct, frozen=True):
    """The measured values; times are in microseconds."""

    command_cpu_us: float
    batch_cpu_us: float
    follower_cpu_us: float
    round_trip_us: float
    load_us: float
    load_stream_us: float
    append_us: float
    append_event_us: float
    publish_rate: float
    database_cores: float
    threads: float
    at_once: float
    clients: float
    leader_apart: bool
    """Whether a log's leader is a separate process with its own core."""


class Plan(msgspec.Struct, frozen=True):
    """One cell of the tables."""

    instances: int
    logs: int
    fsync_us: float
    group_commit: bool


class Outcome(msgspec.Struct, frozen=True):
    """The result of a plan: its rate, and the share of the time that each resource was occupied.

    ``held_back`` is the share of the clients' time that they were held back.
    """

    commands_a_second: float
    cpu: float
    lock: float
    threads: float
    held_back: float

    @property
    def limit(self) -> str:
        """The resource that limits the rate."""
        if self.held_back > 1 - BUSY:
            return "outbox"
        if self.lock > BUSY:
            return "lock"
        if self.cpu > BUSY:
            return "CPU"
        return "threads" if self.threads > BUSY else "clients"


class Log:
    """One PostgreSQL log: its lock, its cores, and the outbox of its leader."""

    def __init__(self, clock: Clock, inputs: Inputs, plan: Plan) -> None:
        self._clock = clock
        self._inputs = inputs
        self._fsync_us = plan.fsync_us
        self.lock = Turn(clock, 1)
        self.cores = Turn(clock, int(inputs.database_cores))
        self.followed = Signal(clock)
        self.backlog = 0
        self._committed = Signal(clock)
        self._batch_done = Signal(clock)
        self._broker = Turn(clock, 1)
        self._in_flight = 0

    def append(self, events: int) -> Process:
        """Append in a round trip, in which the lock is held until the commit is on the disk."""
        yield self._inputs.round_trip_us / 2
        yield self.lock
        yield self._inputs.append_us + (events - 1) * self._inputs.append_event_us + self._fsync_us
        self.lock.leave()
        self.backlog += events
        self._committed.wake()
        yield self._inputs.round_trip_us / 2

    def load(self, streams: int) -> Process:
        """Load in a round trip, in which a core of the database is occupied."""
        yield self._inputs.round_trip_us / 2
        yield self.cores
        yield self._inputs.load_us + (streams - 1) * self._inputs.load_stream_us
        self.cores.leave()
        yield self._inputs.round_trip_us / 2

    def follow(self, core: Turn) -> Process:
        """Publish the committed events in batches."""
        while True:
            if not self.backlog:
                yield self._committed
                continue
            self._in_flight = min(self.backlog, BATCH)
            for _ in range(self._in_flight):
                self._clock.resume(self._publish(core))
            yield self._batch_done

    def _publish(self, core: Turn) -> Process:
        yield core
        yield self._inputs.follower_cpu_us
        core.leave()
        yield self._broker
        yield 1e6 / self._inputs.publish_rate
        self._broker.leave()
        self.backlog -= 1
        self._in_flight -= 1
        self.followed.wake()
        if not self._in_flight:
            self._batch_done.wake()


class Instance:
    """One process with one core, and a number of threads for each log."""

    def __init__(self, clock: Clock, logs: Sequence[Log], inputs: Inputs, *, group_commit: bool) -> None:
        self._clock = clock
        self._inputs = inputs
        self._at_once = int(inputs.at_once) if group_commit else 1
        self.core = Turn(clock, 1)
        self.threads = [Turn(clock, int(inputs.threads)) for _ in logs]
        self._waiting: list[deque[Signal]] = [deque() for _ in logs]
        self._logs = logs
        self.held_back = 0.0
        self.done = 0

    def client(self, number: int) -> Process:
        """Send one command after the other, as a client whose tenant is in one of the logs."""
        log_number = number % len(self._logs)
        log, waiting = self._logs[log_number], self._waiting[log_number]
        while True:
            since = self._clock.now
            while log.backlog > BACKLOG:
                yield log.followed
            self.held_back += self._clock.now - since
            yield from self._cpu(self._inputs.command_cpu_us / 2)
            answered = Signal(self._clock)
            waiting.append(answered)
            if self.threads[log_number].is_free:
                self._clock.resume(self._work(log_number))
            yield answered
            yield from self._cpu(self._inputs.command_cpu_us / 2)
            self.done += 1

    def _work(self, log_number: int) -> Process:
        log, waiting = self._logs[log_number], self._waiting[log_number]
        yield self.threads[log_number]
        while waiting:
            yield self.core
            together = [waiting.popleft() for _ in range(min(len(waiting), self._at_once))]
            yield self._inputs.batch_cpu_us
            self.core.leave()
            if not together:
                break
            yield from log.load(len(together))
            yield from log.append(len(together))
            for answered in together:
                answered.wake()
        self.threads[log_number].leave()

    def _cpu(self, microseconds: float) -> Process:
        yield self.core
        yield microseconds
        self.core.leave()


def simulate(inputs: Inputs, plan: Plan, seconds: float) -> Outcome:
    """Run one plan for a number of simulated seconds."""
    clock = Clock()
    logs = [Log(clock, inputs, plan) for _ in range(plan.logs)]
    instances = [Instance(clock, logs, inputs, group_commit=plan.group_commit) for _ in range(plan.instances)]
    for number, log in enumerate(logs):
        shared = instances[number % plan.instances].core
        clock.resume(log.follow(Turn(clock, 1) if inputs.leader_apart else shared))
    for instance in instances:
        for number in range(int(inputs.clients)):
            clock.resume(instance.client(number), after=number)
    cores = [each.core for each in instances]
    threads = [turn for each in instances for turn in each.threads]
    locks = [each.lock for each in logs]
    begin, end = WARM_UP * seconds * 1e6, seconds * 1e6
    clock.run(begin)
    turns_then = [turn.taken() for turn in (*cores, *locks, *threads)]
    done_then = sum(each.done for each in instances)
    held_then = sum(each.held_back for each in instances)
    clock.run(end)
    shares = [
        (turn.taken() - then) / (end - begin)
        for turn, then in zip((*cores, *locks, *threads), turns_then, strict=True)
    ]
    held_back = sum(each.held_back for each in instances) - held_then
    return Outcome(
        commands_a_second=(sum(each.done for each in instances) - done_then) / (end - begin) * 1e6,
        cpu=fmean(shares[: len(cores)]),
        lock=fmean(shares[len(cores) : -len(threads)]),
        threads=fmean(shares[-len(threads) :]),
        held_back=held_back / (end - begin) / (plan.instances * inputs.clients),
    )
