"""`projections`: how they fare, with no service and beside one."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.decisions import Answered, decide_a_bit_of_everything, in_thread, until_ready
from tests.harness import ServiceProcess, run_command, service_process

pytestmark = pytest.mark.anyio


def told(service: ServiceProcess) -> dict[str, dict[str, Any]]:
    """Each projection, as it is told in JSON."""
    told = run_command(
        "projections", "--json", DATA_DIR=str(service.data_dir), PORT=str(service.port), LOG_LEVEL="error"
    )
    assert told.returncode == 0, told.stderr
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    return {each["projection"]: each for each in lines}


def test_a_folder_without_a_log_is_refused_with_one_clear_line_and_not_made(tmp_path: Path) -> None:
    for arguments in (("projections",), ("rebuild", "--verify"), ("rebuild",)):
        refused = run_command(*arguments, DATA_DIR=str(tmp_path / "data"))
        assert refused.returncode == (2 if "--verify" in arguments else 1)
        (line,) = (refused.stdout + refused.stderr).strip().splitlines()
        assert "there is no" in line
    assert list(tmp_path.iterdir()) == []


async def test_positions_are_told_beside_a_service_and_without_one(tmp_path: Path) -> None:
    with service_process(tmp_path) as service:
        await decide_a_bit_of_everything(service, Answered(), count=2)
        await until_ready(service)
        beside = await in_thread(lambda: told(service))
        assert {each["state"] for each in beside.values()} == {"running"}
        assert await in_thread(lambda: service.terminate()) == 0
        without = await in_thread(lambda: told(service))
        assert {each["state"] for each in without.values()} == {None}
        for each in without.values():
            assert each["position"].startswith("log-")
            assert (each["behind"], each["lagSeconds"], each["lastError"]) == (0, 0.0, None)
            assert (each["generation"], each["rebuild"]) == (1, None)
        rebuilt = await in_thread(
            lambda: run_command("rebuild", "hitl_approvals", DATA_DIR=str(service.data_dir))
        )
        assert rebuilt.returncode == 0, rebuilt.stderr
        generations = {name: each["generation"] for name, each in told(service).items()}
        assert generations.pop("hitl_approvals") == 2
        assert set(generations.values()) == {1}


async def test_the_lag_of_a_projection_that_nobody_follows_is_told(tmp_path: Path) -> None:
    with service_process(tmp_path) as service:
        await decide_a_bit_of_everything(service, Answered(), count=1)
        await until_ready(service)
        assert await in_thread(lambda: service.terminate()) == 0
    with closing(sqlite3.connect(tmp_path / "data" / "documents.db")) as file, file:
        file.execute("DELETE FROM follower_positions WHERE follower = 'hitl_approvals'")
    lagging = await in_thread(lambda: told(service))
    assert lagging["hitl_approvals"]["behind"] > 0
    assert lagging["hitl_approvals"]["lagSeconds"] > 0
    assert lagging["hitl_approvals"]["position"] is None
    assert lagging["workflow_steps"]["lagSeconds"] == 0
