"""The form that retries a workflow: from which step, and with which changed input."""

from collections.abc import Mapping, Sequence
from typing import Any

from interfaces.console.api import Api, Refused
from interfaces.console.definitions import definition
from interfaces.console.input_form import Field, changed_input, fields_of, filled_of
from interfaces.console.prints import SEEN, prints_of

_MOST_CHARACTERS = 50_000
"""The longest input that a form can change, in characters."""

_LEFT_OUT = "omittedBytes"
"""The member that replaces an input that is too large for the workflow's document."""


async def asked_of(api: Api, workflow: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of the form. For a completed workflow a step must be chosen. If a failed compensation
    is tried again, there is nothing to choose."""
    if workflow["status"] == "compensation_failed":
        return {"steps": (), "fields": (), "may_be_silent": True, "is_too_large": False}
    fields = await _fields(api, workflow)
    filled = filled_of(fields, workflow["input"] or {})
    is_too_large = _LEFT_OUT in (workflow["input"] or {}) or sum(map(len, filled.values())) > _MOST_CHARACTERS
    return {
        "steps": [step["stepType"] for step in workflow["steps"]],
        "fields": () if is_too_large else fields,
        "filled": filled,
        "seen": prints_of(filled),
        "may_be_silent": workflow["status"] != "completed",
        "is_too_large": is_too_large,
    }


async def asked_by(api: Api, workflow: Mapping[str, Any], form: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the body for the API from a form. It has an input only if the input was changed.

    Raises:
        Refused: a field cannot be read.
    """
    asked: dict[str, Any] = {}
    if step := form.get("fromStep", "").strip():
        asked["fromStep"] = step
    if SEEN in form:
        changed = changed_input(await _fields(api, workflow), workflow["input"] or {}, form)
        if changed is not None:
            asked["input"] = changed
    return asked


async def _fields(api: Api, workflow: Mapping[str, Any]) -> Sequence[Field]:
    """Return the fields of the input, from the workflow's version of the definition unless it is gone."""
    try:
        version = workflow["definitionVersion"]
        schema = (await definition(api, workflow["definition"], version=version))["inputSchema"]
    except Refused as refused:
        if refused.status != 404:
            raise
        schema = None
    return fields_of(schema, "input")
