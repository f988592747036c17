"""Protection against cross-site requests, by the headers in which a browser names a request's origin."""

from urllib.parse import urlsplit

from starlette.requests import Request

from interfaces.rest.media_types import media_type

_OF_FORMS = ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data")
"""The media types that a page may send to another site without a CORS preflight; empty for none."""


def is_from_here(request: Request) -> bool:
    """Return whether a page of this service sent the request."""
    if site := request.headers.get("sec-fetch-site"):
        return site == "same-origin"
    try:
        origin = urlsplit(request.headers.get("origin", ""))
    except ValueError:
        return False
    return origin.netloc == request.headers.get("host")


def may_be_forged(request: Request) -> bool:
    """Return whether a page of another origin may have made a browser send a command, with the cookies by
    which a gateway identifies its user: a POST that a form could send. Programs send no origin."""
    if request.method != "POST" or media_type(request) not in _OF_FORMS:
        return False
    headers = request.headers
    if headers.get("sec-fetch-site") == "none" or headers.get("authorization", "")[:7].lower() == "bearer ":
        return False
    return ("sec-fetch-site" in headers or "origin" in headers) and not is_from_here(request)
