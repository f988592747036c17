"""Commands that begin at once: a process that has imported what they need forks for each.

``python -m tests.chaos.forked_commands``: an order a line, in JSON: ``argv``, and the file for what is said.
It answers with a process id. How a command ended stands in that file with ``.code``; not if it was killed.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, cast

from config import archive_commands, audit_commands, erase, main, rebuild, sqlite_stores, verify

WITH = (archive_commands, audit_commands, erase, rebuild, sqlite_stores, verify)
"""What every command would import."""

_LOOK_SECONDS = 0.005


class Command:
    """One that is under way."""

    def __init__(self, pid: int, said: Path) -> None:
        self.pid = pid
        self._said = said

    def ended(self, *, seconds: float) -> bool:
        """Whether it has ended within a time."""
        until = time.monotonic() + seconds
        while Path(f"/proc/{self.pid}").exists():
            if time.monotonic() >= until:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def kill(self) -> None:
        """As by ``kill -9``."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        assert self.ended(seconds=10)

    @property
    def code(self) -> int | None:
        """How it ended; none if it was killed."""
        code = self._said.with_name(f"{self._said.name}.code")
        return int(code.read_text()) if code.exists() else None

    @property
    def said(self) -> str:
        """What it has printed."""
        return self._said.read_text()


class Commands:
    """Gives orders to such a process."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._count = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            env={**{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}, **environ},
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._from.readline() == "ready\n"

    @property
    def _from(self) -> IO[str]:
        return cast(IO[str], self._process.stdout)

    def begin(self, *argv: str) -> Command:
        """Begin a command."""
        self._count += 1
        said = self._folder / f"said-{self._count}"
        to = cast(IO[str], self._process.stdin)
        to.write(json.dumps({"argv": argv, "said": str(said)}) + "\n")
        to.flush()
        return Command(int(self._from.readline()), said)

    def run(self, *argv: str) -> Command:
        """Carry one out to its end."""
        command = self.begin(*argv)
        assert command.ended(seconds=60), argv
        return command

    def close(self) -> None:
        """No more."""
        self._process.kill()
        self._process.communicate()


def carry_out(argv: Sequence[str], said: str) -> None:
    """In the child."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    out = os.open(said, os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.argv = ["workflow-orchestrator", *argv]
    try:
        main.main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    sys.stdout.flush()
    Path(f"{said}.code").write_text(str(code))


def answer_orders() -> None:
    """Fork for each."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if not (pid := os.fork()):
            try:
                carry_out(order["argv"], order["said"])
            finally:
                os._exit(1)
        print(pid, flush=True)


if __name__ == "__main__":
    answer_orders()
