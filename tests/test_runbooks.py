"""What the runbooks name exists: commands, routes, metrics, settings, log lines and each other."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from application.event_log import Fill
from config.settings import DEFAULT_FILE
from interfaces.rest.metrics import Metrics
from tests.builders import NOW
from tests.contract.contract import DOCUMENT
from tests.harness import run_command

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "runbooks"
RUNBOOKS = sorted(FOLDER.glob("*.md"))
SOURCE = "\n".join(
    path.read_text()
    for package in ("domain", "application", "projections", "infrastructure", "interfaces", "config")
    for path in (ROOT / package).rglob("*.py")
)
NO_SETTINGS = {
    *("PARKED", "EXCHANGE", "TOKEN", "SOURCE", "TARGET", "ACCESS_REFUSED", "PRECONDITION_FAILED"),
    *("ON_ERROR_STOP", "SERVICE_PASSWORD"),
}
"""What looks like a variable and is none of the service's."""

CODES = {
    "STORE_UNAVAILABLE",
    "PARKED_MESSAGES_HELD",
    "OVERLOADED",
    "HITL_APPROVAL_NOT_PENDING",
    "TOO_MANY_BACKFILLS",
}


@dataclass
class Anchored:
    """What anchoring tells of itself."""

    lost_heads: int
    due_at: datetime | None


def named(pattern: str, *, skip: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
    """Each thing that a runbook names, with the runbook."""
    return [
        (path.name, found)
        for path in RUNBOOKS
        for found in sorted(set(re.findall(pattern, path.read_text())) - skip)
    ]


def test_there_are_runbooks_and_the_seeds_are_among_them() -> None:
    names = {path.stem for path in RUNBOOKS}
    assert {"README", "backfill-failure", "hitl-approval-flow", "model-monitoring"} <= names


@pytest.mark.parametrize(
    "path", [each for each in RUNBOOKS if each.name != "README.md"], ids=lambda p: p.name
)
def test_every_runbook_is_in_the_index(path: Path) -> None:
    assert f"({path.name})" in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize(("runbook", "link"), named(r"\]\(([^)#:]+)\)"))
def test_every_link_leads_somewhere(runbook: str, link: str) -> None:
    assert (FOLDER / link).exists()


@pytest.fixture(scope="module")
def help_text() -> str:
    return run_command("--help").stdout


@pytest.mark.parametrize(("runbook", "command"), named(r"workflow-orchestrator ([a-z-]+)\b"))
def test_every_command_exists(runbook: str, command: str, help_text: str) -> None:
    assert re.search(rf"^  {command} ", help_text, re.MULTILINE)


@pytest.mark.parametrize(
    ("runbook", "route"), named(r"(?:\$A|\$H(?!/api)|/api/v1)(/[a-z{][A-Za-z0-9/{}-]*[A-Za-z0-9}])")
)
def test_every_route_exists(runbook: str, route: str) -> None:
    shapes = {re.sub(r"\{\w+\}", "[^/]+", re.sub("^/api/v1", "", path)) for path in DOCUMENT["paths"]}
    assert any(re.fullmatch(shape, route) for shape in shapes)


@pytest.mark.parametrize(
    ("runbook", "metric"),
    named(
        r"\b(\w+_total|follower_(?:lag|failing|handled|failures)\w*|lease_held|event_log_\w+|audit_anchor_\w+|cosmos_request_\w+)\b"
    ),
)
def test_every_metric_exists(runbook: str, metric: str) -> None:
    metrics = Metrics()
    metrics.watch_followers(list)
    metrics.watch_leases(dict)
    metrics.watch_partitions(lambda: Fill(1, 1, 2))
    metrics.watch_log(lambda: 0)
    metrics.watch_anchoring(Anchored(0, NOW))
    names = {family.name for family in text_string_to_metric_families(metrics.exposition().decode())}
    assert metric.removesuffix("_total") in names


@pytest.mark.parametrize(
    ("runbook", "variable"), named(r"\b([A-Z]+(?:_[A-Z]+)+)\b", skip=frozenset(NO_SETTINGS | CODES))
)
def test_every_variable_is_a_setting(runbook: str, variable: str) -> None:
    assert f"${{{variable}:-" in DEFAULT_FILE.read_text() or variable == "CONNECTION_FORCED"


@pytest.mark.parametrize(
    ("runbook", "event"),
    named(
        r"\b(follower_starts_over|broker_[a-z]+|lease[s]?_(?:taken|lost|away)|partition_fills|firing_[a-z_]+|goes_on|store_unavailable"
        r"|message_parked)\b"
    ),
)
def test_every_log_line_is_one_of_ours(runbook: str, event: str) -> None:
    assert f'"{event}"' in SOURCE


@pytest.mark.parametrize(("runbook", "code"), named(f"({'|'.join(sorted(CODES))})"))
def test_every_error_code_is_in_the_contract(runbook: str, code: str) -> None:
    assert f"- {code}\n" in (ROOT / "openapi.yaml").read_text()
