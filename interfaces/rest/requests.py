"""Requests at the edge: bodies, query strings and conditions, checked before anything is done.

Every fault of a request is told at once, each with the name of its field.
"""

import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from domain.errors import VersionMismatch
from domain.event import Metadata
from interfaces.json_reader import InvalidJson, read_json
from interfaces.rest.answers import JSON
from interfaces.rest.decoding import decoded_body
from interfaces.rest.errors import ApiError, fault, invalid
from interfaces.rest.idempotency import command_id, digest_of, idempotency_key
from interfaces.rest.identity import Caller
from interfaces.rest.media_types import require_readable
from interfaces.rest.models import NoQuery, Query, faults

M = TypeVar("M", bound=BaseModel)
Q = TypeVar("Q", bound=Query)

MAX_BODY_BYTES = 1024 * 1024

MAX_CONTAINERS = 50_000
"""Objects and arrays in a body: each takes some hundred bytes once it is decoded, however short it is."""

_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_ETAG = re.compile(r'"([1-9][0-9]{0,8})"')


async def read_body(request: Request, model: type[M], *, optional: bool = False) -> M:
    """The JSON body as a model, beside no query string; an ``optional`` one may be missing altogether. Where
    another is, that is told of each field that it has to have.

    Raises:
        ApiError: 413, 415 or 400.
    """
    read_query(request, NoQuery)
    raw = await raw_body(request)
    request.state.body = {}
    if not raw:
        return _nothing_as(model, optional=optional)
    require_readable(request, raw, JSON)
    await decoded_body(request).enter(len(raw))
    try:
        request.state.body = json_object(raw)
        return model.model_validate(request.state.body)
    except ValidationError as error:
        raise invalid(faults(error, model)) from None


def _nothing_as(model: type[M], *, optional: bool) -> M:
    try:
        nothing = model.model_validate({})
    except ValidationError as error:
        raise invalid(faults(error, model)) from None
    if not optional:
        raise invalid([fault("body", "is required")])
    return nothing


def json_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in a body.

    Raises:
        ApiError: 400.
    """
    if _containers_in(raw) > MAX_CONTAINERS:
        raise invalid([fault("body", f"may hold {MAX_CONTAINERS} objects and arrays")])
    try:
        content = read_json(raw)
    except InvalidJson as error:
        raise invalid([fault("body", str(error))]) from None
    if not isinstance(content, dict):
        raise invalid([fault("body", "must be a JSON object")])
    return content


def _containers_in(raw: bytes) -> int:
    """Those that open; brackets within texts are not looked for unless there are many."""
    count = raw.count(b"[") + raw.count(b"{")
    if count <= MAX_CONTAINERS:
        return count
    without_texts = _TEXT.sub(b"", raw)
    return without_texts.count(b"[") + without_texts.count(b"{")


def read_query(request: Request, model: type[Q]) -> Q:
    """The query string as a model; unknown and repeated parameters are faults.

    Raises:
        ApiError: 400.
    """
    try:
        return model.read(request.query_params.multi_items())
    except ValidationError as error:
        raise invalid(faults(error, model)) from None


def expected_version(request: Request) -> int | None:
    """The version that ``If-Match`` demands; none without the header or with ``*``.

    Raises:
        VersionMismatch: it is no tag of ours, and so of no version.
    """
    given = request.headers.get("if-match")
    if given is None or given.strip() == "*":
        return None
    match = _ETAG.fullmatch(given.strip())
    if match is None:
        raise VersionMismatch("If-Match names no version that there has been")
    return int(match[1])


def refuse_version(request: Request) -> None:
    """``If-Match`` on a command that is about nothing with a version: who sends it believes it was checked.

    Raises:
        ApiError: 400, there is one, and not ``*``.
    """
    if request.headers.get("if-match", "*").strip() != "*":
        why = "means nothing here: what this command makes, or is about, has no version yet or is many things"
        raise invalid([fault("If-Match", why)])


def caused_by(request: Request, caller: Caller, part: str = "") -> Metadata:
    """What a command out of this request is traced back to; call it once the body has been read.

    Under an ``Idempotency-Key`` the command has the same id whenever the request comes. ``part`` tells
    several commands to one stream apart.

    Raises:
        ApiError: 400, the key is of no use.
    """
    return Metadata(
        tenant=caller.tenant,
        actor=caller.actor,
        correlation_id=request.state.correlation_id,
        command_id=command_id(request, caller, part),
        request_digest=digest_of(request, caller) if idempotency_key(request) is not None else None,
    )


async def raw_body(request: Request, most: int = MAX_BODY_BYTES) -> bytes:
    """The body, of at most so many bytes.

    Raises:
        ApiError: 413.
    """
    too_large = ApiError(413, "PAYLOAD_TOO_LARGE", f"the body may have {most} bytes")
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > most:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise too_large
    return bytes(body)
