"""The cost of the same work with a small and a large past, as a ratio.

Three pasts grow, one at a time:

- the log: 1,000 or 1,000,000 events of other tenants, with their documents;
- the tenant: 10 or 100,000 documents in one list, in logs of the same length;
- one stream: 10 or 10,000 events. It is the stream of a batch job, which has all of the job's runs; a
  workflow with four steps never has as many.

The work is creating an approval (with everything that follows in projections and outbox), reading one, a page
of ten, and triggering a job. The cost is the CPU time of the service's process, and for pages and triggers
also the median response time, one request at a time. The two services run at the same time and get small
parts of the work alternately, so that a machine that is slower for a while is slower for both. Finally, each
service is started several times, alternately, on 4,000 events that it has not followed: measured is the time
per thousand, between the first document and the last, by the clock and by the CPU of the process.
"""

import os
import shutil
import sqlite3
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

from benchmarks.harness import Aim, Measurement, Options, in_turns
from benchmarks.pasts import JOB, SYSTEM_TENANT, Past, past_of
from benchmarks.requests import Call, ask_all, creating
from benchmarks.service import TENANT, RunningService, prepared_service, running_service

SMALL = "small past"
MOST = 1.15
WARM_UP = 50
BACKLOG = 4_000
TRIGGERS = 40
TURNS = 10
STARTS = 9
QUIET_SECONDS = 1.0
PAGE = Call("GET", "hitl/approvals?limit=10")
TRIGGER = Call("POST", f"jobs/{JOB}/trigger", {"metadata": {}}, SYSTEM_TENANT)

_Sides = Mapping[str, RunningService]
_Costs = Mapping[str, dict[str, float]]
"""The cost of each work, by side."""


def run(options: Options) -> list[Measurement]:
    """Measure each past in turn, small and large side by side."""
    events, documents, stream = options.pick(
        (1_000, 200, 100), (100_000, 10_000, 1_000), (1_000_000, 100_000, 10_000)
    )
    within = documents * 5
    return [
        *_grown(options, "log", f"1,000 to {events:,} events", Past(1_000), Past(events)),
        *_grown(
            options, "documents", f"10 to {documents:,} documents", Past(within), Past(within, documents)
        ),
        *_grown(
            options,
            "stream",
            f"10 to {stream:,} events in a stream",
            Past(1_000, job_events=10),
            Past(1_000, job_events=stream),
            only=_trigger_costs,
            parts_a_round=3,
        ),
    ]


def _grown(
    options: Options,
    name: str,
    title: str,
    small: Past,
    big: Past,
    only: "Callable[[Options, _Sides], _Costs] | None" = None,
    parts_a_round: int = 1,
) -> list[Measurement]:
    found: dict[str, dict[str, list[float]]] = {"big": defaultdict(list), SMALL: defaultdict(list)}
    for _ in range(options.rounds * parts_a_round):
        with _side_by_side(options, {"big": big, SMALL: small}) as sides:
            for side, costs in (only or _costs)(options, sides).items():
                for work, cost in costs.items():
                    found[side][work].append(cost)
    return [
        Measurement(
            f"growth.{name}.{work}",
            f"{title}: {_TITLES[work][0]}",
            _TITLES[work][1],
            values,
            {SMALL: found[SMALL][work]},
            [Aim("at most", MOST, SMALL)],
            better="lower",
        )
        for work, values in found["big"].items()
    ]


_TITLES: Mapping[str, tuple[str, str]] = {
    "command": ("one approval asked for, with all that follows", "µs CPU"),
    "read": ("one approval read", "µs CPU"),
    "page": ("a page of ten", "µs CPU"),
    "page-latency": ("a page of ten, median", "ms"),
    "catch-up": ("1,000 events followed after a start", "ms"),
    "catch-up-cpu": ("1,000 events followed after a start, CPU", "ms CPU"),
    "trigger": ("a job triggered, with all that follows", "µs CPU"),
    "trigger-latency": ("a job triggered, median", "ms"),
}


@contextmanager
def _side_by_side(options: Options, pasts: Mapping[str, Past]) -> Iterator[_Sides]:
    """Yield a service for each past, all running at the same time."""
    root = options.service_root
    with ExitStack() as stack:
        folders = {side: stack.enter_context(past_of(root, past)) for side, past in pasts.items()}
        sides = {
            side: stack.enter_context(running_service(root, _QUIET, data_dir=data))
            for side, data in folders.items()
        }
        for service in sides.values():
            _keep_on_one_core(service)
        yield sides


