"""The real services that tests need: those on their usual ports, or own ones that are started for the run.

On CI a missing service fails the run. Elsewhere the tests that need it are skipped, as pytest's summary
shows.
"""

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

START_SECONDS = 60.0


def is_listening(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether a port accepts connections."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def free_port() -> int:
    """Return a port on which no process listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def lasting_port() -> int:
    """Return a port for a server that is restarted: one that no outgoing connection can take meanwhile."""
    while True:
        port = random.randrange(20_000, 30_000)
        if not is_listening(port):
            return port


def missing(what: str) -> NoReturn:
    """Fail on CI, skip elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is needed: it is neither running nor installed")
    pytest.skip(f"{what} IS MISSING: install it, or start it on its usual port")


@contextmanager
def rabbitmq() -> Iterator[str]:
    """Yield the URL of a RabbitMQ server: the running one, or else an own one."""
    if given := os.environ.get("RABBITMQ_TEST_URL"):
        yield given
    elif is_listening(5672):
        yield "amqp://guest:guest@127.0.0.1:5672/"
    else:
        with own_rabbitmq(free_port()) as url:
            yield url


@contextmanager
def own_rabbitmq(port: int) -> Iterator[str]:
    """Yield the URL of a new, empty RabbitMQ server on ``port``."""
    with rabbitmq_node(port) as node:
        node.start()
        yield node.url


@contextmanager
def rabbitmq_node(port: int, **limits: int) -> Iterator["RabbitNode"]:
    """Yield a RabbitMQ server that is not running yet. It keeps its data when restarted. ``limits`` are
    settings of its configuration file.
    """
    program = shutil.which("rabbitmq-server", path=f"/usr/lib/rabbitmq/bin:{os.environ['PATH']}")
    if program is None:
        missing("RabbitMQ")
    with tempfile.TemporaryDirectory(prefix="rabbit-") as folder:
        node = RabbitNode(program, folder, port, limits)
        try:
            yield node
        finally:
            node.stop()


class RabbitNode:
    """An own RabbitMQ server, which can be started and stopped."""

    def __init__(self, program: str, folder: str, port: int, limits: Mapping[str, int]) -> None:
        self.url = f"amqp://guest:guest@127.0.0.1:{port}/"
        self._program = program
        self._port = port
        config = Path(folder, "rabbitmq.conf")
        settings = {"listeners.tcp.default": f"127.0.0.1:{port}", **limits}
        config.write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
        self._environment = {
            **os.environ,
            "HOME": folder,
            "RABBITMQ_CONFIG_FILE": str(config),
            "RABBITMQ_NODENAME": f"test{port}@localhost",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, and wait until it listens."""
        self._process = subprocess.Popen(
            [self._program], env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _wait_for(lambda: is_listening(self._port), "RabbitMQ", self._process)

    def told(self, *question: str) -> str:
        """Return the output of rabbitmqctl."""
        program = str(Path(self._program).with_name("rabbitmqctl"))
        command = [program, "-n", self._environment["RABBITMQ_NODENAME"], "--quiet", *question]
        ran = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def freeze(self) -> None:
        """Suspend the server until :meth:`thaw` or the end."""
        if self._process is not None:
            _signal_family(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume the server."""
        if self._process is not None:
            _signal_family(self._process.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Stop the server. Repeated calls do no harm."""
        self.thaw()
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(timeout=30)


@contextmanager
def postgresql() -> Iterator[str]:
    """Yield the URL of the maintenance database of a PostgreSQL server: the running one, or else an own
    one."""
    if given := os.environ.get("POSTGRES_TEST_URL"):
        yield given
    elif is_listening(5432):
        yield "postgresql://postgres@127.0.0.1:5432/postgres"
    else:
        with own_postgresql(free_port()) as url:
            yield url


@contextmanager
def own_postgresql(port: int) -> Iterator[str]:
    """Yield the URL of the maintenance database of a new PostgreSQL server on ``port``."""
    with postgres_node(port) as node:
        node.start()
        yield node.url


@contextmanager
def postgres_node(port: int, **environ: str) -> Iterator["PostgresNode"]:
    """Yield a PostgreSQL server that is not running yet. It keeps its data when restarted."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    pg_ctl = shutil.which("pg_ctl") or (str(found[-1]) if found else None)
    if pg_ctl is None:
        missing("PostgreSQL")
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        node = PostgresNode(pg_ctl, folder, port, environ)
        try:
            yield node
        finally:
            node.stop()


class PostgresNode:
    """An own PostgreSQL server, which can be started and stopped."""

    def __init__(self, pg_ctl: str, folder: str, port: int, environ: Mapping[str, str]) -> None:
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        self._pg_ctl = pg_ctl
        self._data = f"{folder}/data"
        self._log = f"{folder}/log"
        self._options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
        self._environ = {**os.environ, **environ}
        self._as_user = _unprivileged()
        self._runs = False
        if self._as_user:
            shutil.chown(folder, "postgres")
        initdb = str(Path(pg_ctl).with_name("initdb"))
        self._run(initdb, "-D", self._data, "-U", "postgres", "--auth=trust")

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        self._run(self._pg_ctl, "-D", self._data, "-w", "-o", self._options, "-l", self._log, "start")
        self._runs = True

    def start_as_standby(self) -> None:
        """Start the server as a standby, which is read-only and follows a primary."""
        self._run("touch", f"{self._data}/standby.signal")
        self.start()

    def follow(self, primary: "PostgresNode") -> None:
        """Become a standby of a primary: copy its data, and follow it."""
        self._run("rm", "-rf", self._data)
        backup = str(Path(self._pg_ctl).resolve().with_name("pg_basebackup"))
        self._run(backup, "-d", primary.url, "-D", self._data, "-R", "-c", "fast")
        self.start_as_standby()

    def promote(self) -> None:
        """Make the standby a primary."""
        self._run(self._pg_ctl, "-D", self._data, "-w", "promote")

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server, by default as a crash would. Repeated calls do no harm."""
        if self._runs:
            self._run(self._pg_ctl, "-D", self._data, "-m", mode, "stop")
            self._runs = False

    def _run(self, *command: str) -> None:
        subprocess.run([*self._as_user, *command], check=True, capture_output=True, env=self._environ)


def _unprivileged() -> list[str]:
    """Return the command prefix that leaves root, as which PostgreSQL refuses to run."""
    if os.getuid() != 0:
        return []
    pwd.getpwnam("postgres")
    return ["runuser", "-u", "postgres", "--"]


def _signal_family(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process and its descendants, because the server may be the child of a shell
    script."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            _signal_family(int(child), number)
        os.kill(pid, number)


def _wait_for(ready: Callable[[], bool], what: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"{what} did not start")
        time.sleep(0.1)
