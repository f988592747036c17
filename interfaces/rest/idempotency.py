"""``Idempotency-Key``: a command that is sent again has the effect of one, and the answer of the first.

The ids of the command and of what it makes are derived from tenant, route and key. So the stream itself
knows a repeat, on whichever instance and after whatever restart, and the digest of what was asked lies in
its events. Nothing is kept beside the log, and nothing expires.
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
"""Ids of commands have always been derived with the name of a part of the request, and there are no parts."""


def idempotency_key(request: Request) -> str | None:
    """The key that the request came under, if any.

    Raises:
        ApiError: 400, it has no or more than 255 characters, others than visible ASCII, or comes twice.
    """
    given = request.headers.getlist(HEADER)
    if not given:
        return None
    key = given[0].strip()
    if len(given) > 1 or not _KEY.fullmatch(key):
        raise Invalid([Fault(HEADER, "must be given once, as 1 to 255 visible ASCII characters")])
    return key


def id_to_make(request: Request, caller: Caller) -> str:
    """The id of what the request makes: a new one, or under a key always the same.

    The path's ids are taken in either case; a job's name is not. Releases before took it in either case too,
    so a repeat may be of what they have made under another id: it is what the command that is repeated made.

    Raises:
        ApiError: 400, the key is of no use.
    """
    path = "/".join(map(canonical_id, request.url.path.split("/")))
    return _id("made", path, request, caller)


def command_id(request: Request, caller: Caller) -> str:
    """The id of the command that the request gives. A stream knows its own by it: those of jobs whose names
    differ in case alone never meet.

    Raises:
        ApiError: 400, the key is of no use.
    """
    return _id("command", request.url.path.lower(), request, caller, _OF_ALL_OF_IT)


def digest_of(request: Request, caller: Caller) -> str:
    """What was asked, and by whom: the body, however it was written, and the query string."""
    body = with_one_kind_of_number(getattr(request.state, "body", {}))
    asked = [body, request.url.query, caller.actor]
    written = json.dumps(asked, sort_keys=True, separators=(",", ":"), default=str)
    return blake2b(written.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def _id(what: str, path: str, request: Request, caller: Caller, *ending: str) -> str:
    key = idempotency_key(request)
    if key is None:
        return new_id()
    return derived_id("idempotency-key", what, caller.tenant, request.method, path, key, *ending)
