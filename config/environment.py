"""Fills `${NAME}` and `${NAME:-default}` from a given environment.

As in the shell, the default also replaces an empty variable. What comes from the environment is not filled
again: a password that contains `${` stays as it is.
"""

import re
from collections.abc import Mapping

from config.faults import Path, SettingFault
from config.sources import Node, Scalar, Tree

_REFERENCE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}]*))?\}")


class _Unfilled(Exception):
    """Why a text could not be filled."""


def fill(tree: Tree, environ: Mapping[str, str]) -> tuple[Tree, list[SettingFault]]:
    """Return the tree with its references filled, and a fault for each text that could not be filled and is
    left out."""
    faults: list[SettingFault] = []
    return {key: _filled(value, (key,), environ, faults) for key, value in tree.items()}, faults


def _filled(node: Node, path: Path, environ: Mapping[str, str], faults: list[SettingFault]) -> Node:
    if isinstance(node, dict):
        return {key: _filled(value, (*path, key), environ, faults) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, (*path, str(at)), environ, faults) for at, value in enumerate(node)]
    if node is None:
        return None
    try:
        return _filled_scalar(node.text, environ)
    except _Unfilled as error:
        faults.append(SettingFault(path, str(error)))
        return None


def _filled_scalar(text: str, environ: Mapping[str, str]) -> Scalar:
    used: list[str] = []
    pieces: list[str] = []
    end = 0
    for reference in _REFERENCE.finditer(text):
        name, default = reference["name"], reference["default"]
        pieces += [_literal(text[end : reference.start()]), _value(name, default, environ)]
        end = reference.end()
        if environ.get(name):
            used.append(name)
    return Scalar("".join([*pieces, _literal(text[end:])]), tuple(used))


def _literal(text: str) -> str:
    if "${" in text:
        raise _Unfilled("a reference to the environment is not valid; write ${NAME} or ${NAME:-default}")
    return text


def _value(name: str, default: str | None, environ: Mapping[str, str]) -> str:
    if default is not None:
        return environ.get(name) or default
    if name not in environ:
        raise _Unfilled(
            f"the environment variable {name} is not set; set it, or write ${{{name}:-default}} in the file"
        )
    return environ[name]
