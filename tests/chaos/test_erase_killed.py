"""An erasure of a deal that is killed between any two of its stages is completed by the service."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.chaos.killed_erase import BEFORE
from tests.harness import PATIENCE_SECONDS, TENANT, run_module, service_process

APPROVALS = "/api/v1/hitl/approvals"
NAMES = ("Mr. Asked", "Mr. Revised")
DEALS = ("opp-1", "opp-2")
OVERLAY = {"privacy": {"fresh_seconds": 0.2}}


def asked(client: httpx.Client, deal: str) -> str:
    """An approval whose second payload stands under the name of its stream."""
    facts = {"opportunityId": deal, "riskScore": 0.8, "amount": 1, "payload": {"customerName": NAMES[0]}}
    id = client.post(APPROVALS, json=facts).json()["id"]
    revised = client.post(f"{APPROVALS}/{id}/revise", json={"payload": {"customerName": NAMES[1]}})
    assert revised.is_success, revised.text
    position = {"X-Min-Position": revised.headers["x-position"], "Prefer": "wait=10"}
    assert client.get(f"{APPROVALS}/{id}", headers=position).is_success
    assert client.get("/api/v1/audit/events", headers=position).is_success
    return str(id)


def names_told(client: httpx.Client, id: str) -> list[str]:
    told = client.get(f"{APPROVALS}/{id}").text + client.get(f"{APPROVALS}/{id}/events").text
    return [name for name in NAMES if name in told]


def left_undone(folder: Path) -> tuple[int, int]:
    """How many keys were destroyed, and how many of these the log is still to tell of."""
    with closing(sqlite3.connect(folder / "events-keys.db", timeout=10)) as keys:
        counted = "SELECT count(*), coalesce(sum(NOT is_told), 0) FROM personal_erasures"
        destroyed, untold = keys.execute(counted).fetchone()
        return destroyed, untold


@pytest.mark.parametrize("moment", BEFORE)
def test_the_service_completes_an_erasure_of_a_deal_that_was_killed(tmp_path: Path, moment: str) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(yaml.safe_dump(OVERLAY))
    with service_process(tmp_path, overlay=OVERLAY, BATCH_JOBS_ENABLED="false") as process:
        with process.client() as client:
            erased, kept = (asked(client, deal) for deal in DEALS)
        process.terminate()
        whom = ("--tenant", TENANT, "--subject", "opportunity:opp-1", "--config", str(config))
        environ: dict[str, Any] = {"DATA_DIR": str(process.data_dir)}
        ended = run_module("tests.chaos.killed_erase", moment, *whom, **environ)
        assert ended.returncode == -9, ended.stderr
        assert left_undone(process.data_dir) == (2, 1 if "second" in moment or moment == "noted" else 2)
        process.start()
        with process.client() as client:
            until = time.monotonic() + PATIENCE_SECONDS
            while names_told(client, erased) or left_undone(process.data_dir)[1]:
                assert time.monotonic() < until, (names_told(client, erased), left_undone(process.data_dir))
                time.sleep(0.1)
            assert names_told(client, kept) == list(NAMES)
            asked(client, "opp-3")  # and the trail has come to it
            rows = client.get("/api/v1/audit/events", params={"type": "privacy.erasure_carried_out"}).json()
        assert rows["total"] == 2, "nothing is told twice"
