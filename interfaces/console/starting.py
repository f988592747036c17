"""Starts a workflow with a form that is generated from its definition."""

from collections.abc import Mapping, Sequence
from typing import Any

from interfaces.console.api import Api, Refused
from interfaces.console.definitions import definition, startable
from interfaces.console.input_form import PREFIX, Field, fields_of, input_of


async def to_start(api: Api, name: str) -> Mapping[str, Any]:
    """Return the definitions to choose from; with a name, also the fields of that definition's input."""
    context: dict[str, Any] = {"definitions": await startable(api), "definition": None, "fields": ()}
    if name:
        context["definition"] = chosen = await definition(api, name)
        context["fields"] = _fields_of(chosen)
    return context


def left_over(fields: Sequence[Field], form: Mapping[str, str]) -> Mapping[str, str]:
    """Return what was typed into fields that no longer exist, by name."""
    names = [PREFIX + field.name for field in fields]
    return {
        name.removeprefix(PREFIX): text
        for name, text in form.items()
        if name.startswith(PREFIX) and name not in names and text.strip()
    }


async def start(api: Api, form: Mapping[str, str]) -> str:
    """Start a workflow from a form, in the version that the form was generated from. Return the workflow's
    ID.

    Raises:
        Refused: the API has refused it, a field cannot be read, or there is a newer version by now.
    """
    chosen = await definition(api, form.get("definition", ""))
    shown = form.get("version", str(chosen["version"]))
    if shown != str(chosen["version"]):
        told = f"The form was for version {shown}, but there is now version {chosen['version']}, shown below."
        raise Refused(409, "CONFLICT", f"{told} Nothing was started. Check the form, and start it again.")
    body: dict[str, Any] = {"definition": chosen["name"], "version": chosen["version"]}
    if opportunity := form.get("opportunityId", "").strip():
        body["opportunityId"] = opportunity
    given = input_of(_fields_of(chosen), form)
    if given or chosen["inputSchema"] is not None:
        body["input"] = given
    id = str((await api.post("/workflows", body, form.get("key", "")))["workflowId"])
    await api.settle(f"/workflows/{id}")
    return id


def _fields_of(chosen: Mapping[str, Any]) -> Sequence[Field]:
    return fields_of(chosen["inputSchema"], "input")
