"""The facts of an approval in a form: only those that the user has changed are sent."""

from collections.abc import Mapping
from typing import Any

from domain.json_text import InvalidJson, RepeatedNames, read_json
from interfaces.console import prints
from interfaces.console.api import Refused

FACTS = ("amount", "riskScore", "subject", "payload")


def seen_of(approval: Mapping[str, Any]) -> str:
    """Return the value of the form's hidden field that records which facts were shown."""
    return prints.prints_of({name: approval.get(name) for name in FACTS})


def changed_in(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the facts that differ from those that were shown.

    Raises:
        Refused: no fact was changed, or one cannot be read or was removed.
    """
    changed = prints.changed_in(form, {name: _read(name, form.get(name, "").strip()) for name in FACTS})
    for name, value in changed.items():
        if value is None:
            raise Refused(400, "VALIDATION_ERROR", f"{name}: cannot be removed")
    if not changed:
        raise Refused(400, "VALIDATION_ERROR", "No fact was changed.")
    return changed


def _read(name: str, text: str) -> Any:
    if not text or name == "subject":
        return text or None
    try:
        return read_json(text.encode())
    except RepeatedNames as error:
        raise Refused(400, "VALIDATION_ERROR", f"{name}: {error}") from error
    except InvalidJson as error:
        what = "JSON" if name == "payload" else "a number"
        raise Refused(400, "VALIDATION_ERROR", f"{name}: must be {what}") from error
