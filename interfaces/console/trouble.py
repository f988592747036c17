"""The texts of an error page: what happened, and what the user can do about it."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.requests import Request


class _Told(msgspec.Struct, frozen=True):
    title: str
    advice: str
    message: str = ""
    """The message if the error has none."""


_OTHER = _Told("Not done", "Nothing was changed. Go back, correct what the message says, and try again.")
_NOT_NOW = _Told(
    "Temporarily unavailable",
    "Nothing is wrong with your request. Wait a few seconds, and try again.",
    "The service cannot answer at the moment.",
)
_TOLD: Mapping[int, _Told] = {
    403: _Told(
        "Not allowed",
        "Your roles determine what you may see and do. Whoever runs the platform assigns them.",
    ),
    404: _Told(
        "Not found",
        "The address may be mistyped, or what it leads to may be gone or belong to another tenant. Look for "
        "it in one of the lists above.",
        "There is no page at this address.",
    ),
    405: _Told(
        "Not done",
        "Nothing was changed. Start from one of the pages above.",
        "This address does not accept what was sent to it.",
    ),
    410: _Told("Archived", "Whoever runs the platform can restore what is in the archive."),
    429: _NOT_NOW,
    500: _Told(
        "Something went wrong",
        "This is not your fault, and the error is in the log. Try again. If it keeps happening, give the "
        "request ID below to whoever runs the platform.",
        "Something went wrong on our side.",
    ),
    502: _NOT_NOW,
    503: _NOT_NOW,
    504: _NOT_NOW,
}

_TOLD_OF: Mapping[str, _Told] = {
    "SYSTEM_TENANT_ONLY": _Told(
        "Not allowed",
        "You are working in your own tenant. What belongs to the platform is seen and changed only in the "
        "system tenant, by people who are admitted to it. Your roles do not change that.",
    ),
}
"""The texts by error code, where those of the status would be wrong."""


def address_of(request: Request) -> str:
    """Return the path and query of the request."""
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


def trouble(request: Request, status: int, message: str, code: str = "") -> Mapping[str, Any]:
    """Return the context of the error page's template. The bare name of the status does not count as a
    message."""
    told = _TOLD_OF.get(code) or _TOLD.get(status, _OTHER)
    if told.message and message in ("", HTTPStatus(status).phrase):
        message = told.message
    was_sent = request.method == "POST"
    may_be_later = told is _NOT_NOW or status == HTTPStatus.INTERNAL_SERVER_ERROR
    return {
        "title": told.title,
        "message": message,
        "advice": told.advice,
        "may_be_later": may_be_later,
        "was_sent": was_sent,
        "is_undone": was_sent and may_be_later,
        "address": address_of(request),
        "request_id": request.state.request_id,
    }
