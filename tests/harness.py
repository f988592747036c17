"""The service under test: within this process through its ASGI application, or in its own process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from uuid import uuid4

import anyio
import httpx
import yaml

from config.container import Container, build
from config.runtime import working
from config.settings import Settings, load_settings
from domain.values import SYSTEM_TENANT
from tests.forked import ForkedProcess, fork_server
from tests.plain_http import NO_TLS
from tests.services import free_port

TENANT = "7d0f3f2e-6a51-4b0c-9a53-1b2f5a1c9e10"
OTHER_TENANT = "c3d1a2f0-5b66-4c1e-8a0f-3f1f6f0b7a22"
USER = "5b9d1c1e-2f0a-4b8e-8d43-0d6b7f2c4a11"
UNKNOWN_ID = "9e5b8a34-0c1d-4f6e-b7a2-4d3c2b1a0f9e"
"""An ID that no resource has."""

PATIENCE_SECONDS = 30.0

_IDLE_SECONDS = 2.0
"""Shorter than uvicorn keeps an idle connection, so that no request is sent on one that uvicorn closes."""


def settings_in(folder: Path, *, overlay: Mapping[str, Any] | None = None, **environ: str) -> Settings:
    """Return settings with all data in ``folder``, the given environment variables, and a YAML overlay."""
    path = None
    if overlay:
        path = folder / "settings.yaml"
        path.write_text(yaml.safe_dump(dict(overlay)))
    return load_settings(path, {"DATA_DIR": str(folder / "data"), **environ})


class Service:
    """A service that runs in this process."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self._transport = httpx.ASGITransport(container.app, raise_app_exceptions=False)

    def client(self, tenant: str | None = TENANT, **headers: str) -> httpx.AsyncClient:
        """Return a client of a tenant."""
        named = {"X-Tenant-ID": tenant} if tenant else {}
        return httpx.AsyncClient(
            transport=self._transport, base_url="http://localhost", headers={**named, **headers}
        )

    async def caught_up(self) -> None:
        """Wait until every follower has handled what the log holds now."""
        store, parts = self.container.stores.event_store, self.container.parts
        names = {follower.name for follower in parts.followers}
        heads = {partition: await store.head(partition) for partition in await store.partitions()}
        for follower in parts.followers:
            follower.look_again()

        async def reached() -> bool:
            for partition, head in heads.items():
                behind_head = await store.count_after(partition, head)
                for name in names:
                    follower = parts.follower(name, partition)
                    position = None if follower is None else follower.positions.get(partition)
                    if await store.count_after(partition, position) > behind_head:
                        return False
            return True

        await eventually(reached)


@asynccontextmanager
async def service(settings: Settings) -> AsyncIterator[Service]:
    """Run a service without the HTTP server. Requests go to the application directly."""
    async with AsyncExitStack() as stack:
        container = await build(settings, stack)
        async with working(container):
            yield Service(container)


async def eventually(
    condition: Callable[[], Awaitable[Any]],
    *,
    seconds: float = PATIENCE_SECONDS,
    every: float | None = None,
) -> Any:
    """Return the first true result of ``condition``, or fail if there is none in time.

    It is called ``every`` some seconds. By default, the time between two calls grows with the waiting time,
    because the calls slow down what is waited for.
    """
    began = anyio.current_time()
    with anyio.move_on_after(seconds):
        while True:
            answer = await condition()
            if answer:
                return answer
            waited = anyio.current_time() - began
            await anyio.sleep(every or min(max(0.02, waited / 20), 0.25))
    raise AssertionError(f"not within {seconds} s: {condition}")


