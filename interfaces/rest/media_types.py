"""Checks of a body's media type, character encoding and content encoding."""

import re

from starlette.requests import Request

from interfaces.rest.errors import ApiError

_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^\s";]+)', re.IGNORECASE)
_UTF_8 = frozenset({"utf-8", "utf8", "us-ascii"})
_ASCII_AND_MORE = frozenset({"iso-8859-1", "windows-1252"})
"""Accepted if the body is ASCII, which is UTF-8 too: some clients name these whatever they send."""


def media_type(request: Request) -> str:
    """Return the media type of a request's body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def require_readable(request: Request, raw: bytes, *media_types: str) -> None:
    """Check that a body has one of the media types, is UTF-8, and is not compressed.

    Raises:
        ApiError: 415, it is not.
    """
    if media_type(request) not in media_types:
        raise _unsupported(" or ".join(media_types))
    if request.headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
        raise _unsupported("sent without Content-Encoding")
    named = _CHARSET.search(request.headers["content-type"])
    charset = named[1].lower() if named else "utf-8"
    if charset not in _UTF_8 and not (charset in _ASCII_AND_MORE and raw.isascii()):
        raise _unsupported("in UTF-8")


def _unsupported(wanted: str) -> ApiError:
    return ApiError(415, "UNSUPPORTED_MEDIA_TYPE", f"the body must be {wanted}")