def _keep_on_one_core(service: RunningService) -> None:
    """Keep a service's threads on one core. Otherwise the same page costs once or twice as much CPU, as its
    thread happens to run on the loop's core or on another one."""
    core = max(os.sched_getaffinity(0))
    for thread in Path(f"/proc/{service.pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def _costs(options: Options, sides: _Sides) -> _Costs:
    """Return the cost of each piece of work in each service."""
    count = options.pick(100, 2_000, 4_000)
    reads: dict[str, Call] = {}
    for side, service in sides.items():
        ask_all(service.url, [PAGE] * WARM_UP, 4)
        (listed, *_) = ask_all(service.url, [PAGE], 1)
        reads[side] = Call("GET", f"hitl/approvals/{listed.json['approvals'][0]['id']}")
        ask_all(service.url, list(creating(WARM_UP)), 4)
    part = max(1, count // TURNS)
    found = {
        "read": _in_parts(sides, lambda side, service: _cpu_us(service, [reads[side]] * part)),
        "page": _in_parts(sides, lambda _, service: _cpu_us(service, [PAGE] * (part // 2))),
        "page-latency": _in_parts(sides, lambda _, service: _median_ms(service, [PAGE] * (WARM_UP // 5))),
        "command": _in_parts(sides, lambda _, service: _command_us(service, part // 2)),
    }
    for service in sides.values():
        service.stop()
    root = options.service_root
    behind = {side: _left_behind(root, service.data_dir) for side, service in sides.items()}
    turns = in_turns(STARTS, {side: partial(_catch_up, root, *of_side) for side, of_side in behind.items()})
    for work, clock in (("catch-up", 0), ("catch-up-cpu", 1)):
        found[work] = {side: statistics.median(turn[clock] for turn in turns[side]) for side in sides}
    return {side: {work: costs[side] for work, costs in found.items()} for side in sides}


def _trigger_costs(_: Options, sides: _Sides) -> _Costs:
    """Return the cost of adding to the job's stream, with so few events that the small one stays small.

    The first triggers are not measured: a process reads a long stream once, and makes a snapshot afterwards.
    """
    for service in sides.values():
        ask_all(service.url, [TRIGGER] * 5, 1)
        _until_quiet(service)
    latencies: dict[str, list[float]] = defaultdict(list)

    def triggered(side: str, service: RunningService) -> float:
        began = _cpu_seconds(service.pid)
        answers = ask_all(service.url, [TRIGGER] * (TRIGGERS // TURNS), 1)
        latencies[side] += [each.seconds for each in answers]
        return (_cpu_seconds(service.pid) - began) / len(answers) * 1e6

    costs = _in_parts(sides, triggered)
    return {
        side: {"trigger": costs[side], "trigger-latency": statistics.median(latencies[side]) * 1e3}
        for side in sides
    }


def _in_parts(sides: _Sides, measure: Callable[[str, RunningService], float]) -> dict[str, float]:
    """Return the median of the parts for each side. The parts are measured alternately."""
    parts = in_turns(TURNS, {side: partial(measure, side, service) for side, service in sides.items()})
    return {side: statistics.median(costs) for side, costs in parts.items()}


_QUIET = {"LOG_LEVEL": "warning"}


def _cpu_us(service: RunningService, calls: Sequence[Call]) -> float:
    """Return the service's CPU time per call."""
    began = _cpu_seconds(service.pid)
    ask_all(service.url, calls, 8)
    return (_cpu_seconds(service.pid) - began) / len(calls) * 1e6


def _command_us(service: RunningService, count: int) -> float:
    """Return the service's CPU time per created approval, until the documents of all exist."""
    began = _cpu_seconds(service.pid)
    answers = ask_all(service.url, list(creating(count)), 8)
    _until_there(service.data_dir / "documents.db", [each.json["id"] for each in answers])
    return (_cpu_seconds(service.pid) - began) / count * 1e6


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time from the process' own clock, because ``/proc`` counts in steps of 10 ms."""
    return time.clock_gettime(~pid << 3 | 2)


def _median_ms(service: RunningService, calls: Sequence[Call]) -> float:
    return statistics.median(answer.seconds for answer in ask_all(service.url, calls, 1)) * 1e3


def _left_behind(root: Path, data: Path) -> tuple[Path, list[str]]:
    """Add ``BACKLOG`` approvals to a log, and keep its documents and positions of before, as after a crash.
    Return the folder and the approvals' IDs."""
    for file in _behind(data):
        shutil.copy(file, file.with_suffix(".before"))
    with running_service(root, _QUIET, data_dir=data) as service:
        return data, [each.json["id"] for each in ask_all(service.url, list(creating(BACKLOG)), 8)]


def _behind(data: Path) -> list[Path]:
    return [data / "documents.db", data / "events-followers.db"]


def _catch_up(root: Path, data: Path, asked: Sequence[str]) -> Sequence[float]:
    """Start a service on the documents of before. Return the milliseconds to follow 1,000 events, by the
    clock and by the CPU of the process."""
    for file in _behind(data):
        shutil.copy(file.with_suffix(".before"), file)
    with prepared_service(root, _QUIET, data_dir=data) as service:
        service.launch()
        clocks = (time.perf_counter, partial(_cpu_seconds, service.pid))
        seconds = _until_there(data / "documents.db", asked, clocks)
        service.until_ready()
    return [each * 1_000 * 1_000 for each in seconds]


def _until_quiet(service: RunningService) -> None:
    """Wait until the service has finished what follows its responses."""
    while True:
        before = _cpu_seconds(service.pid)
        time.sleep(QUIET_SECONDS)
        if _cpu_seconds(service.pid) - before < QUIET_SECONDS / 10:
            return


def _until_there(
    documents: Path, ids: Sequence[str], clocks: Sequence[Callable[[], float]] = ()
) -> Sequence[float]:
    """Wait for the documents. Return the seconds per document by each clock, from the first one that was
    seen. The file is read directly, so that the service has no additional load."""
    marks = ", ".join("?" * len(ids))
    statement = f"SELECT count(*) FROM hitl_approvals WHERE tenant = ? AND id IN ({marks})"
    deadline = time.monotonic() + 60
    uri = f"{documents.as_uri()}?mode=ro"
    begun, at_first = [0.0] * len(clocks), 0
    with closing(sqlite3.connect(uri, uri=True, timeout=10)) as connection:
        while (found := connection.execute(statement, (TENANT, *ids)).fetchone()[0]) < len(ids):
            if found and not at_first:
                begun, at_first = [clock() for clock in clocks], found
            if time.monotonic() > deadline:
                raise RuntimeError(f"the documents of {len(ids)} approvals are not there after a minute")
            time.sleep(0.005)
    took = [clock() - began for clock, began in zip(clocks, begun, strict=True)]
    return [each / (len(ids) - at_first) if at_first else 0.0 for each in took]
