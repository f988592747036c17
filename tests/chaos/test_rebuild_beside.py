"""`rebuild` beside a running service with embedded stores: nobody notices, and a kill loses nothing."""

import random
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.chaos.decisions import Answered, all_published, decide_a_bit_of_everything, in_thread, until_ready
from tests.chaos.test_rebuild import dump
from tests.chaos.watchers import watched
from tests.harness import ServiceProcess, eventually, run_command, run_module, start_module
from tests.neighbours import Neighbour
from tests.plain_http import NO_TLS

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

Process = subprocess.Popen[str]

SLOWED = "tests.chaos.slowed_rebuild"


def slowed(moment: str, data_dir: Path, *names: str) -> "subprocess.CompletedProcess[str]":
    """A rebuild that takes its time, or dies at a moment."""
    return run_module(SLOWED, moment, "rebuild", *names, DATA_DIR=str(data_dir))


def end(process: Process) -> None:
    """kill -9."""
    process.kill()
    process.communicate()


def verify(data_dir: Path) -> "subprocess.CompletedProcess[str]":
    return run_command("rebuild", "--verify", DATA_DIR=str(data_dir))


def damage(data_dir: Path) -> None:
    """What a rebuild has to make good; the service has the file open."""
    with closing(sqlite3.connect(data_dir / "documents.db", timeout=10)) as connection, connection:
        connection.execute("UPDATE workflow_steps SET body = json_set(body, '$.stepType', 'damaged')")


def damaged(data_dir: Path) -> int:
    with closing(sqlite3.connect(data_dir / "documents.db", timeout=10)) as connection:
        select = "SELECT count(*) FROM workflow_steps WHERE body ->> '$.stepType' = 'damaged'"
        return int(connection.execute(select).fetchone()[0])


async def test_queries_during_a_rebuild_are_complete_and_no_message_goes_out_again(
    service: ServiceProcess, crm: Neighbour
) -> None:
    await in_thread(service.start)
    answered = Answered()
    await decide_a_bit_of_everything(service, answered, count=8)
    await until_ready(service)
    damage(service.data_dir)
    async with watched(service, answered=answered):
        rebuilt = await in_thread(lambda: slowed("never", service.data_dir))
        assert rebuilt.returncode == 0, rebuilt.stderr
        assert "generation 2 is live" in rebuilt.stdout
    await until_ready(service)
    assert damaged(service.data_dir) == 0
    compared = await in_thread(lambda: verify(service.data_dir))
    assert compared.returncode == 0, compared.stdout + compared.stderr
    await all_published(crm, answered)
    ids = [message.message_id for message in crm.seen if message.app_id == "workflow-orchestrator"]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("moment", ["write-1", "write-4", "indexed", "locked", "swapped", "tidying"])
async def test_a_rebuild_that_is_killed_at_a_step_is_gone_on_with(
    service: ServiceProcess, moment: str
) -> None:
    await in_thread(service.start)
    await decide_a_bit_of_everything(service, Answered(), count=3)
    await until_ready(service)
    before = dump(service.data_dir)
    damage(service.data_dir)
    killed = await in_thread(lambda: slowed(moment, service.data_dir))
    assert killed.returncode == -9, killed.stderr
    is_live = moment in ("swapped", "tidying")
    assert (damaged(service.data_dir) == 0) is is_live
    async with watched(service, answered=Answered(), most=5):
        rebuilt = await in_thread(lambda: slowed("never", service.data_dir))
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert damaged(service.data_dir) == 0
    await until_ready(service)
    compared = await in_thread(lambda: verify(service.data_dir))
    assert compared.returncode == 0, compared.stdout + compared.stderr
    after = dump(service.data_dir)
    for name, rows in before.items():
        versions = {row[:2]: row[2] for row in after[name]}
        assert all(versions.get(row[:2], 0) >= row[2] for row in rows)
    assert left_behind(service.data_dir) == []


def left_behind(data_dir: Path) -> list[str]:
    """Tables of generations that are not live."""
    with closing(sqlite3.connect(data_dir / "documents.db")) as connection:
        return [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if "--" in name
        ]


