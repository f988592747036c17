"""The page about metrics names what is served, and nothing else."""

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.harness import service, settings_in

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
ENDINGS = {"counter": "_total", "info": "_info"}
OF_THE_PROCESS = "process_"
"""Prometheus' own, which depend on the system."""


ELSEWHERE = ("audit_", "event_log_fullest_partition_")
"""Of a signed audit trail, and of a log in Cosmos DB."""


def told() -> set[str]:
    rows = [line.split(" | ")[0] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([a-z_]+)(?:\{[a-z,_]+\})?`", row)}
    assert any(row.startswith(f"| `{OF_THE_PROCESS}*`") for row in rows)
    return named


async def test_the_page_about_metrics_has_each_of_them_and_no_other(tmp_path: Path) -> None:
    async with service(settings_in(tmp_path)) as running, running.client(None) as client:
        answer = (await client.get("/metrics")).text
    served = {
        each.name + ENDINGS.get(each.type, "")
        for each in text_string_to_metric_families(answer)
        if not each.name.startswith(OF_THE_PROCESS)
    }
    assert served - told() == set()
    assert {name for name in told() - served if not name.startswith(ELSEWHERE)} == set()
