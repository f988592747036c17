"""``Idempotency-Key``: a repeated command has the effect of one, and returns the response of the first.

The IDs of the command and of what it creates are derived from tenant, route and key. So the stream itself
detects a repeat, on any instance and after any restart. A digest of the request is stored in the command's
events. Nothing is stored outside the log, and nothing expires.
"""

import json
import re
from hashlib import blake2b

from starlette.requests import Request

from domain.faults import Fault
from domain.values import canonical_id, derived_id, with_one_kind_of_number
from interfaces.ids import new_id
from interfaces.rest.errors import Invalid
from interfaces.rest.identity import Caller

HEADER = "Idempotency-Key"

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_DIGEST_BYTES = 16
_OF_ALL_OF_IT = ""
"""IDs of commands have always been derived with the name of a part of the request. There are no parts now."""


def idempotency_key(request: Request) -> str | None:
    """Return the key of a request, or None if it has none.

    Raises:
        ApiError: 400, the key is not 1 to 255 visible ASCII characters, or is given twice.
    """
    given = request.headers.getlist(HEADER)
    if not given:
        return None
    key = given[0].strip()
    if len(given) > 1 or not _KEY.fullmatch(key):
        raise Invalid([Fault(HEADER, "must be given once, as 1 to 255 visible ASCII characters")])
    return key


def id_to_make(request: Request, caller: Caller) -> str:
    """Return the ID of what the request creates: a new one, or always the same one for a key.

    IDs in the path are case-insensitive; a job's name is case-sensitive, but was not in earlier releases. So
    a repeat may derive another ID than its first request did: what counts is what the command has created.

    Raises:
        ApiError: 400, the key is not valid.
    """
    path = "/".join(map(canonical_id, request.url.path.split("/")))
    return _id("made", path, request, caller)


def command_id(request: Request, caller: Caller) -> str:
    """Return the ID of the request's command, by which a stream detects a repeat. Commands on jobs whose
    names differ only in case get the same ID, but never share a stream.

    Raises:
        ApiError: 400, the key is not valid.
    """
    return _id("command", request.url.path.lower(), request, caller, _OF_ALL_OF_IT)


def digest_of(request: Request, caller: Caller) -> str:
    """Return a digest of the body (as JSON values), the query string and the actor."""
    body = with_one_kind_of_number(getattr(request.state, "body", {}))
    asked = [body, request.url.query, caller.actor]
    written = json.dumps(asked, sort_keys=True, separators=(",", ":"), default=str)
    return blake2b(written.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def _id(what: str, path: str, request: Request, caller: Caller, *ending: str) -> str:
    key = idempotency_key(request)
    if key is None:
        return new_id()
    return derived_id("idempotency-key", what, caller.tenant, request.method, path, key, *ending)
