"""Reading and checking of requests: bodies, query strings and conditions.

All faults of a request are reported together, each with the name of its field.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from domain.errors import VersionMismatch
from domain.event import Metadata
from domain.faults import Fault
from domain.json_text import InvalidJson, RepeatedNames, read_json
from interfaces.rest.answers import JSON
from interfaces.rest.decoding import decoded_body
from interfaces.rest.errors import ApiError, Invalid
from interfaces.rest.idempotency import command_id, digest_of, idempotency_key
from interfaces.rest.identity import Caller
from interfaces.rest.media_types import require_readable
from interfaces.rest.models import NoQuery, Query, faults, field_at

M = TypeVar("M", bound=BaseModel)
Q = TypeVar("Q", bound=Query)

MAX_BODY_BYTES = 1024 * 1024

MAX_CONTAINERS = 50_000
"""How many objects and arrays a body may have: each takes some hundred bytes when decoded, even if empty."""

_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_ETAG = re.compile(r'"(0|[1-9][0-9]{0,8})"')


async def read_body(request: Request, model: type[M], *, optional: bool = False) -> M:
    """Return the JSON body of a command as a model, and check that there is no query string. An ``optional``
    body may be missing; if another is missing, each of its required fields is a fault.

    Raises:
        ApiError: 413 or 415; or 400, with the faults of the headers, the query string and the body.
    """
    found = head_faults(request, NoQuery)
    try:
        raw = await raw_body(request)
        request.state.body = {}
        body = await _read_as(model, request, raw) if raw else _nothing_as(model, optional=optional)
    except ApiError as error:
        raise with_faults(found, error) from None
    if found:
        raise Invalid(found)
    return body


async def _read_as(model: type[M], request: Request, raw: bytes) -> M:
    require_readable(request, raw, JSON)
    await decoded_body(request).enter(len(raw))
    request.state.body = json_object(raw)
    try:
        return model.model_validate(request.state.body)
    except ValidationError as error:
        raise Invalid(faults(error, model)) from None


def _nothing_as(model: type[M], *, optional: bool) -> M:
    try:
        nothing = model.model_validate({})
    except ValidationError as error:
        raise Invalid(faults(error, model)) from None
    if not optional:
        raise Invalid([Fault("body", "is required")])
    return nothing


def json_object(raw: bytes, field: Callable[[Iterable[str | int]], str] = field_at) -> dict[str, Any]:
    """Return the JSON object in a body. ``field`` returns the name of a place in it.

    Raises:
        ApiError: 400, the body is not a JSON object, has too many containers, or repeats a name.
    """
    if _containers_in(raw) > MAX_CONTAINERS:
        raise Invalid([Fault("body", f"must have at most {MAX_CONTAINERS} objects and arrays")])
    try:
        content = read_json(raw)
    except RepeatedNames as error:
        raise Invalid([Fault(field(place), "is given more than once") for place in error.places]) from None
    except InvalidJson as error:
        raise Invalid([Fault("body", str(error))]) from None
    if not isinstance(content, dict):
        raise Invalid([Fault("body", "must be a JSON object")])
    return content


def _containers_in(raw: bytes) -> int:
    """Return the number of opening brackets. Those within strings count too, unless there are too many."""
    count = raw.count(b"[") + raw.count(b"{")
    if count <= MAX_CONTAINERS:
        return count
    without_texts = _TEXT.sub(b"", raw)
    return without_texts.count(b"[") + without_texts.count(b"{")


def read_query(request: Request, model: type[Q]) -> Q:
    """Return the query string as a model. Unknown and repeated parameters are faults.

    Raises:
        ApiError: 400, it is not valid.
    """
    try:
        return model.read(request.query_params.multi_items())
    except ValidationError as error:
        raise Invalid(faults(error, model)) from None


def read_head(request: Request, model: type[Q]) -> Q:
    """Return the query string of a command that has no body.

    Raises:
        ApiError: 400, with the faults of the query string and of the ``Idempotency-Key``.
    """
    if found := head_faults(request, model):
        raise Invalid(found)
    return read_query(request, model)


def head_faults(request: Request, model: type[Query]) -> list[Fault]:
    """Return the faults of a command's query string and ``Idempotency-Key``."""
    found: list[Fault] = []
    for check in (partial(read_query, request, model), partial(idempotency_key, request)):
        try:
            check()
        except Invalid as error:
            found += error.faults
    return found


def with_faults(found: Sequence[Fault], refusal: ApiError) -> ApiError:
    """Return the refusal of a body together with the faults that were ``found`` before. If the body has the
    wrong media type, only those faults are returned."""
    if isinstance(refusal, Invalid):
        return Invalid([*found, *refusal.faults])
    return Invalid(found) if found and refusal.status == 415 else refusal


def expected_version(request: Request) -> int | None:
    """Return the version in ``If-Match``, or None without the header or with ``*``.

    Raises:
        VersionMismatch: it is not an ``ETag`` of this service, so it matches no version.
    """
    given = request.headers.get("if-match")
    if given is None or given.strip() == "*":
        return None
    match = _ETAG.fullmatch(given.strip())
    if match is None:
        raise VersionMismatch("If-Match does not name a version that has existed")
    return int(match[1])


def refuse_version(request: Request) -> None:
    """Refuse ``If-Match`` on a command that has no version to compare with: the caller would believe that it
    was checked.

    Raises:
        ApiError: 400, the header is given and is not ``*``.
    """
    if request.headers.get("if-match", "*").strip() != "*":
        why = "is not supported here: the command creates a resource, or applies to several"
        raise Invalid([Fault("If-Match", why)])


def caused_by(request: Request, caller: Caller) -> Metadata:
    """Return the metadata of the request's command. Call this after the body has been read.

    With an ``Idempotency-Key``, repeated requests have the same command ID.

    Raises:
        ApiError: 400, the key is not valid.
    """
    return Metadata(
        tenant=caller.tenant,
        actor=caller.actor,
        correlation_id=request.state.correlation_id,
        command_id=command_id(request, caller),
        request_digest=digest_of(request, caller) if idempotency_key(request) is not None else None,
    )


def names_no_correlation(request: Request) -> bool:
    """Return whether the request came without a correlation ID, and so has a generated one."""
    return not request.state.names_correlation


def order_in(request: Request, caller: Caller) -> dict[str, Any]:
    """Return the fields of every command on an existing resource. Call this after the body has been read.

    Raises:
        ApiError: 400, the ``Idempotency-Key`` is not valid.
        VersionMismatch: ``If-Match`` is not an ``ETag`` of this service.
    """
    return {
        "meta": caused_by(request, caller),
        "names_no_correlation": names_no_correlation(request),
        "expected_version": expected_version(request),
    }


async def raw_body(request: Request, most: int = MAX_BODY_BYTES) -> bytes:
    """Return the body, of at most ``most`` bytes.

    Raises:
        ApiError: 413, it is larger.
    """
    too_large = ApiError(413, "PAYLOAD_TOO_LARGE", f"the body must be at most {most} bytes")
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > most:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise too_large
    return bytes(body)
