"""From the YAML files to a tree of texts: read, put over one another, filled from the environment.

Scalars stay the texts that they are. Only the setting's own type decides what a text means, so a secret of
digits stays a text wherever it comes from, and `3051` is a number for a port.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any, TypeAlias

import msgspec
import yaml

from config.faults import Path, SettingsError, dotted

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The loader in C reads the defaults in 0.6 ms instead of 17."""

_DEEPEST = 24
"""A job's metadata_schema begins at the fifth level and has levels of its own."""

_MOST_BYTES = 4 * 1024 * 1024

_MOST_NODES = 100_000
"""Lists, mappings and values, with aliases written out: ten lines of aliases can stand for a billion."""


class Scalar(msgspec.Struct, frozen=True):
    """A text, and the environment variables from which it was filled."""

    text: str
    variables: tuple[str, ...] = ()


Node: TypeAlias = "Scalar | list[Node] | dict[str, Node] | None"
Tree: TypeAlias = "dict[str, Node]"


def read(file: FilePath) -> Tree:
    """Return the settings of one YAML file. Raises `SettingsError` with one line that never quotes the
    file."""
    try:
        text = _text_of(file)
        _refuse_what_swells(text, file)
        root = yaml.compose(text, Loader=_LOADER)
    except OSError as error:
        raise SettingsError([f"cannot read the settings file {file}: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"cannot read the settings file {file}: it is not UTF-8"]) from None
    except yaml.MarkedYAMLError as error:
        raise SettingsError(
            [f"{file}{_place(error.problem_mark)}: not YAML: {error.problem or error.context}"]
        ) from None
    except yaml.YAMLError:
        raise SettingsError([f"{file}: not YAML: it holds characters that YAML does not allow"]) from None
    if root is None:
        return {}
    tree = _node(root, file, ())
    if not isinstance(tree, dict):
        raise SettingsError([f"{file}: the settings must be sections (key: value), not a list or a string"])
    return tree


def _text_of(file: FilePath) -> str:
    with file.open("rb") as opened:
        raw = opened.read(_MOST_BYTES + 1)
    if len(raw) > _MOST_BYTES:
        raise SettingsError([f"{file}: settings must be at most {_MOST_BYTES:,} bytes"])
    return raw.decode("utf-8")


def _refuse_what_swells(text: str, file: FilePath) -> None:
    """Refuse a file before anything is made of it, if it is so deep that the parser itself fails, or large
    because of its aliases.

    An alias within its own anchor is deeper than any level, which shows when it is followed.
    """
    sizes: dict[str, int] = {}
    opened: list[tuple[str | None, int]] = []
    total = 0
    events: Iterable[Any] = yaml.parse(text, Loader=_LOADER)
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, total))
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            if anchor is not None:
                sizes[anchor] = total - before
        elif isinstance(event, yaml.AliasEvent):
            total += sizes.get(str(event.anchor), 1)
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
        if len(opened) > _DEEPEST + 1:
            raise SettingsError([f"{file}{_place(event.start_mark)}: it is nested too deeply"])
        if total > _MOST_NODES:
            raise SettingsError(
                [f"{file}{_place(event.start_mark)}: there are more than {_MOST_NODES:,} values"]
            )


def overlay(base: Tree, over: Tree) -> Tree:
    """Return one tree put over another, setting by setting. A list replaces a list. Null leaves what is
    below."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            merged[key] = overlay(below, value)
        elif value is not None or key not in merged:
            merged[key] = value
    return merged


def at(tree: Node, path: Path) -> Node:
    """Return what stands at a place, or None."""
    for key in path:
        if isinstance(tree, dict):
            tree = tree.get(key)
        elif isinstance(tree, list) and key.isdecimal() and int(key) < len(tree):
            tree = tree[int(key)]
        else:
            return None
    return tree


def repaired(tree: Tree, paths: Iterable[Path], defaults: Tree) -> Tree:
    """Return the tree with the given places taken from the defaults, or left out if these have nothing there.

    So the other settings can be checked nevertheless, and every fault is reported at once.
    """
    for path in paths:
        tree = _replaced(tree, path, defaults)
    return tree


def plain(node: Node) -> object:
    """Return the tree in the form that pydantic takes."""
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [plain(value) for value in node]
    return node.text if node else None


def scalars(node: Node, path: Path = ()) -> Iterator[tuple[Path, Scalar]]:
    """Yield every scalar of the tree with its place."""
    if isinstance(node, Scalar):
        yield path, node
    elif node is not None:
        children: Mapping[str, Node] = node if isinstance(node, dict) else _numbered(node)
        for key, value in children.items():
            yield from scalars(value, (*path, key))


def _numbered(nodes: list[Node]) -> dict[str, Node]:
    return {str(number): node for number, node in enumerate(nodes)}


def _replaced(tree: Tree, path: Path, defaults: Tree) -> Tree:
    key, *rest = path
    child, default = tree.get(key), defaults.get(key)
    if rest and isinstance(child, dict):
        below = default if isinstance(default, dict) else {}
        return tree | {key: _replaced(child, tuple(rest), below)}
    if key in defaults:
        return tree | {key: default}
    return {name: value for name, value in tree.items() if name != key}


def _node(node: yaml.Node, file: FilePath, path: Path) -> Node:
    if len(path) > _DEEPEST:
        raise SettingsError([f"{file}{_place(node.start_mark)}: {dotted(path)} is nested too deeply"])
    if isinstance(node, yaml.ScalarNode):
        return None if node.tag == "tag:yaml.org,2002:null" else Scalar(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_node(item, file, (*path, str(number))) for number, item in enumerate(node.value)]
    tree: Tree = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise SettingsError([f"{file}{_place(key.start_mark)}: a key must be a plain string"])
        inner = (*path, key.value)
        if key.value in tree:
            raise SettingsError([f"{file}{_place(key.start_mark)}: {dotted(inner)} is given twice"])
        tree[key.value] = _node(value, file, inner)
    return tree


def _place(mark: yaml.Mark | None) -> str:
    return f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
