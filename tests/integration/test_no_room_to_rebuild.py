"""`rebuild` and `rebuild --verify` on a disk that is too small for all documents, as deployments have one."""

import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from anyio.to_thread import run_sync

from config.commands.rebuild import SCRATCH_FILE as REBUILT
from config.commands.verify import SCRATCH_FILE as COMPARED
from tests.cosmos import Account, dropped_afterwards, fresh_database
from tests.harness import clean_environment, service, settings_in
from tests.services import missing

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos]

ROOT = Path(__file__).parents[2]

Command = Callable[..., "subprocess.CompletedProcess[str]"]

SMALL_DISK = 2 * 2**20
APPROVALS, PAYLOAD = 100, 60_000
ANOTHER = "give this command alone another DATA_DIR, with room for all documents"


@pytest.fixture
async def command(tmp_path: Path, plain_cosmos: Account) -> AsyncIterator[Command]:
    """Runs a command beside a log of more than the small disk takes."""
    database, log = fresh_database(), tmp_path / "log"
    log.mkdir()
    environ = plain_cosmos.environ(database) | {
        "EVENT_STORE_URL": f"sqlite:///{log}/events.db",
        "PRIVACY_MASTER_KEY_FILE": f"{log}/master.key",
    }
    (log / "master.key").write_text("A" * 43 + "=\n")
    folder = tmp_path / "data"
    folder.mkdir()

    def run(*arguments: str, on_small_disk: bool) -> "subprocess.CompletedProcess[str]":
        python = [sys.executable, "-m", "config.main", *arguments]
        mounted = [_bubblewrap(), "--bind", "/", "/", "--dev-bind", "/dev", "/dev"]
        small = [*mounted, "--size", str(SMALL_DISK), "--tmpfs", str(folder)]
        return subprocess.run(
            [*small, *python] if on_small_disk else python,
            env=clean_environment() | environ | {"DATA_DIR": str(folder)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )

    async with dropped_afterwards(plain_cosmos, database):
        async with (
            service(settings_in(tmp_path, overlay=None, **environ)) as running,
            running.client() as client,
        ):
            for number in range(APPROVALS):
                asked = {"opportunityId": f"opp-{number}", "riskScore": 0.9, "amount": 250_000}
                answer = await client.post(
                    "/api/v1/hitl/approvals", json={**asked, "payload": {"text": "x" * PAYLOAD}}
                )
                assert answer.status_code == 201, answer.text
            await running.caught_up()
        yield run


def _bubblewrap() -> str:
    found = shutil.which("bwrap")
    if found is None or subprocess.run([found, "--ro-bind", "/", "/", "true"]).returncode:
        missing("bubblewrap (bwrap), with leave to make namespaces,")
    return found


@pytest.mark.parametrize(("arguments", "file"), [([], REBUILT), (["--verify"], COMPARED)])
async def test_one_line_names_the_file_and_another_place_and_with_room_it_comes_to_its_end(
    command: Command, tmp_path: Path, arguments: list[str], file: str
) -> None:
    failed = await run_sync(lambda: command("rebuild", *arguments, on_small_disk=True))
    assert failed.returncode == (2 if arguments else 1)
    *_, line = failed.stderr.splitlines()
    assert "Traceback" not in failed.stderr
    assert f"{tmp_path / 'data' / file}: " in line
    assert "is full" in line
    assert "delete" in line
    assert ANOTHER in line
    assert "EVENT_STORE_URL" in line
    done = await run_sync(lambda: command("rebuild", *arguments, on_small_disk=False))
    assert done.returncode == 0, done.stderr
