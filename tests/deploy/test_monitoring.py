"""The alert rules and the dashboard: promtool takes them, and the service serves what they name."""

import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from application.job_commands import CompleteJobRun, FailJobRun, FireJob
from application.ports import PublicMessage
from domain.values import SYSTEM_TENANT
from infrastructure.clock import SystemClock
from infrastructure.signatures import new_key
from tests.builders import NOW, TENANT, metadata
from tests.deploy.files import DEPLOY, ROOT
from tests.deploy.promql import ALERTS, DASHBOARD, RULES, Asked, asked, expressions, grouped_by, panels
from tests.harness import eventually, service, settings_in
from tests.services import missing
from tests.yaml_files import document_in

CASES_FILE = Path(__file__).parent / "alert_cases.yaml"
CASES = [case for test in document_in(CASES_FILE)["tests"] for case in test["alert_rule_test"]]
PROMETHEUS_OWN = frozenset(("instance", "job"))
JOB = "outcome-sync"
REFUSED = PublicMessage(
    id="m-1", type="analysis.completed", tenant=TENANT, timestamp=NOW, data={}, metadata={}
)

Served = Mapping[str, frozenset[str]]
"""The labels of each metric's samples."""


@pytest.fixture(scope="module")
def promtool() -> str:
    """The program."""
    found = shutil.which("promtool")
    if found is None:
        missing("promtool (Debian: prometheus)")
    return found


def said(*command: str) -> str:
    """What a command that succeeds says."""
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """What a service at work serves, after one of each."""
    settings = settings_in(tmp_path_factory.mktemp("served"), AUDIT_SIGNING_KEY=new_key()[0].decode())
    async with service(settings) as running:
        metrics, now = running.container.metrics, SystemClock().now()
        metrics.heartbeat(True)
        metrics.step_call("risk_analytics", "answered", 0.1)
        metrics.message_consumed("hitl.approval.requested", "parked")
        metrics.message_refused(REFUSED)
        about: dict[str, Any] = {"job": JOB}
        for command in (
            FireJob(meta=metadata(tenant=SYSTEM_TENANT), nominal_at=now, **about),
            CompleteJobRun(meta=metadata(tenant=SYSTEM_TENANT), **about),
            FireJob(meta=metadata(tenant=SYSTEM_TENANT), nominal_at=now - timedelta(seconds=1), **about),
            FailJobRun(meta=metadata(tenant=SYSTEM_TENANT), error="no disk", **about),
        ):
            await running.container.dispatch(command)

        async def there() -> Served | None:
            async with running.client(None) as client:
                text = (await client.get("/metrics")).text
            found: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    found[sample.name] |= sample.labels.keys()
            has_failed = f'batch_job_runs_total{{batch_job="{JOB}",outcome="failed"}} 1.0' in text
            complete = {"messages_published_total", "audit_anchor_due_timestamp_seconds"} <= found.keys()
            return found if has_failed and complete else None

        yield await eventually(there)


def test_what_an_expression_asks_for_is_told_apart_from_its_words() -> None:
    text = 'sum by (t) (rate(a_total{x="(y)", z!~"w|v"}[5m])) > on (t) group_left b or vector(0) offset 15m'
    assert asked(text) == [Asked("a_total", frozenset(("x", "z"))), Asked("b", frozenset())]
    assert grouped_by(text) == {"t"}


def test_promtool_takes_the_rules(promtool: str) -> None:
    assert f"SUCCESS: {len(RULES)} rules found" in said(promtool, "check", "rules", str(ALERTS))


def test_each_alert_fires_when_it_is_to_and_only_then(promtool: str) -> None:
    assert "SUCCESS" in said(promtool, "test", "rules", str(CASES_FILE))


@pytest.mark.parametrize("alert", [rule["alert"] for rule in RULES])
def test_of_each_alert_both_are_tried(alert: str) -> None:
    assert {bool(case["exp_alerts"]) for case in CASES if case["alertname"] == alert} == {True, False}


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert (ROOT / rule["annotations"]["runbook"]).is_file()
    told = " ".join(rule["annotations"].values())
    assert set(re.findall(r"\$labels\.(\w+)", told)) <= grouped_by(rule["expr"])


def test_the_table_of_alerts_has_each_of_them_and_no_other() -> None:
    table = (DEPLOY / "README.md").read_text().partition("| alert | when |")[2].partition("\n\n")[0]
    named = [name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split(" | ")[0])]
    assert sorted(named) == sorted(rule["alert"] for rule in RULES)


@pytest.mark.anyio
@pytest.mark.parametrize("where", expressions())
async def test_the_service_serves_what_is_asked_for(where: str, served: Served) -> None:
    expression = expressions()[where]
    named = asked(expression)
    assert named
    for each in named:
        assert each.metric in served
        assert each.labels <= served[each.metric]
    there = frozenset[str]().union(*(served[each.metric] for each in named))
    assert grouped_by(expression) <= there | PROMETHEUS_OWN


def test_promtool_takes_every_expression_of_the_dashboard(promtool: str, tmp_path: Path) -> None:
    """As recording rules, since this tool reads PromQL nowhere else."""
    texts = list(expressions().values())
    rules = [{"record": f"expression:{number}", "expr": text} for number, text in enumerate(texts)]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"SUCCESS: {len(rules)} rules found" in said(promtool, "check", "rules", str(path))


def test_the_dashboard_can_be_imported_anywhere() -> None:
    assert DASHBOARD["id"] is None
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    variables = {each["name"] for each in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource", "batch_job"}
    for panel in panels():
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references))
        for source in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
            assert source == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["description"]


def test_no_panel_lies_on_another() -> None:
    places = [each["gridPos"] for each in DASHBOARD["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)


def test_what_an_alert_is_about_is_on_the_dashboard() -> None:
    shown = {
        each.metric for panel in panels() for target in panel["targets"] for each in asked(target["expr"])
    }
    watched = {each.metric for rule in RULES for each in asked(rule["expr"])}
    assert watched - shown == {
        "batch_job_last_run_timestamp_seconds",
        "batch_job_last_success_timestamp_seconds",
    }
