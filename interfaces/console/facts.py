"""The facts of an approval in a form: what somebody has changed of what they were shown, and nothing else.

What another has changed meanwhile is not put back by a form that was filled in before.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec

from interfaces.console.api import Refused
from interfaces.json_reader import InvalidJson, read_json

FACTS = ("amount", "riskScore", "subject", "payload")


def seen_of(approval: Mapping[str, Any]) -> str:
    """What tells later which facts were shown; it goes along with the form."""
    return msgspec.json.encode({name: _print_of(approval.get(name)) for name in FACTS}).decode()


def changed_in(form: Mapping[str, str]) -> dict[str, Any]:
    """The facts that are not as they were shown.

    Raises:
        Refused: there is none, or one cannot be read, or is to be taken away.
    """
    try:
        seen = msgspec.json.decode(form.get("seen", ""), type=dict[str, str])
    except msgspec.MsgspecError as error:
        raise Refused(400, "BAD_REQUEST", "the form does not say what was shown") from error
    given = {name: _read(name, form.get(name, "").strip()) for name in FACTS}
    changed = {name: value for name, value in given.items() if _print_of(value) != seen.get(name)}
    for name, value in changed.items():
        if value is None:
            raise Refused(400, "VALIDATION_ERROR", f"{name}: cannot be taken away")
    if not changed:
        raise Refused(400, "VALIDATION_ERROR", "Nothing of it is different.")
    return changed


def _read(name: str, text: str) -> Any:
    if not text or name == "subject":
        return text or None
    try:
        return read_json(text.encode())
    except InvalidJson as error:
        what = "JSON" if name == "payload" else "a number"
        raise Refused(400, "VALIDATION_ERROR", f"{name}: must be {what}") from error


def _print_of(value: object) -> str:
    if isinstance(value, str):
        value = value.strip()
    return sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:16]
