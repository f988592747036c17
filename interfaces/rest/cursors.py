"""Cursors: the place where a page ends, and a short digest of the list that it is a page of.

Without the digest, a list with other filters or in another order would continue from the same place, and
silently omit what it has before it.
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
"""Enough to detect mistakes. A forged cursor only skips some of the caller's own items."""


def next_cursor(request: Request, paging: Paging, place: Iterable[str]) -> str:
    """Return the opaque cursor of the page that follows a ``place`` in the requested list."""
    parts = [_list_of(request, paging), *place]
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def place_after(request: Request, paging: Paging, length: int) -> tuple[str, ...] | None:
    """Return the place, of ``length`` parts, after which the requested page begins, or None for the first
    page.

    Raises:
        ApiError: 400, the cursor is not one of this list, or is of a release without digests.
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
    """Return a 400: the cursor is not one of this list."""
    return Invalid([Fault("cursor", "is not a cursor of this list with these filters; start without one")])


def _list_of(request: Request, paging: Paging) -> str:
    """Return the digest of a list: of its tenant, its path, its filters and its order."""
    filters: dict[str, Any] = paging.model_dump(exclude={"limit", "cursor"}, exclude_defaults=True)
    whole = msgspec.json.encode([request.state.tenant, request.scope["path"], filters])
    return blake2b(whole, digest_size=_DIGEST_BYTES).hexdigest()
