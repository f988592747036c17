"""From a neighbour's answer to the outcome of the step."""

from typing import Any, Literal

import msgspec

from application.ports import BadAnswer, HttpAnswer, NoAnswer
from domain.json_text import InvalidJson, TooDeep, read_json_of_neighbours

ACCEPTED = 202
_PERHAPS_LATER = (408, 425, 429)
_ABSENT = (502, 503, 504)
_LONGEST_ERROR = 500


class Succeeded(msgspec.Struct, frozen=True):
    """The step is completed with this."""

    result: Any


class StillAtIt(msgspec.Struct, frozen=True):
    """The neighbour has the result later. It comes as one of the step's replies, by hand, or with the next
    try."""


class Failed(msgspec.Struct, frozen=True):
    """The step has failed. An ``unavailable`` service may work another time, a ``rejected`` request never."""

    reason: Literal["unavailable", "rejected"]
    error: str


Verdict = Succeeded | StillAtIt | Failed


def verdict_on(answer: HttpAnswer | NoAnswer | BadAnswer, service: str, *, may_accept: bool) -> Verdict:
    """Return what an answer means for the step. With ``may_accept`` a 202 means that the real answer comes
    later."""
    match answer:
        case NoAnswer():
            return Failed("unavailable", service + _shown(answer.why))
        case BadAnswer():
            return Failed("rejected", service + _shown(answer.why))
    if answer.status == ACCEPTED and may_accept:
        return StillAtIt()
    if 200 <= answer.status < 300:
        return _result(answer.body, service)
    said = f"{service} answered {answer.status}"
    if answer.status in _PERHAPS_LATER or answer.status >= 500:
        later = f" with Retry-After {answer.retry_after[:40]}" if answer.retry_after else ""
        return Failed("unavailable", said + later + _quoted(answer.body))
    return Failed("rejected", said + _quoted(answer.body))


def is_there(answer: HttpAnswer | NoAnswer | BadAnswer) -> bool:
    """Return whether the neighbour itself answers, whatever it says.

    A 500 is an answer: a failure that one step's request causes must not keep the others' from being sent.
    """
    return not isinstance(answer, NoAnswer) and not (
        isinstance(answer, HttpAnswer) and answer.status in _ABSENT
    )


def _result(body: bytes, service: str) -> Verdict:
    if not body.strip():
        return Succeeded(None)
    try:
        return Succeeded(read_json_of_neighbours(body))
    except TooDeep as error:
        return Failed("rejected", f"{service} answered with JSON {error}")
    except InvalidJson:
        return Failed("rejected", f"{service} did not answer with JSON{_quoted(body)}")


def _quoted(body: bytes) -> str:
    """Return the message in an error's body, or the body itself, on one line."""
    return _shown(_message(body))


def _shown(text: str) -> str:
    """Return a text from outside on one line, as the end of a sentence."""
    visible = "".join(each for each in text if each.isprintable() or each.isspace())
    shown = " ".join(visible.split())[:_LONGEST_ERROR]
    return f": {shown}" if shown else ""


def _message(body: bytes) -> str:
    try:
        said = read_json_of_neighbours(body)
    except InvalidJson:
        return body[: 4 * _LONGEST_ERROR].decode(errors="replace")
    for _ in range(2):
        if isinstance(said, dict):
            said = next((said[key] for key in ("error", "message", "detail", "title") if said.get(key)), said)
    return said if isinstance(said, str) else body[: 4 * _LONGEST_ERROR].decode(errors="replace")
