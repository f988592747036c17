"""A real Prometheus with the rules of deploy/monitoring, that scrapes services on loopback."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.deploy.promql import ALERTS
from tests.plain_http import NO_TLS
from tests.services import free_port, missing


class Prometheus:
    """A running one, as its API tells of it."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=f"{url}/api/v1", timeout=10, verify=NO_TLS)

    def ask(self, path: str, **parameters: str) -> Any:
        """What it answers to."""
        return self._client.get(path, params=parameters).raise_for_status().json()["data"]

    def is_ready(self) -> bool:
        """Whether it has scraped everybody, and looked at every rule."""
        try:
            targets = self.ask("/targets")["activeTargets"]
            rules = self.rules()
        except httpx.HTTPError:
            return False
        return all(each["health"] == "up" for each in targets) and all(
            each["health"] != "unknown" for each in rules
        )

    def rules(self) -> list[dict[str, Any]]:
        """Each rule and how it fares."""
        return [rule for group in self.ask("/rules")["groups"] for rule in group["rules"]]

    def alarms(self) -> list[str]:
        """The alerts that fire, or would if it went on like that."""
        return [rule["name"] for rule in self.rules() if rule["state"] != "inactive"]

    def values(self, expression: str) -> list[float]:
        """What an expression comes to now."""
        found = self.ask("/query", query=expression)["result"]
        return [float(each["value"][1]) for each in found]

    def close(self) -> None:
        """Ask no more."""
        self._client.close()


@contextmanager
def prometheus(folder: Path, targets: Sequence[str]) -> Iterator[Prometheus]:
    """One that scrapes these addresses every half second."""
    program = shutil.which("prometheus")
    if program is None:
        missing("prometheus")
    config = folder / "prometheus.json"
    config.write_text(
        json.dumps(
            {
                "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
                "rule_files": [str(ALERTS)],
                "scrape_configs": [
                    {"job_name": "workflow-orchestrator", "static_configs": [{"targets": list(targets)}]}
                ],
            }
        )
    )
    address = f"127.0.0.1:{free_port()}"
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
    running = Prometheus(f"http://{address}")
    try:
        yield running
    finally:
        running.close()
        process.kill()
        process.wait()
