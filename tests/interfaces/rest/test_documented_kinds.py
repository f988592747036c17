"""``docs/step-kinds.md`` and ``docs/tasks.md``: their examples are sound, and the tables are the code's."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic.alias_generators import to_camel

from application.approval_commands import RequestApproval
from application.approval_input import NAMES
from application.kinds import KINDS
from application.kinds.http import METHODS, SERVICES
from domain.platform_messages import OF_NEIGHBOURS, PREFIXES, REQUESTS
from interfaces.definitions.document import MapDocument
from tests.harness import Service

pytestmark = pytest.mark.anyio

DOCS = Path(__file__).parents[3] / "docs"
KINDS_PAGE = (DOCS / "step-kinds.md").read_text()
PAGES = {"step-kinds.md": KINDS_PAGE, "tasks.md": (DOCS / "tasks.md").read_text()}
SECTIONS = {
    title.strip("`"): text
    for title, text in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", KINDS_PAGE, re.M | re.S)
}

NOT_OF_A_STEPS_INPUT = {
    "meta",
    "expectedVersion",
    "approvalId",
    "requestedAt",
    "correlationId",
    "step",
    "mustOpen",
    "namesNoCorrelation",
}
"""What an approval step's request says of itself."""


def examples(page: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", page, re.S)


ALL_EXAMPLES = {
    f"{name}-{yaml.safe_load(text)['name']}": text for name, page in PAGES.items() for text in examples(page)
}


def rows(kind: str) -> dict[str, str]:
    """The lines of a section's first table, by the names that they begin with."""
    table = SECTIONS[kind].partition("\n\n**Input")[0].partition("\n\n**Result")[0]
    return dict(re.findall(r"^\| `([^`]+)` \|(.*)$", table, re.M))


def parameters_of(schema: Any, within: str = "") -> dict[str, bool]:
    """Each parameter's name, and whether it is required; those of lists' elements too."""
    found: dict[str, bool] = {}
    for name, each in schema["properties"].items():
        found[within + name] = name in schema["required"]
        if "properties" in each.get("items", {}):
            found |= parameters_of(each["items"], f"{within}{name}[].")
    return found


@pytest.mark.parametrize("name", ALL_EXAMPLES)
async def test_every_example_is_a_sound_definition(behind_gateway: Service, name: str) -> None:
    async with behind_gateway.client(**{"Content-Type": "application/yaml"}) as client:
        answer = await client.post("/api/v1/workflow-definitions/validate", content=ALL_EXAMPLES[name])
    assert answer.json()["faults"] == []
    assert answer.json()["valid"]


def test_every_page_has_examples() -> None:
    assert {name.rpartition(".md-")[0] + ".md" for name in ALL_EXAMPLES} == set(PAGES)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kinds_table_has_its_parameters_and_no_others(kind: str) -> None:
    documented = {name: "| required |" in row for name, row in rows(kind).items()}
    assert kind in [
        step["kind"] for text in examples(SECTIONS[kind]) for step in yaml.safe_load(text)["steps"]
    ]
    if kind == "approval":
        told = {to_camel(field) for field in RequestApproval.__struct_fields__}
        assert set(documented) == told - NOT_OF_A_STEPS_INPUT == set(NAMES)
    elif kind == "map":
        assert documented == {field.alias: field.is_required() for field in MapDocument.model_fields.values()}
    else:
        assert documented == parameters_of(KINDS[kind].schema)


def test_what_can_be_called_is_named() -> None:
    table = rows("http")
    assert re.findall(r"`(\w+)`", table["service"].partition("| required")[0]) == list(SERVICES)
    assert re.findall(r"`(\w+)`", table["method"]) == list(METHODS)


def test_the_platforms_own_messages_are_named() -> None:
    named = set(re.findall(r"`([a-z_.]+)`", SECTIONS["event"]))
    assert {*PREFIXES, *OF_NEIGHBOURS, *REQUESTS} <= named
