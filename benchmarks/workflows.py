"""``opportunity-analysis`` from its starting message to its completion, with four replies each, 64 at once.

It is measured over RabbitMQ, on an SQLite log and on a PostgreSQL log, on the latter with one process and
with two: stand-ins in this process answer each step's request at once, and start the next workflow when the
message of a completed one arrives. It is also measured on the in-process bus, with stand-ins in the service's
process. The reference is DBOS on a PostgreSQL of this machine, with workflows of four steps that do nothing,
as many at once, in as many processes. DBOS stores the results of steps; the service stores requests and
answers, exchanges messages with its neighbours, and derives documents.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path

import anyio

from benchmarks.harness import Aim, Measurement, Options, in_turns
from benchmarks.rabbit_stand_ins import workflows_a_second
from benchmarks.service import RunningService, environment, running_service
from benchmarks.stores import broker, migrated_database, postgres_server
from tests.neighbours import Names
from tests.postgres import fresh_database

AT_ONCE = 64
UNPACED = {"WORKFLOW_STARTS_PER_SECOND": "100000", "WORKFLOW_STARTS_AT_ONCE": "65535"}
"""Settings with which one tenant can start any number of workflows."""
DBOS_HOME = Path(tempfile.gettempdir(), "dbos-venv")
DBOS_WANTED = "dbos==3.4.*"
DBOS_THEN = {1: 105.0, 2: 166.0}
"""What DBOS did in one and in two processes on the machine on which the aims were set, in workflows a
second."""

IN_TWO = ("consumer,scheduler", "api,projector,publisher")
"""The division of the roles, of those that were tried, that loads both processes most evenly."""

OURS = {
    "workflows.rabbitmq.sqlite": ("Workflows over RabbitMQ, SQLite log", 250, 1),
    "workflows.rabbitmq.postgresql": ("Workflows over RabbitMQ, PostgreSQL log", 250, 1),
    "workflows.rabbitmq.two-processes": ("Workflows over RabbitMQ, PostgreSQL log, two processes", 250, 2),
    "workflows.in-process": ("Workflows in process, SQLite log", 500, 1),
}
"""The title and the aim of each, and how many processes it and its reference have."""


def run(options: Options) -> list[Measurement]:
    """Measure all alternately."""
    total = options.pick(64, 600, 6_000)
    with ExitStack() as stack:
        server = stack.enter_context(postgres_server())

        def log() -> str:
            return stack.enter_context(migrated_database(server, options.service_root))

        in_two = _over_rabbitmq(stack, options, total, roles=IN_TWO, EVENT_STORE_URL=log())
        sides: dict[str, Callable[[], float]] = {
            "workflows.rabbitmq.sqlite": _over_rabbitmq(stack, options, total),
            "workflows.rabbitmq.postgresql": _over_rabbitmq(stack, options, total, EVENT_STORE_URL=log()),
            "workflows.rabbitmq.two-processes": in_two,
            "workflows.in-process": partial(_in_process, options.service_root, total),
        }
        references: dict[int, str] = {}
        if options.with_references:
            name = f"DBOS {_dbos_version()} on PostgreSQL"
            references = {1: name, 2: f"{name}, two processes"}
            for processes, reference in references.items():
                databases = [stack.enter_context(fresh_database(server)) for _ in range(processes)]
                sides[reference] = partial(_dbos, databases, options.pick(64, 300, 2_000))
        found = in_turns(options.rounds, sides)
    return [
        Measurement(
            work,
            title,
            "workflows/s",
            found[work],
            {references[processes]: found[references[processes]]} if references else {},
            [_aim(aim, references.get(processes), processes)],
            notes=[f"{total} workflows a round, {AT_ONCE} at once; each completed once, with four results"],
        )
        for work, (title, aim, processes) in OURS.items()
    ]


def _aim(number: float, reference: str | None, processes: int) -> Aim:
    return Aim("at least", number, set_beside=(reference, DBOS_THEN[processes]) if reference else None)


def _over_rabbitmq(
    stack: ExitStack, options: Options, total: int, *, roles: Sequence[str | None] = (None,), **environ: str
) -> Callable[[], float]:
    """Return a function that measures a round on a new service, with a process for each of ``roles``."""
    url, names = stack.enter_context(broker())
    settings = {"RABBITMQ_URL": url, **UNPACED, **environ}
    services = [
        stack.enter_context(
            running_service(options.service_root, settings, overlay=names.overlay(), roles=each)
        )
        for each in roles
    ]
    _measure(url, names, services, AT_ONCE)
    return partial(_measure, url, names, services, total)


def _measure(url: str, names: Names, services: Sequence[RunningService], total: int) -> float:
    try:
        return anyio.run(workflows_a_second, url, names, total, AT_ONCE, backend_options={"use_uvloop": True})
    except TimeoutError as error:
        logs = "\n\n".join(service.log.read_text()[-2000:] for service in services)
        raise RuntimeError(f"{error}; the service's log ends:\n{logs}") from error


def _in_process(root: Path, total: int) -> float:
    """Measure a round in a new process, with the service of ``root`` and the benchmarks of this tree."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        Path(folder, "benchmarks").symlink_to(Path(__file__).parent)
        environ = {
            **environment(root),
            "PYTHONPATH": f"{folder}:{root}",
            "DATA_DIR": f"{folder}/data",
            **UNPACED,
            "BATCH_JOBS_ENABLED": "false",
            "LOG_LEVEL": "warning",
        }
        program = [sys.executable, "-P", "-m", "benchmarks.in_process", str(total), str(AT_ONCE)]
        done = subprocess.run(program, cwd=root, env=environ, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"the service in process failed:\n{done.stderr[-3000:]}")
    return float(done.stdout.splitlines()[-1])


def _dbos(urls: Sequence[str], total: int) -> float:
    """Return the better rate of DBOS' two ways to write a workflow, with a process for each database."""
    program = str(Path(__file__).with_name("dbos_workflows.py"))
    begun = [
        subprocess.Popen(
            [str(_dbos_python()), program, url, str(total // len(urls)), str(AT_ONCE // len(urls))],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for url in urls
    ]
    told = [process.communicate() for process in begun]
    if any(process.returncode != 0 for process in begun):
        raise RuntimeError("DBOS failed:\n" + "\n".join(errors[-3000:] for _, errors in told))
    found = [json.loads(output.splitlines()[-1]) for output, _ in told]
    return float(max(sum(each[way] for each in found) for way in ("threads", "coroutines")))


@cache
def _dbos_version() -> str:
    asked = "from importlib.metadata import version; print(version('dbos'))"
    done = subprocess.run([str(_dbos_python()), "-c", asked], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@cache
def _dbos_python() -> Path:
    """Return the Python of DBOS' virtual environment. If it is missing, it is created, with another version
    of DBOS if the wanted one is not available."""
    python = DBOS_HOME / "bin/python"
    if not (DBOS_HOME / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(DBOS_HOME)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if subprocess.run([*install, DBOS_WANTED]).returncode != 0:
            subprocess.run([*install, "dbos"], check=True)
        (DBOS_HOME / "installed").touch()
    return python
