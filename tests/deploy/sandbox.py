"""Bubblewrap in the place of a container engine: another root, read-only, one user, no privileges.

The kernel does with it what it does with a container: namespaces, a root of its own, PID 1, no capabilities.
What is not there is the base image: Python and the system below are this machine's, where the image has them.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pip

from tests.services import missing

BASE = Path(sys.base_prefix)
_SYSTEM = ("/usr", "/etc")
_LINKS = ("bin", "sbin", "lib", "lib64")


class Root:
    """A root file system in the making: the machine's own system, and folders of ours laid over it."""

    def __init__(self, tools: Path) -> None:
        """``tools`` is an empty folder for what stands in the image's /usr/local/bin."""
        self._program = _bubblewrap()
        tools.mkdir()
        (tools / "python").symlink_to(BASE / "bin" / f"python3.{sys.version_info.minor}")
        self._pip = Path(pip.__file__).parent
        (tools / "pip").write_text(f'#!/bin/sh\nexec /usr/local/bin/python {self._pip} "$@"\n')
        (tools / "pip").chmod(0o755)
        self._python = {str(BASE): BASE, "/usr/local": BASE, "/usr/local/bin": tools}

    def to_build(self, *, writable: Mapping[str, Path]) -> list[str]:
        """The start of a command that runs as root, on the network, and writes to these folders."""
        shown = {str(self._pip): self._pip}
        return [*self._command(shown), *_bound("--bind", writable), "--uid", "0", "--gid", "0", "--"]

    def to_run(
        self,
        *,
        user: int,
        environ: Mapping[str, str],
        shown: Mapping[str, Path],
        writable: Mapping[str, Path],
    ) -> list[str]:
        """The start of a command that runs as a container: as ``user``, as PID 1, writing nowhere else."""
        variables = [part for name, value in environ.items() for part in ("--setenv", name, value)]
        return [
            *self._command(shown),
            *_bound("--bind", writable),
            *("--remount-ro", "/", "--unshare-pid", "--as-pid-1", "--cap-drop", "ALL", "--new-session"),
            *("--uid", str(user), "--gid", str(user), "--chdir", "/", "--clearenv", *variables, "--"),
        ]

    def _command(self, shown: Mapping[str, Path]) -> list[str]:
        system = [part for folder in _SYSTEM for part in ("--ro-bind", folder, folder)]
        links = [part for name in _LINKS for part in ("--symlink", f"usr/{name}", f"/{name}")]
        own = ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--unshare-user", "--die-with-parent"]
        return [self._program, *system, *links, *own, *_bound("--ro-bind", {**self._python, **shown})]


class Running:
    """A command that runs as a container, its end asked for as an engine asks for it."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._log = log
        read, write = os.pipe()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [command[0], "--info-fd", str(write), *command[1:]],
                stdout=output,
                stderr=output,
                pass_fds=[write],
            )
        os.close(write)
        with os.fdopen(read) as info:
            self.pid = int(json.load(info)["child-pid"])

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._log.read_text()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def stop(self, stop_signal: signal.Signals, seconds: float) -> int:
        """Tell its PID 1 to stop, and wait; the exit code."""
        os.kill(self.pid, stop_signal)
        return self._process.wait(seconds)

    def kill(self) -> None:
        """End it however it can be ended."""
        self._process.kill()
        self._process.wait()


@contextmanager
def running(command: Sequence[str], log: Path) -> Iterator[Running]:
    """A command in the background, ended in any case."""
    process = Running(command, log)
    try:
        yield process
    finally:
        process.kill()


def _bubblewrap() -> str:
    """The program, where it is there and the kernel lets it make namespaces."""
    found = shutil.which("bwrap")
    trial = ("--ro-bind", "/", "/", "--unshare-user", "--unshare-pid", "true")
    if found is None or subprocess.run([found, *trial], capture_output=True).returncode:
        missing("bubblewrap (bwrap), with leave to make namespaces,")
    return found


def _bound(how: str, folders: Mapping[str, Path]) -> list[str]:
    return [part for inside, outside in folders.items() for part in (how, str(outside), inside)]
