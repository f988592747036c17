"""Reads YAML from users: the part of it that corresponds to JSON, in one pass and with limited memory.

Aliases, tags and duplicate keys are refused. A plain scalar is a number, a boolean or null only if it has the
form of JSON, and otherwise a text: ``on``, ``yes`` and ``2026-11-26`` are texts.
"""

import re
from math import inf, isfinite
from typing import Any

import yaml

from domain.json_text import MOST_DEPTH

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,40}|[0-9]{1,18}(\.[0-9]{0,40})?)([eE][-+]?[0-9]{1,3})?", re.ASCII)
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}


class InvalidYaml(ValueError):
    """The bytes are not YAML, or have something that is refused. The message says what, and in which line."""


def read_yaml(raw: bytes) -> Any:
    """Return the value of the only document in ``raw``, with the types of JSON.

    Raises:
        InvalidYaml: it is not UTF-8 or not YAML, has more than one document, is nested deeper than
            MOST_DEPTH, or has something that is refused.
    """
    try:
        text = raw.decode("utf-8-sig")
        return _Builder().built(text)
    except UnicodeDecodeError:
        raise InvalidYaml("not YAML: it is not UTF-8") from None
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InvalidYaml(f"not YAML: {error.problem or error.context}{line}") from None
    except yaml.YAMLError:
        raise InvalidYaml("not YAML: it holds characters that YAML does not allow") from None


class _Open:
    """A list or mapping that is being read. ``key`` is a key whose value is read next."""

    def __init__(self, value: "list[Any] | dict[str, Any]") -> None:
        self.value = value
        self.key: str | None = None


class _Builder:
    """Builds values from the parser's events."""

    def __init__(self) -> None:
        self._open: list[_Open] = []
        self._found: list[Any] = []
        self._documents = 0

    def built(self, text: str) -> Any:
        """Return the document's value."""
        for event in yaml.parse(text, Loader=_LOADER):
            self._take(event)
        return self._found[0] if self._found else None

    def _take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _refused(event, "more than one document")
        elif isinstance(event, yaml.AliasEvent):
            raise _refused(event, "an alias; write it out in full")
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            raise _refused(event, "a tag")
        elif isinstance(event, yaml.ScalarEvent):
            self._add(_scalar(event), event)
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(self._open) == MOST_DEPTH:
                raise _refused(event, f"nesting deeper than {MOST_DEPTH} levels")
            opened = _Open({} if isinstance(event, yaml.MappingStartEvent) else [])
            self._add(opened.value, event)
            self._open.append(opened)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()

    def _add(self, value: Any, event: yaml.Event) -> None:
        if not self._open:
            self._found.append(value)
            return
        inner = self._open[-1]
        if isinstance(inner.value, list):
            inner.value.append(value)
        elif inner.key is None:
            inner.key = _key(event)
            if inner.key in inner.value:
                raise _refused(event, f"the key {inner.key[:100]!r} given twice")
        else:
            inner.value[inner.key] = value
            inner.key = None


def _key(event: yaml.Event) -> str:
    if not isinstance(event, yaml.ScalarEvent):
        raise _refused(event, "a key that is not a string")
    return str(event.value)


def _scalar(event: yaml.ScalarEvent) -> Any:
    text = str(event.value)
    if not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    number = float(text) if _FLOAT.fullmatch(text) else inf
    return number if isfinite(number) else text


def _refused(event: yaml.Event, what: str) -> InvalidYaml:
    line = f" in line {event.start_mark.line + 1}" if event.start_mark else ""
    return InvalidYaml(f"not allowed: {what}{line}")
