"""The filters of a list, as its address has them, and where in the list a page stands.

The API's cursors only lead on. So an address keeps those that led to its page, and one goes back as well.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from interfaces.console.api import Document
from interfaces.console.moments import as_instant, as_local

_BETWEEN = "."
"""Stands in no cursor."""

_MOST_CURSORS = 40
"""In an address, which gateways do not take at any length."""

_FORGOTTEN = ""
"""In the place of cursors that are no longer kept."""


class Links(msgspec.Struct, frozen=True):
    """Queries that lead to other pages of a list; none where there is no such page."""

    first: str | None
    back: str | None
    on: str | None


class Place(msgspec.Struct, frozen=True):
    """A page of a list: by what led to it, under the ``name`` that this has in the address."""

    name: str
    kept: Mapping[str, str]
    cursors: tuple[str, ...]

    @property
    def asked(self) -> Mapping[str, str]:
        """What the API is asked for."""
        return {"cursor": self.cursors[-1]} if self.cursors else {}

    def links(self, following: str | None) -> Links:
        """To the first page, the one before, and the one after, whose cursor that is."""
        before = self.cursors[:-1]
        return Links(
            first=self._query(()) if self.cursors else None,
            back=self._query(before) if self.cursors and before != (_FORGOTTEN,) else None,
            on=self._query((*self.cursors, following)) if following else None,
        )

    def _query(self, cursors: tuple[str, ...]) -> str:
        if len(cursors) > _MOST_CURSORS:
            cursors = (_FORGOTTEN, *cursors[1 - _MOST_CURSORS :])
        return urlencode({**self.kept, **({self.name: _BETWEEN.join(cursors)} if cursors else {})})


def place_of(query: Mapping[str, str], kept: Mapping[str, str], name: str = "cursor") -> Place:
    """Where an address stands; ``kept`` is what else stands in it."""
    given = query.get(name, "")
    return Place(name, kept, tuple(given.split(_BETWEEN)) if given else ())


def filters_of(query: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """What the address asks for, as the API takes it."""
    given = {name: query.get(name, "").strip() for name in names}
    return {name: as_instant(value) for name, value in given.items() if value}


def shown_of(filters: Mapping[str, Any]) -> Document:
    """The same as the fields of a form take it."""
    return Document({name: as_local(value) for name, value in filters.items()})
