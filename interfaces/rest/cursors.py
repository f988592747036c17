"""Cursors: where a page ends, and of which list.

A place is a place in one list: another one, with other filters or in another order, would go on from it all
the same, and leave out what it has before it without a word. So a cursor tells its list by a short digest.
"""

import base64
import binascii
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import msgspec
from starlette.requests import Request

from domain.faults import Fault
from interfaces.rest.errors import Invalid
from interfaces.rest.models import Paging

_DIGEST_BYTES = 6
"""Enough for an honest mistake: whoever forges one goes astray among what is their own."""


def next_cursor(request: Request, paging: Paging, place: Iterable[str]) -> str:
    """The opaque cursor of the page that follows on a ``place`` in the list that is asked for."""
    parts = [_list_of(request, paging), *place]
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def place_after(request: Request, paging: Paging, length: int) -> tuple[str, ...] | None:
    """The place, of ``length`` parts, that the page that is asked for follows on; none if it is the first.

    Raises:
        ApiError: 400, the cursor is none of this list; that of a release without a digest is none either.
    """
    if paging.cursor is None:
        return None
    try:
        padded = paging.cursor + "=" * (-len(paging.cursor) % 4)
        raw = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
        parts = msgspec.json.decode(raw, type=list[str])
    except (UnicodeEncodeError, binascii.Error, msgspec.MsgspecError, UnicodeDecodeError):
        raise not_of_this_list() from None
    if len(parts) != 1 + length or parts[0] != _list_of(request, paging):
        raise not_of_this_list()
    return tuple(parts[1:])


def not_of_this_list() -> Invalid:
    """400: the cursor is another list's, or nobody's."""
    return Invalid([Fault("cursor", "is not a cursor of this list with these filters; start without one")])


def _list_of(request: Request, paging: Paging) -> str:
    """What tells a list from others: whose it is, where, and what of it is asked for in which order."""
    filters: dict[str, Any] = paging.model_dump(exclude={"limit", "cursor"}, exclude_defaults=True)
    whole = msgspec.json.encode([request.state.tenant, request.scope["path"], filters])
    return blake2b(whole, digest_size=_DIGEST_BYTES).hexdigest()
