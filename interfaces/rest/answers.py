"""Responses: JSON bodies, entity tags and lists."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from starlette.responses import Response

JSON = "application/json"


def json_response(content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return any content as JSON."""
    return stored_json(msgspec.json.encode(content), status=status, headers=headers)


def stored_json(body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a document as the bytes that are stored."""
    return Response(body, status_code=status, headers=headers, media_type=JSON)


def etag(version: int) -> str:
    """Return the entity tag of an aggregate's version."""
    return f'"{version}"'


def list_body(name: str, bodies: Iterable[bytes], total: int, next_cursor: str | None) -> bytes:
    """Return ``{<name>: [...], total, nextCursor?}`` around the stored bytes of documents."""
    content: dict[str, Any] = {name: [msgspec.Raw(body) for body in bodies], "total": total}
    if next_cursor is not None:
        content["nextCursor"] = next_cursor
    return msgspec.json.encode(content)
