"""Checks the pages under ``docs/``: runs their commands, and compares the output with the page."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_PROGRAM = f'workflow-orchestrator() {{ "{sys.executable}" -m config.main "$@"; }}\n'

Step = tuple[str, str]
"""A command and its output, in which … stands for any text."""


def page(name: str) -> str:
    """Return the text of a page."""
    return (Path(__file__).parents[1] / "docs" / name).read_text()


def steps(text: str) -> list[Step]:
    """Return the commands of a page."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command = re.match(r"(?:.*\\\n)*.*\n", step)
            assert command is not None
            found.append((command[0], step[command.end() :]))
    return found


def in_order(wanted: Sequence[Step], folder: Path, *, program: str = _PROGRAM, **environ: str) -> None:
    """Run commands in one shell, and check the output of each."""
    script = "".join(f"{command}echo '@@@'\n" for command, _ in wanted)
    ended = subprocess.run(
        ["bash", "-c", program + script],
        cwd=folder,
        env={
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": str(Path.cwd()),
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ended.returncode == 0, ended.stderr
    printed = ended.stdout.split("@@@\n")
    for (command, shown), said in zip(wanted, printed, strict=False):
        pattern = re.escape(shown.rstrip("\n")).replace("…", ".*")
        assert re.fullmatch(pattern, said.rstrip("\n")), (command, said)
    assert len(printed) == len(wanted) + 1
