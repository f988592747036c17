"""Where each setting comes from: the first question of somebody who finds a service running with a wrong
one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from config.faults import Path, dotted
from config.sources import Tree, at, scalars


class Origin(msgspec.Struct, frozen=True):
    """Where a setting comes from; if from the environment, under which names."""

    kind: Literal["environment", "file", "command line", "default"]
    variables: tuple[str, ...] = ()


DEFAULT = Origin("default")


@dataclass(frozen=True, slots=True)
class Origins:
    """The origins of settings that are not defaults. Equal settings are equal wherever they come from."""

    by_path: Mapping[Path, Origin] = field(default_factory=dict, compare=False)


def origins_of(filled: Tree, file: Tree, ordered: Tree) -> Origins:
    """Return the origin of every text of the whole tree. ``file`` and ``ordered`` are what a file and the
    command line put over the defaults."""
    found = {}
    for path, scalar in scalars(filled):
        if at(ordered, path) is not None:
            found[path] = Origin("command line")
        elif scalar.variables:
            found[path] = Origin("environment", scalar.variables)
        elif at(file, path) is not None:
            found[path] = Origin("file")
    return Origins(found)


def told_origins(shown: Mapping[str, object], origins: Origins) -> dict[str, dict[str, object]]:
    """Return the origin of every setting that is shown, by its dotted name. A list is one setting."""
    return {dotted(path): _told(_origin(path, origins)) for path in _leaves(shown, ())}


def variables_of(path: Path, origins: Origins) -> tuple[str, ...]:
    """Return the variables from which a setting was filled."""
    return _origin(path, origins).variables


def _origin(path: Path, origins: Origins) -> Origin:
    below = (origin for place, origin in origins.by_path.items() if place[: len(path)] == path)
    return next(below, DEFAULT)


def _leaves(node: object, path: Path) -> list[Path]:
    if not isinstance(node, Mapping) or not node:
        return [path]
    return [leaf for key, inner in node.items() for leaf in _leaves(inner, (*path, str(key)))]


def _told(origin: Origin) -> dict[str, object]:
    return {"from": origin.kind, **({"variables": list(origin.variables)} if origin.variables else {})}
