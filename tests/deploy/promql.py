"""What the rules and the dashboard of deploy/monitoring ask Prometheus for."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from tests.deploy.files import DEPLOY
from tests.yaml_files import document_in

MONITORING = DEPLOY / "monitoring"
ALERTS = MONITORING / "alerts.yaml"
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text())
RULES: list[dict[str, Any]] = [rule for group in document_in(ALERTS)["groups"] for rule in group["rules"]]

_GRAFANAS = {"$__rate_interval": "5m", "$__range": "24h", "$batch_job": ".*"}
"""What Grafana puts in place of its variables."""

_WORDS = frozenset(("and", "or", "unless", "bool", "offset", "group_left", "group_right"))
_GROUPING = r"\b(by|without|on|ignoring)\s*\(([^)]*)\)"
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"


class Asked(msgspec.Struct, frozen=True):
    """A metric that an expression names, with the labels that it is chosen by."""

    metric: str
    labels: frozenset[str]


def panels() -> Iterator[dict[str, Any]]:
    """Every panel of the dashboard but the rows."""
    return (panel for panel in DASHBOARD["panels"] if panel["type"] != "row")


def expressions() -> dict[str, str]:
    """Each expression by where it stands, as Prometheus is sent it."""
    found = {f"alert {rule['alert']}": rule["expr"] for rule in RULES}
    for panel in panels():
        for target in panel["targets"]:
            text = target["expr"]
            for variable, value in _GRAFANAS.items():
                text = text.replace(variable, value)
            found[f"panel {panel['title']} {target['refId']}"] = text
    return found


def asked(expression: str) -> list[Asked]:
    """The metrics that an expression names."""
    text = re.sub(_GROUPING, " ", expression)
    found = []
    for name, behind in re.findall(rf"(?<![\w.])({_NAME})\s*(\{{[^}}]*\}}|\()?", _without_durations(text)):
        if behind != "(" and name not in _WORDS:
            labels = re.findall(rf"({_NAME})\s*(?:=~|!~|!=|=)", behind)
            found.append(Asked(name, frozenset(labels)))
    return found


def grouped_by(expression: str) -> set[str]:
    """The labels that an expression groups or matches by."""
    return {
        label.strip() for _, inside in re.findall(_GROUPING, expression) for label in inside.split(",")
    } - {""}


def _without_durations(text: str) -> str:
    return re.sub(r"\[[^\]]*\]|\boffset\s+\w+", " ", text)
