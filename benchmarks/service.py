"""Runs the service as a real process, of this working tree or of another one, and measures its CPU and
memory.

It is used only through its command line, its settings, HTTP and RabbitMQ, so that the programs of this commit
can also measure the service of an older one.
"""

import base64
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.services import free_port

TENANT = "7d0f3f2e-6a51-4b0c-9a53-1b2f5a1c9e10"
USER = "5b9d1c1e-2f0a-4b8e-8d43-0d6b7f2c4a11"
ASKER = "1f6c8f0a-9f55-4f0e-8a0e-3c1f7b2d9e44"
"""The user who requests approvals, because the requester may not decide on them."""

MASTER_KEY = {"PRIVACY_MASTER_KEY": base64.b64encode(bytes(32)).decode()}
"""With it, personal fields are sealed on every store, and can be read in the copy of a log."""

START_SECONDS = 60.0
STOP_SECONDS = 20.0
_TICKS = os.sysconf("SC_CLK_TCK")


def environment(root: Path) -> dict[str, str]:
    """Return the environment of a working tree's programs: its code, and no variables that configure a
    service."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONPATH": str(root)}


class RunningService:
    """A service process. It can be stopped and started again on the same data."""

    def __init__(self, root: Path, folder: Path, environ: Mapping[str, str], arguments: list[str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data_dir = folder / "data"
        self.log = folder / "service.log"
        """The file with its standard output and error."""

        self._root = root
        self._command = [sys.executable, "-m", "config.main", "serve", *arguments]
        self._environ = {
            **environment(root),
            "DATA_DIR": str(self.data_dir),
            "PORT": str(self.port),
            "BATCH_JOBS_ENABLED": "false",
            **MASTER_KEY,
            **environ,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process ID."""
        assert self._process is not None
        return self._process.pid

    def launch(self) -> None:
        """Start the service without waiting."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._root, env=self._environ, stdout=log, stderr=log
            )

    def start(self) -> None:
        """Start the service, and wait until it is ready."""
        self.launch()
        self.until_ready()

    def until_ready(self) -> None:
        """Wait until ``/ready`` returns 200.

        Raises:
            RuntimeError: the service has ended, or is not ready within ``START_SECONDS``. The message has the
                end of its log.
        """
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the service did not get ready:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Send SIGTERM, and wait for the end. Repeated calls do no harm."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _is_ready(self) -> bool:
        return answers(f"{self.url}/ready")


@contextmanager
def prepared_service(
    root: Path,
    environ: Mapping[str, str] | None = None,
    *,
    overlay: Mapping[str, Any] | None = None,
    roles: str | None = None,
    data_dir: Path | None = None,
) -> Iterator[RunningService]:
    """Yield a service that is not started yet, with its own folder. It is stopped at the end.

    ``overlay`` overrides its settings. ``data_dir`` may be that of another service, to continue with its
    data.

    Raises:
        RuntimeError: there is no service in ``root``; the installed one would run instead.
    """
    if not (root / "config" / "main.py").is_file():
        raise RuntimeError(f"{root} is no working tree of the service")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        arguments = ["--roles", roles] if roles else []
        if overlay:
            config = folder / "settings.yaml"
            config.write_text(yaml.safe_dump(dict(overlay)))
            arguments += ["--config", str(config)]
        given = {**(environ or {}), **({"DATA_DIR": str(data_dir)} if data_dir else {})}
        service = RunningService(root, folder, given, arguments)
        service.data_dir = data_dir or service.data_dir
        try:
            yield service
        finally:
            service.stop()


@contextmanager
def running_service(
    root: Path,
    environ: Mapping[str, str] | None = None,
    *,
    overlay: Mapping[str, Any] | None = None,
    roles: str | None = None,
    data_dir: Path | None = None,
) -> Iterator[RunningService]:
    """Yield a service as :func:`prepared_service` does, started and ready."""
    with prepared_service(root, environ, overlay=overlay, roles=roles, data_dir=data_dir) as service:
        service.start()
        yield service


def run_command(root: Path, *arguments: str, **environ: str) -> None:
    """Run a command of a working tree's command line, such as ``migrate``.

    Raises:
        RuntimeError: it failed. The message has its output.
    """
    done = subprocess.run(
        [sys.executable, "-m", "config.main", *arguments],
        cwd=root,
        env={**environment(root), **MASTER_KEY, **environ},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")


def answers(url: str) -> bool:
    """Return whether a server responds to a GET with success. This uses little CPU."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def cpu_seconds(pid: int) -> float:
    """Return the CPU time (user and system) of a process and of its living children, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / _TICKS
    return own + sum(cpu_seconds(child) for child in _children(pid))


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process and of its children, in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20 + sum(resident_mib(child) for child in _children(pid))


def _children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for thread in threads for child in thread.read_text().split()]
