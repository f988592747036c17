"""Starting a workflow by a form that is made from its definition."""

from collections.abc import Mapping, Sequence
from typing import Any

from interfaces.console.api import Api
from interfaces.console.definitions import definition, startable
from interfaces.console.input_form import Field, fields_of, input_of


async def to_start(api: Api, name: str) -> Mapping[str, Any]:
    """What can be started; with a name, the fields of that definition's input."""
    context: dict[str, Any] = {"definitions": await startable(api), "definition": None, "fields": ()}
    if name:
        context["definition"] = chosen = await definition(api, name)
        context["fields"] = _fields_of(chosen)
    return context


async def start(api: Api, form: Mapping[str, str]) -> str:
    """Start what a form asks for; the workflow's id.

    Raises:
        Refused: the API did not, or a field cannot be read.
    """
    chosen = await definition(api, form.get("definition", ""))
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
