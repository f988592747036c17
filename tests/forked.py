"""Starts processes of the service quickly: a process that has imported everything forks for each of them.

Most of the time of a start is spent on imports, and the tests start hundreds of processes. The processes
share only the imported modules and the hash seed; each has its own environment, streams and exit code.

``python -m tests.forked FD`` reads orders from a socket: JSON, with the files for output, errors and the exit
code. It answers with a process ID.
"""

import atexit
import gc
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from runpy import run_module
from threading import Lock
from typing import IO, NamedTuple
from weakref import finalize

from config.main import main

PACKAGES = ("config", "infrastructure", "interfaces", "projections", "application", "domain")

_LONGEST_ORDER = 65_536


class ForkedProcess:
    """A started process, with some of the methods of ``subprocess.Popen``. Any thread may use it."""

    def __init__(self, pid: int, ending: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ending = ending
        self._told = Lock()
        finalize(self, os.close, ending)

    def ended_within(self, seconds: float | None) -> int | None:
        """Return the exit code as ``Popen`` does, or None if the process is still running after a time."""
        if self.returncode is None and _is_readable(self._ending, seconds):
            with self._told:
                if self.returncode is None:
                    told = os.read(self._ending, 16)
                    assert told, "the process that forks is gone"
                    self.returncode = int(told)
        return self.returncode

    def poll(self) -> int | None:
        """Return the exit code, or None while the process is running."""
        return self.ended_within(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end. Return the exit code.

        Raises:
            TimeoutExpired: it is still running.
        """
        code = self.ended_within(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        with suppress(ProcessLookupError):
            if self.poll() is None:
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL, and wait for the end."""
        self.send_signal(signal.SIGKILL)
        self.wait()


def _is_readable(file: int, seconds: float | None) -> bool:
    """Return whether a file is readable within a time. This also works with more than 1,024 open files,
    unlike ``select``."""
    waiting = select.poll()
    waiting.register(file, select.POLLIN)
    return bool(waiting.poll(None if seconds is None else 1000 * seconds))


class ForkServer:
    """Sends orders to the process that forks, which ends with this one."""

    def __init__(self) -> None:
        self._turn = Lock()
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                cwd=os.getcwd(),
            )

    def begin(
        self, module: str, *argv: str, environ: Mapping[str, str], output: IO[bytes], errors: IO[bytes]
    ) -> ForkedProcess:
        """Run a module with exactly these environment variables."""
        order = json.dumps({"module": module, "argv": argv, "environ": dict(environ)}).encode()
        assert len(order) < _LONGEST_ORDER
        ending, tells = os.pipe()
        with self._turn:
            socket.send_fds(self._orders, [order], [output.fileno(), errors.fileno(), tells])
            os.close(tells)
            pid = self._orders.recv(16)
            assert pid, "the process that forks is gone"
            return ForkedProcess(int(pid), ending)

    def close(self) -> None:
        """End the process that forks."""
        self._orders.close()
        self._process.wait()


@cache
def fork_server() -> ForkServer:
    """Return the fork server of this process."""
    server = ForkServer()
    atexit.register(server.close)
    return server


class _Order(NamedTuple):
    module: str
    argv: Sequence[str]
    environ: Mapping[str, str]
    output: int
    errors: int


class _Forking:
    """The process that forks: it reads orders, and reports the exit codes."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._endings: dict[int, int] = {}
        self._woken, self._wakes = socket.socketpair()
        self._wakes.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wakes.fileno())

    def next_order(self) -> _Order | None:
        """Return, in a child, its order; in the process that forks, None at the end."""
        while True:
            ready, _, _ = select.select([self._orders, self._woken], [], [])
            if self._woken in ready:
                self._woken.recv(1024)
                self._tell_endings()
            if self._orders in ready:
                order, files, _, _ = socket.recv_fds(self._orders, _LONGEST_ORDER, 3)
                if not order:
                    return None
                output, errors, ending = files
                if not (pid := os.fork()):
                    self._leave(ending)
                    return _Order(**json.loads(order), output=output, errors=errors)
                self._endings[pid] = ending
                os.close(output)
                os.close(errors)
                self._orders.send(str(pid).encode())

    def _tell_endings(self) -> None:
        while self._endings:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            ending = self._endings.pop(pid)
            with suppress(BrokenPipeError):  # nobody waits for the exit code any more
                os.write(ending, str(os.waitstatus_to_exitcode(status)).encode())
            os.close(ending)

    def _leave(self, ending: int) -> None:
        """Close what a child does not need."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (*self._endings.values(), ending):
            os.close(each)
        for end in (self._orders, self._woken, self._wakes):
            end.close()


def _become(order: _Order) -> None:
    """Set the streams, environment, time zone and arguments of a new process."""
    os.dup2(order.output, 1)
    os.dup2(order.errors, 2)
    os.close(order.output)
    os.close(order.errors)
    os.environ.clear()
    os.environ.update(order.environ)
    time.tzset()
    sys.argv = [order.module, *order.argv]


def _import_all() -> None:
    for package in map(import_module, PACKAGES):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            import_module(module.name)


def _serve(orders: socket.socket) -> None:
    _import_all()
    gc.collect()
    gc.freeze()
    order = _Forking(orders).next_order()
    if order is None:
        return
    _become(order)
    if order.module == main.__module__:
        main()
    else:
        run_module(order.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
