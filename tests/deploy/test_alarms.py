"""A real Prometheus scrapes a service, and raises the alarm when nobody is there any more."""

import time
from collections.abc import Callable
from pathlib import Path

from tests.deploy.prometheus import prometheus
from tests.deploy.promql import RULES, expressions
from tests.harness import service_process


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_it_is_calm_while_the_service_is_at_work_and_not_when_it_is_gone(tmp_path: Path) -> None:
    with (
        service_process(tmp_path) as process,
        prometheus(tmp_path, [f"127.0.0.1:{process.port}"]) as running,
    ):
        until(running.is_ready)
        until(lambda: running.values('batch_job_open_runs{batch_job="outcome-sync"}') == [0])
        until(lambda: not running.alarms())
        healths = {rule["name"]: rule["health"] for rule in running.rules()}
        assert healths == {rule["alert"]: "ok" for rule in RULES}
        for expression in expressions().values():
            running.values(expression)
        assert running.values('max(lease_held{part="scheduler"})') == [1]
        process.kill()
        until(
            lambda: (
                [rule["name"] for rule in running.rules() if rule["state"] == "pending"]
                == ["SchedulerSilent"]
            )
        )
