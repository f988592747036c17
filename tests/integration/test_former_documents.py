"""Documents that the platform's former service has left in the containers, and no log of ours has made."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from config.commands.rebuild import rebuild
from config.commands.verify import verify
from config.settings import Settings
from tests.cosmos import Account, dropped_afterwards, fresh_database
from tests.former_service import Left, approvals_in, former_approval, leave
from tests.harness import TENANT, service, settings_in

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos]

LIST = "/api/v1/hitl/approvals"
ASKED = {"opportunityId": "opp-1", "riskScore": 0.9, "amount": 250_000}


@pytest.fixture
async def settings(tmp_path: Path, cosmos: Account) -> AsyncIterator[Settings]:
    """Settings with the documents in a database of this test's own."""
    database = fresh_database()
    async with dropped_afterwards(cosmos, database):
        yield settings_in(tmp_path, overlay=None, **cosmos.environ(database))


async def some_left_beside_one_of_ours(settings: Settings, account: Account) -> tuple[list[Left], str]:
    """Two documents of the former service, and the id of one that was made here, of the same tenant."""
    left = [former_approval(), former_approval(status="approved", decidedBy="ada")]
    await leave(account, settings.cosmos_db.database_id, *left)
    async with service(settings) as running, running.client() as client:
        made = (await client.post(LIST, json=ASKED)).json()["id"]
        await running.caught_up()
        shown = [(await client.get(f"{LIST}/{each['id']}")).json() for each in left]
        assert shown == left
    return left, made


async def test_a_rebuild_leaves_them_alone(settings: Settings, cosmos: Account) -> None:
    left, made = await some_left_beside_one_of_ours(settings, cosmos)
    await rebuild(settings, ())
    there = await approvals_in(cosmos, settings.cosmos_db.database_id)
    assert [there.pop((TENANT, each["id"]), None) for each in left] == left
    assert list(there) == [(TENANT, made)]


async def test_a_comparison_names_none_of_them_and_tells_how_many_there_are(
    settings: Settings, cosmos: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    await some_left_beside_one_of_ours(settings, cosmos)
    await verify(settings, ("hitl_approvals",))
    told = capsys.readouterr().out
    assert "hitl_approvals: 2 documents that this service has not made are ignored" in told


async def test_they_stay_where_documents_are_derived_from_another_log(
    settings: Settings, cosmos: Account, tmp_path: Path
) -> None:
    """A trial, say, before the log that is to stay."""
    left, made = await some_left_beside_one_of_ours(settings, cosmos)
    database = settings.cosmos_db.database_id
    another = settings_in(tmp_path / "another", overlay=None, **cosmos.environ(database))
    async with service(another) as running, running.client() as client:
        assert (await client.post(LIST, json=ASKED)).status_code == 201
        await running.caught_up()
    there = await approvals_in(cosmos, database)
    assert [there.pop((TENANT, each["id"]), None) for each in left] == left
    assert (TENANT, made) not in there
    assert len(there) == 1