class ServiceProcess:
    """A service in its own process, which can be killed. ``overlay`` overrides its settings. ``module`` may
    be another module that runs the service with additions for tests.
    """

    def __init__(
        self,
        folder: Path,
        *,
        overlay: Mapping[str, Any] | None = None,
        module: str = "config.main",
        **environ: str,
    ) -> None:
        tag = uuid4().hex[:6]
        self.port = free_port()
        self.data_dir = folder / "data"
        self._arguments: list[str] = []
        if overlay:
            config = folder / f"settings-{tag}.yaml"
            config.write_text(yaml.safe_dump(dict(overlay)))
            self._arguments = ["--config", str(config)]
        self._module = module
        self.begins_anew = False
        """Whether it is started as a new process, which inherits signal handling and open files from this
        one."""
        self.through: tuple[str, ...] = ()
        """A command that starts it, such as a shell that limits its resources."""
        self._environ = environ
        self._process: subprocess.Popen[bytes] | ForkedProcess | None = None
        self._log = folder / f"service-{tag}.log"

    @property
    def url(self) -> str:
        """The URL of the service."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """The log so far."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def pid(self) -> int:
        """The process ID, once it is launched."""
        assert self._process is not None
        return self._process.pid

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables that configure it."""
        return dict(self._environ)

    @property
    def is_running(self) -> bool:
        """Whether it has been launched and has not ended."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> "ServiceProcess":
        """Start the process without waiting."""
        environ = {
            **clean_environment(),
            "DATA_DIR": str(self.data_dir),
            "PORT": str(self.port),
            **self._environ,
        }
        with self._log.open("ab") as log:
            if self.begins_anew or self.through or "LD_PRELOAD" in environ:
                command = [*self.through, sys.executable, "-m", self._module, "serve", *self._arguments]
                self._process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
            else:
                self._process = fork_server().begin(
                    self._module, "serve", *self._arguments, environ=environ, output=log, errors=log
                )
        return self

    def start(self) -> "ServiceProcess":
        """Start the process, and wait until it serves requests."""
        return self.launch().until_it_serves()

    def until_it_serves(self) -> "ServiceProcess":
        """Wait until the launched process serves requests."""
        assert self._process is not None
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"{self.url}/health", timeout=1, verify=NO_TLS).raise_for_status()
            except httpx.HTTPError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"the service did not start:\n{self.log}") from None
                time.sleep(0.05)
            else:
                return self

    def kill(self) -> None:
        """Send SIGKILL, and wait for the end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, such as SIGSTOP for a pause."""
        assert self._process is not None
        self._process.send_signal(number)

    def terminate(self, timeout: float = 15.0) -> int:
        """Send SIGTERM, and wait for the end. Return the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout)

    def wait(self, timeout: float = 15.0) -> int:
        """Wait for the end. Return the exit code."""
        assert self._process is not None
        return self._process.wait(timeout)

    def stop(self) -> None:
        """Kill the process if it is running."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def client(self, tenant: str = TENANT) -> httpx.Client:
        """Return a client of a tenant."""
        return httpx.Client(
            base_url=self.url,
            headers={"X-Tenant-ID": tenant},
            timeout=10,
            verify=NO_TLS,
            limits=httpx.Limits(keepalive_expiry=_IDLE_SECONDS),
        )

    def async_client(self, tenant: str = TENANT, **headers: str) -> httpx.AsyncClient:
        """Return a client of a tenant, for concurrent requests."""
        return httpx.AsyncClient(
            base_url=self.url,
            headers={"X-Tenant-ID": tenant, **headers},
            timeout=30,
            verify=NO_TLS,
            limits=httpx.Limits(max_connections=32, keepalive_expiry=_IDLE_SECONDS),
        )


@contextmanager
def service_process(
    folder: Path, *, overlay: Mapping[str, Any] | None = None, **environ: str
) -> Iterator[ServiceProcess]:
    """Yield a running service process, which is killed at the end."""
    with ended(ServiceProcess(folder, overlay=overlay, **environ)) as process:
        yield process.start()


@contextmanager
def ended(process: ServiceProcess) -> Iterator[ServiceProcess]:
    """Yield a service process that is not started yet, and kill it at the end."""
    try:
        yield process
    finally:
        process.stop()


def run_command(*arguments: str, timeout: float = 60, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of the command line."""
    return run_module("config.main", *arguments, timeout=timeout, **environ)


def run_module(
    module: str, *arguments: str, timeout: float = 60, **environ: str
) -> "subprocess.CompletedProcess[str]":
    """Run a module in its own process."""
    with TemporaryFile() as output, TemporaryFile() as errors:
        process = fork_server().begin(
            module, *arguments, environ=clean_environment() | environ, output=output, errors=errors
        )
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(arguments, code, output.read().decode(), errors.read().decode())


def start_command(*arguments: str, **environ: str) -> "subprocess.Popen[str]":
    """Start a command of the command line, which will be killed."""
    return start_module("config.main", *arguments, **environ)


def start_module(module: str, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
    """Start a module as a new process, which will be killed. Its output can be read meanwhile."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env={**clean_environment(), **environ},
        stdout=subprocess.PIPE,
        text=True,
    )


def clean_environment() -> dict[str, str]:
    """Return this process's environment without variables that configure a service."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONPATH": os.getcwd()}


__all__ = [
    "OTHER_TENANT",
    "SYSTEM_TENANT",
    "TENANT",
    "USER",
    "Service",
    "ServiceProcess",
    "clean_environment",
    "eventually",
    "run_command",
    "run_module",
    "service",
    "service_process",
    "settings_in",
    "start_command",
    "start_module",
]
