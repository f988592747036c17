"""``opportunity-analysis`` from its event to its completion, four replies each, 64 at once.

Over RabbitMQ, on an SQLite log and on a PostgreSQL log: stand-ins in this process answer each step's request
at once, and begin the next workflow when one has completed, which they know from the message on the wire. And
on the in-process bus, with stand-ins in the service's process. The reference is DBOS on a PostgreSQL of this
machine: workflows of four steps that do nothing, as many at once, in one process. DBOS keeps what each step
returned; the service keeps requests and answers, tells its neighbours of them and derives documents.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
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
"""One tenant may have all that there is."""
DBOS_HOME = Path(tempfile.gettempdir(), "dbos-venv")
DBOS_WANTED = "dbos==3.4.*"

OURS = {
    "workflows.rabbitmq.sqlite": ("Workflows over RabbitMQ, SQLite log", 250),
    "workflows.rabbitmq.postgresql": ("Workflows over RabbitMQ, PostgreSQL log", 250),
    "workflows.in-process": ("Workflows in process, SQLite log", 500),
}


def run(options: Options) -> list[Measurement]:
    """All of them in turns."""
    total = options.pick(64, 600, 6_000)
    with ExitStack() as stack:
        server = stack.enter_context(postgres_server())
        log_url = stack.enter_context(migrated_database(server, options.service_root))
        sides: dict[str, Callable[[], float]] = {
            "workflows.rabbitmq.sqlite": _over_rabbitmq(stack, options, total),
            "workflows.rabbitmq.postgresql": _over_rabbitmq(stack, options, total, EVENT_STORE_URL=log_url),
            "workflows.in-process": partial(_in_process, options.service_root, total),
        }
        reference = None
        if options.with_references:
            reference = f"DBOS {_dbos_version()} on PostgreSQL"
            database = stack.enter_context(fresh_database(server))
            sides[reference] = partial(_dbos, database, options.pick(64, 300, 2_000))
        found = in_turns(options.rounds, sides)
    return [
        Measurement(
            work,
            title,
            "workflows/s",
            found[work],
            {reference: found[reference]} if reference else {},
            [Aim("at least", aim)],
            notes=[f"{total} workflows a round, {AT_ONCE} at once; each completed once, with four results"],
        )
        for work, (title, aim) in OURS.items()
    ]


def _over_rabbitmq(stack: ExitStack, options: Options, total: int, **environ: str) -> Callable[[], float]:
    url, names = stack.enter_context(broker())
    service = stack.enter_context(
        running_service(
            options.service_root, {"RABBITMQ_URL": url, **UNPACED, **environ}, overlay=names.overlay()
        )
    )
    _measure(url, names, service, AT_ONCE)
    return partial(_measure, url, names, service, total)


def _measure(url: str, names: Names, service: RunningService, total: int) -> float:
    try:
        return anyio.run(workflows_a_second, url, names, total, AT_ONCE, backend_options={"use_uvloop": True})
    except TimeoutError as error:
        raise RuntimeError(f"{error}; the service's log ends:\n{service.log.read_text()[-2000:]}") from error


def _in_process(root: Path, total: int) -> float:
    """A process a round, with the service of ``root`` and, before that tree's own, these programs."""
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


def _dbos(url: str, total: int) -> float:
    """The better of DBOS' two ways to write a workflow."""
    program = str(Path(__file__).with_name("dbos_workflows.py"))
    done = subprocess.run(
        [str(_dbos_python()), program, url, str(total), str(AT_ONCE)], capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"DBOS failed:\n{done.stderr[-3000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return float(max(found["threads"], found["coroutines"]))


@cache
def _dbos_version() -> str:
    asked = "from importlib.metadata import version; print(version('dbos'))"
    done = subprocess.run([str(_dbos_python()), "-c", asked], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@cache
def _dbos_python() -> Path:
    """DBOS' own environment, made where it is missing; another version is taken where that one is not."""
    python = DBOS_HOME / "bin/python"
    if not (DBOS_HOME / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(DBOS_HOME)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if subprocess.run([*install, DBOS_WANTED]).returncode != 0:
            subprocess.run([*install, "dbos"], check=True)
        (DBOS_HOME / "installed").touch()
    return python
