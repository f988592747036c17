"""A Dockerfile's instructions, and what .dockerignore lets through, as far as ours go."""

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from string import Template
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "Dockerfile"


class Instruction(NamedTuple):
    """One instruction: its name, and all that stands behind it on one line."""

    name: str
    text: str

    def pairs(self) -> dict[str, str]:
        """``NAME=value …`` of ENV and LABEL."""
        return dict(pair.split("=", 1) for pair in shlex.split(self.text))

    def listed(self) -> list[str]:
        """The list of the exec form."""
        texts: list[str] = json.loads(self.text[self.text.index("[") :])
        return texts


Stage = list[Instruction]


def stages(text: str | None = None) -> list[Stage]:
    """Each stage's instructions, FROM first; an ARG before all of them is filled in there."""
    arguments: dict[str, str] = {}
    found: list[Stage] = []
    for each in _instructions(FILE.read_text() if text is None else text):
        if each.name == "FROM":
            found.append([Instruction("FROM", Template(each.text).substitute(arguments))])
        elif found:
            found[-1].append(each)
        else:
            arguments |= each.pairs()
    return found


def named(stage: Stage, name: str) -> list[Instruction]:
    """Those of one name."""
    return [each for each in stage if each.name == name]


def only(stage: Stage, name: str) -> Instruction:
    """The one of a name."""
    (instruction,) = named(stage, name)
    return instruction


def environment(stage: Stage) -> dict[str, str]:
    """What ENV sets; ``$PATH`` is the base image's."""
    base = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    given = {name: value for each in named(stage, "ENV") for name, value in each.pairs().items()}
    return {**base, **{name: value.replace("$PATH", base["PATH"]) for name, value in given.items()}}


def copied(stage: Stage) -> Iterator[tuple[str, str]]:
    """What COPY takes out of the context, and where to, one by one."""
    for each in named(stage, "COPY"):
        *sources, target = each.text.split()
        if not each.text.startswith("--from="):
            yield from ((source, target) for source in sources)


def let_through(paths: Iterable[str]) -> list[str]:
    """Of paths in the project those that .dockerignore lets into the context; the last that fits decides."""
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    return [path for path in paths if not _is_ignored(path, patterns)]


def _is_ignored(path: str, patterns: list[str]) -> bool:
    ignored = False
    for pattern in patterns:
        if _fits(path, pattern.removeprefix("!")):
            ignored = not pattern.startswith("!")
    return ignored


def _fits(path: str, pattern: str) -> bool:
    """A pattern fits a path, or a folder above it; ``*`` stays within a part, ``**/`` is any folders."""
    parts = path.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    if pattern.startswith("**/"):
        return any(fnmatch(part, pattern[3:]) for part in parts)
    return any(each.count("/") == pattern.count("/") and fnmatch(each, pattern) for each in above)


def _instructions(text: str) -> Iterator[Instruction]:
    lines = (line.strip() for line in text.splitlines())
    joined = "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")
    for line in joined.splitlines():
        if line:
            name, _, rest = line.partition(" ")
            yield Instruction(name, re.sub(r"\s+", " ", rest.strip()))
