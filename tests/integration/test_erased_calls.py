"""What an erasure leaves of calls that steps have made."""

from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from config.commands.erase import erase
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.step_calls import SqliteStepCalls
from tests.application.test_http_requests import call
from tests.archives import posted
from tests.builders import LEASE
from tests.harness import TENANT, service, settings_in

pytestmark = pytest.mark.anyio

WORDS = "Mr. Zebedee of 4 Elm Street"


async def test_the_input_of_a_call_that_was_made_is_left_in_no_file(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, overlay={"privacy": {"fresh_seconds": 0.1}})
    async with service(settings) as running, running.client() as client:
        asked = {"opportunityId": "o", "riskScore": 1, "amount": 1, "payload": {"customerName": WORDS}}
        await posted(client, "/hitl/approvals", asked)
        await running.caught_up()
    folder = settings.storage.data_dir
    with closing(SqliteDatabase(folder / "events-followers.db", synchronous="NORMAL")) as followers:
        calls = SqliteStepCalls(followers)
        named = call({"method": "POST", "path": "/v1"}, {"customerName": WORDS})
        made = msgspec.structs.replace(named, id="c")
        await calls.change(add=[made], remove=[], lease=LEASE)
        await calls.change(add=[], remove=["c"], lease=LEASE)
        assert _has_words(folder)
        await erase(settings, TENANT, "opportunity:o", None, dry_run=False, again=False)
        assert not _has_words(folder)


def _has_words(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir() if each.is_file() and WORDS.encode() in each.read_bytes()]