async def test_a_rebuild_that_is_killed_at_random_goes_on_from_its_position(service: ServiceProcess) -> None:
    await in_thread(service.start)
    answered = Answered()
    await decide_a_bit_of_everything(service, answered, count=8)
    await until_ready(service)
    damage(service.data_dir)
    dice = random.Random(time.time_ns())
    reached: list[int] = []

    def handled() -> int:
        with closing(sqlite3.connect(service.data_dir / "documents.db", timeout=10)) as connection:
            known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'builds'").fetchone()
            select = "SELECT max(progress ->> '$.handled') FROM builds"
            return int((known and connection.execute(select).fetchone()[0]) or 0)

    async with watched(service, answered=answered, most=20):
        for _ in range(4):
            process = start_module(SLOWED, "never", "rebuild", DATA_DIR=str(service.data_dir))
            before = handled()

            async def has_moved(process: Process = process, before: int = before) -> bool:
                return process.poll() is not None or await in_thread(handled) > before

            await eventually(has_moved)
            await anyio.sleep(dice.random() / 4)
            end(process)
            reached.append(handled())
        rebuilt = await in_thread(lambda: slowed("never", service.data_dir))
        assert rebuilt.returncode == 0, rebuilt.stderr
    assert reached == sorted(reached) or 0 in reached
    assert damaged(service.data_dir) == 0
    await until_ready(service)
    compared = await in_thread(lambda: verify(service.data_dir))
    assert compared.returncode == 0, compared.stdout + compared.stderr


async def test_whoever_looks_on_is_told_of_a_rebuild(service: ServiceProcess) -> None:
    await in_thread(service.start)
    await decide_a_bit_of_everything(service, Answered(), count=2)
    await until_ready(service)
    data_dir, port = str(service.data_dir), str(service.port)

    async def detail() -> Any:
        async with httpx.AsyncClient(verify=NO_TLS) as client:
            return (await client.get(f"{service.url}/ready")).json()["checks"]["documents"].get("detail")

    assert await detail() is None
    killed = await in_thread(lambda: slowed("write-2", service.data_dir, "hitl_approvals"))
    assert killed.returncode == -9
    assert str(await detail()).startswith("hitl_approvals is rebuilt: generation 2 at ")
    told = await in_thread(lambda: run_command("projections", DATA_DIR=data_dir, PORT=port))
    assert told.returncode == 0, told.stderr
    header, *lines, rebuilt = told.stdout.splitlines()
    assert header.split("  ")[0] == "projection"
    assert rebuilt.startswith("hitl_approvals is rebuilt: generation 2 at ")
    assert all("running" in line and "log-" in line for line in lines), told.stdout
    finished = await in_thread(lambda: run_command("rebuild", "hitl_approvals", DATA_DIR=data_dir, PORT=port))
    assert finished.returncode == 0, finished.stderr
    assert await detail() is None


async def test_two_rebuilds_do_not_go_on_side_by_side(service: ServiceProcess) -> None:
    await in_thread(service.start)
    await decide_a_bit_of_everything(service, Answered(), count=3)
    await until_ready(service)
    process = start_module(SLOWED, "never", "rebuild", DATA_DIR=str(service.data_dir))
    try:
        refused = await in_thread(lambda: run_command("rebuild", DATA_DIR=str(service.data_dir)))
        while refused.returncode == 0 and process.poll() is None:
            refused = await in_thread(lambda: run_command("rebuild", DATA_DIR=str(service.data_dir)))
        assert process.poll() is not None or "already" in refused.stderr
    finally:
        end(process)


async def test_a_fold_that_was_changed_gives_its_documents_to_all_queries_at_once(
    service: ServiceProcess,
) -> None:
    await in_thread(service.start)
    await decide_a_bit_of_everything(service, Answered(), count=9)
    await until_ready(service)
    shades: set[tuple[int, int]] = set()

    async def ask_for_shades() -> None:
        async with service.async_client() as client:
            while True:
                approvals = (await client.get("/api/v1/hitl/approvals")).json()["approvals"]
                shades.add((len(approvals), sum("shade" in each for each in approvals)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask_for_shades)
        rebuilt = await in_thread(
            lambda: run_module(
                "tests.chaos.changed_fold", "rebuild", "hitl_approvals", DATA_DIR=str(service.data_dir)
            )
        )
        assert rebuilt.returncode == 0, rebuilt.stderr

        async def all_have_one() -> bool:
            return (9, 9) in shades

        await eventually(all_have_one)
        tasks.cancel_scope.cancel()
    assert shades == {(9, 0), (9, 9)}
    compared = await in_thread(lambda: verify(service.data_dir))
    assert compared.returncode == 1
    assert compared.stdout.count("differs in shade") == 9
