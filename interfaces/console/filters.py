"""The filters of a list and the place of a page in it, as they are in the page's address.

The API's cursors only lead forward. So an address has all cursors that led to its page, for links back.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from interfaces.console.api import Document
from interfaces.console.moments import as_instant, as_local

_BETWEEN = "."
"""Separates cursors, which never contain it."""

_MOST_CURSORS = 40
"""How many cursors an address has at most, because gateways limit its length."""

_FORGOTTEN = ""
"""Replaces the first cursors if there are too many."""


class Links(msgspec.Struct, frozen=True):
    """The query strings of other pages of a list; None if there is no such page."""

    first: str | None
    back: str | None
    on: str | None


class Place(msgspec.Struct, frozen=True):
    """A page of a list: the cursors that led to it, which the address has as ``name``, and the address's
    other parameters, ``kept``."""

    name: str
    kept: Mapping[str, str]
    cursors: tuple[str, ...]

    @property
    def asked(self) -> Mapping[str, str]:
        """The parameters for the API's request."""
        return {"cursor": self.cursors[-1]} if self.cursors else {}

    def links(self, following: str | None) -> Links:
        """Return the links to the first, the previous and the next page, whose cursor is ``following``."""
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
    """Return the place of a page. ``kept`` are the other parameters of its address."""
    given = query.get(name, "")
    return Place(name, kept, tuple(given.split(_BETWEEN)) if given else ())


def filters_of(query: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Return the filters in an address, in the form that the API takes."""
    given = {name: query.get(name, "").strip() for name in names}
    return {name: as_instant(value) for name, value in given.items() if value}


def shown_of(filters: Mapping[str, Any]) -> Document:
    """Return filters in the form that the fields of a page take."""
    return Document({name: as_local(value) for name, value in filters.items()})
