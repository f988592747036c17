"""From a dispatched ``http`` step to its request.

A value of the workflow fills at most one segment of the path, so that no value leads anywhere but where the
definition points.
"""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from application.kinds.http import METHODS, PLACEHOLDER
from application.ports import HttpRequest, StepCall
from domain.values import derived_id

ALL = "all"
_WITH_BODY = ("POST", "PUT", "PATCH")


_TEMPLATE = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*", re.ASCII)
_QUERY = re.compile(r"[A-Za-z0-9._~!$'()*,;:@%/?&=+-]*", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HEADER_UNSAFE = re.compile(r"[^\x20-\x7e]")


class BadRequest(Exception):
    """The step's input does not make a request, and never will. The text says why."""


def request_of(call: StepCall) -> HttpRequest:
    """Return the request of a call, which is always the same.

    Raises:
        BadRequest: a value is missing, or may not stand where the definition puts it.
    """
    parameters, given = call.parameters, call.input
    method = str(parameters.get("method", "GET"))
    if method not in METHODS:
        raise BadRequest(f"the method {method} is not one of {', '.join(METHODS)}")
    template = str(parameters.get("path", ""))
    path, _, fixed_query = template.partition("?")
    query = parameters.get("query") or ()
    body = _body(parameters.get("body"), method, {*PLACEHOLDER.findall(template), *query}, given)
    request = HttpRequest(
        service=call.service,
        method=method,
        path=_path(path, given),
        query="&".join(filter(None, (_filled_query(fixed_query, given), _query(query, given)))),
        body=body,
        tenant=call.meta.tenant,
    )
    return msgspec.structs.replace(request, headers=_headers(call, idempotency_key(call, request)))


def idempotency_key(call: StepCall, request: HttpRequest) -> str:
    """Return the same key for every attempt at a step that sends the same request, in any execution.

    If an operator retries a step with changed input, it sends another request. Under the old key the
    neighbour would refuse that, or return the old answer. The same holds if a compensation is carried out
    again because its step was.
    """
    sent = (request.method, request.path, request.query, (request.body or b"").decode())
    digest = hashlib.sha256("\x1f".join(sent).encode()).hexdigest()
    again = (str(call.done_again),) if call.done_again else ()
    return derived_id("idempotency-key", call.step_id, digest, *again)


def _headers(call: StepCall, key: str) -> Mapping[str, str]:
    headers = {
        "X-Tenant-ID": call.meta.tenant,
        "X-Correlation-ID": call.meta.correlation_id,
        "X-Workflow-ID": call.workflow_id,
        "X-Step-ID": call.step_id,
        "Idempotency-Key": key,
    }
    return {name: _HEADER_UNSAFE.sub("?", value) for name, value in headers.items()}


def _path(template: str, given: Mapping[str, Any]) -> str:
    if not _TEMPLATE.fullmatch(PLACEHOLDER.sub("", template)):
        raise BadRequest("the path must begin with / and contain only characters allowed in a path")
    path = PLACEHOLDER.sub(lambda found: _segment(found[1], given), template)
    if any(segment in (".", "..") for segment in path.replace("%2E", ".").replace("%2e", ".").split("/")):
        raise BadRequest("the path must not have a segment . or ..")
    return path


def _segment(name: str, given: Mapping[str, Any]) -> str:
    text = _text(name, given.get(name))
    if not text or text in (".", "..") or "/" in text or "\\" in text or _CONTROL.search(text):
        raise BadRequest(f"{name} goes into the path: it must not be empty, . or .., or contain / or \\")
    return quote(text, safe="")


def _filled_query(template: str, given: Mapping[str, Any]) -> str:
    if not _QUERY.fullmatch(PLACEHOLDER.sub("", template)):
        raise BadRequest("the path's query must contain only characters allowed in a query")
    return PLACEHOLDER.sub(lambda found: quote(_text(found[1], given.get(found[1])), safe=""), template)


def _query(names: Sequence[str], given: Mapping[str, Any]) -> str:
    """Null values are left out. A list gives its name once for each element."""
    pairs = []
    for name in names:
        value = given.get(name)
        if value is not None:
            values = value if isinstance(value, list | tuple) else [value]
            pairs += [(name, _text(name, each)) for each in values]
    return urlencode(pairs, quote_via=quote)


def _body(
    names: Sequence[str] | None, method: str, elsewhere: Collection[str], given: Mapping[str, Any]
) -> bytes | None:
    """Return those members of the input; by default, and with ``all``, the ones that are not used
    elsewhere."""
    if names == ALL or (names is None and method in _WITH_BODY):
        names = [name for name in given if name not in elsewhere]
    elif not names:
        return None
    return msgspec.json.encode({name: given.get(name) for name in names})


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise BadRequest(f"{name} is not valid Unicode") from None
        return value
    if isinstance(value, int | float):
        return str(value)
    raise BadRequest(f"{name} goes into the path or the query: it must be a string, a number, true or false")
