"""`rebuild` by several processes: the documents of one, whoever of them is killed."""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.chaos.decisions import Answered, decide_a_bit_of_everything, in_thread
from tests.chaos.test_rebuild import dump
from tests.chaos.test_rebuild_beside import SLOWED, damage, damaged
from tests.harness import TENANT, ServiceProcess, eventually, run_command, run_module, start_module
from tests.neighbours import Names, forget

DECIDER = "ann"
COMMENT = "quite fine by me"

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]


def rebuilt(moment: str, data_dir: Path) -> "subprocess.CompletedProcess[str]":
    return run_module(SLOWED, moment, "rebuild", DATA_DIR=str(data_dir), IN_SHARES="yes")


def folding(data_dir: Path) -> list[str]:
    """The processes that fold a log in this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, environ = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
        except OSError:
            continue
        if b"spawn_main" in command and str(data_dir).encode() in environ:
            found.append(process.name)
    return found


def has_followed(data_dir: Path) -> bool:
    """Whether the documents hold all that the log does."""
    with closing(sqlite3.connect(data_dir / "events.db")) as log:
        (end,) = log.execute("SELECT max(rowid) FROM stored_events").fetchone()
    with closing(sqlite3.connect(data_dir / "documents.db")) as documents:
        positions = documents.execute(
            "SELECT position FROM follower_positions WHERE partition <> 'recipe'"
        ).fetchall()
    return all(position.startswith(f"log-{end}-") for (position,) in positions)


Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, rabbitmq_url: str) -> Iterator[tuple[Path, Rows]]:
    """A folder that a service has left, and what its follower has made; somebody is erased in the middle."""
    names = Names.fresh()
    folder = tmp_path_factory.mktemp("original")
    service = ServiceProcess(folder, overlay=names.overlay(), RABBITMQ_URL=rabbitmq_url)
    try:
        anyio.run(a_life, service)
        made = dump(service.data_dir)
        assert COMMENT.encode() not in b"".join(row[3] for rows in made.values() for row in rows)
        yield service.data_dir, made
    finally:
        service.stop()
        anyio.run(forget, rabbitmq_url, names)


async def a_life(service: ServiceProcess) -> None:
    """Decisions, and an erasure; ended once all is followed."""
    await in_thread(service.start)
    await decide_a_bit_of_everything(service, Answered(), count=4)
    async with service.async_client() as client:
        asked = await client.post(
            "/api/v1/hitl/approvals", json={"opportunityId": "o-1", "riskScore": 0.9, "amount": 200_000}
        )
        path = f"/api/v1/hitl/approvals/{asked.json()['id']}/approve"
        answer = await client.post(path, json={"decidedBy": DECIDER, "comment": COMMENT})
        assert answer.status_code == 200, answer.text
    erased = await in_thread(
        lambda: run_command(
            *("erase", "--tenant", TENANT, "--subject", DECIDER, "--reason", "asked for"),
            DATA_DIR=str(service.data_dir),
        )
    )
    assert erased.returncode == 0, erased.stderr
    assert "nothing to erase" not in erased.stdout
    await decide_a_bit_of_everything(service, Answered(), count=2)
    await eventually(partial(in_thread, partial(has_followed, service.data_dir)))
    assert await in_thread(service.terminate) == 0


@pytest.fixture
def before(original: tuple[Path, Rows]) -> Rows:
    """What the follower had made."""
    return original[1]


@pytest.fixture
def data_dir(original: tuple[Path, Rows], tmp_path: Path) -> Path:
    """A folder like the one that was left, in which then something is damaged."""
    copy = shutil.copytree(original[0], tmp_path / "data")
    damage(copy)
    assert dump(copy) != original[1]
    return copy


async def test_several_processes_make_the_documents_of_one(data_dir: Path, before: Rows) -> None:
    process = start_module(SLOWED, "never", "rebuild", DATA_DIR=str(data_dir), IN_SHARES="yes")

    async def two_fold() -> bool:
        return len(folding(data_dir)) >= 2

    await eventually(two_fold)
    _, told = await in_thread(process.communicate)
    assert process.returncode == 0, told
    assert folding(data_dir) == []
    assert dump(data_dir) == before


@pytest.mark.parametrize("moment", ["write-3", "bereft-3"])
async def test_whoever_of_them_is_killed_the_next_go_on_from_what_was_written(
    data_dir: Path, before: Rows, moment: str
) -> None:
    told = await in_thread(lambda: rebuilt(moment, data_dir))
    if moment == "bereft-3":
        assert told.returncode == 1, told.stderr
        assert "a process that folds has ended" in told.stderr
        assert "to continue from there" in told.stderr
    else:
        assert told.returncode == -9, told.stderr

    async def all_have_ended() -> bool:
        return not folding(data_dir)

    await eventually(all_have_ended)
    assert damaged(data_dir) > 0
    told = await in_thread(lambda: rebuilt("never", data_dir))
    assert told.returncode == 0, told.stderr
    assert dump(data_dir) == before
