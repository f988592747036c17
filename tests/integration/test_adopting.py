"""Approvals that the platform's former service has left pending become ours."""

from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml

from config.commands.adopt import NotAllTakenOver, adopt
from config.commands.rebuild import rebuild
from config.commands.verify import verify
from config.settings import Settings
from config.start import CannotStart
from tests.cosmos import Account, administrator, dropped_afterwards, fresh_database
from tests.cosmos_gate import Refusal, gate_before
from tests.former_service import Left, approvals_in, former_approval, leave
from tests.harness import OTHER_TENANT, TENANT, Service, eventually, service, settings_in

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos]

LIST = "/api/v1/hitl/approvals"
POLICIES = {
    "tenants": {
        TENANT: {
            "groups": {"finance": ["ada", "bob"]},
            "policies": {
                "two": {
                    "due": "16h",
                    "stages": [{"name": "finance", "approvers": [{"group": "finance", "count": 2}]}],
                }
            },
            "rules": [{"amountFrom": 100_000, "policy": "two"}],
        }
    }
}


@pytest.fixture
async def settings(tmp_path: Path, cosmos: Account) -> AsyncIterator[Settings]:
    """Settings with the documents in a database of this test's own, which the former service has used."""
    database = fresh_database()
    async with dropped_afterwards(cosmos, database):
        await leave(cosmos, database)
        yield settings_in(tmp_path, overlay=None, **cosmos.environ(database))


async def ours(account: Account, settings: Settings, *left: Left) -> None:
    """Until the projection has put its own documents in the place of those."""

    async def written() -> bool:
        there = await approvals_in(account, settings.cosmos_db.database_id)
        return all("streamVersion" in there[each["tenantId"], each["id"]] for each in left)

    await eventually(written)


async def approved(running: Service, approval: Left, by: str) -> dict[str, Any]:
    async with running.client(approval["tenantId"], **{"X-User-ID": by}) as client:
        answer = await client.post(f"{LIST}/{approval['id']}/approve", json={"decidedBy": by})
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document


async def test_one_that_is_pending_is_listed_and_decided_and_its_trail_says_where_it_came_from(
    settings: Settings, cosmos: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    left = former_approval()
    await leave(cosmos, settings.cosmos_db.database_id, left)
    async with service(settings) as running, running.client() as client:
        one = f"{LIST}/{left['id']}"
        refused = await client.post(f"{one}/approve", json={"decidedBy": "ada"}, headers={"X-User-ID": "ada"})
        assert refused.status_code == 404
        capsys.readouterr()
        await adopt(settings, dry_run=False)
        assert capsys.readouterr().out == (
            f"taken over: tenant {TENANT}, approval {left['id']}\ntaken over: 1\n"
        )
        await ours(cosmos, settings, left)
        listed = (await client.get(LIST, params={"assignee": "ada", "status": "pending"})).json()
        assert listed["total"] == 1
        assert listed["approvals"][0].items() >= left.items()
        trail = (await client.get(f"{one}/events")).json()["events"]
        assert [(each["type"], each["actor"]) for each in trail] == [("approval.requested", "system:adopt")]
        assert (await approved(running, left, "ada"))["status"] == "approved"
        await running.caught_up()
    await verify(settings, ())
    await rebuild(settings, ())
    (document,) = (await approvals_in(cosmos, settings.cosmos_db.database_id)).values()
    assert document.items() >= (left | {"status": "approved", "decidedBy": "ada", "streamVersion": 2}).items()


async def test_what_is_taken_over_already_is_asked_for_once(
    settings: Settings, cosmos: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    left = former_approval()
    await leave(cosmos, settings.cosmos_db.database_id, left)
    async with service(settings):
        pass
    for told in ("taken over: 1", "taken over before: 1"):
        await adopt(settings, dry_run=False)
        assert capsys.readouterr().out.splitlines()[-1] == told
    async with service(settings) as running, running.client() as client:
        assert (await client.get(f"{LIST}/{left['id']}/events")).json()["total"] == 1
        await approved(running, left, "ada")
        await ours(cosmos, settings, left)
        await leave(cosmos, settings.cosmos_db.database_id, left)  # somebody puts it back as it was
        await adopt(settings, dry_run=False)
        assert capsys.readouterr().out.splitlines()[-1] == "taken over before: 1"
        assert (await client.get(f"{LIST}/{left['id']}/events")).json()["total"] == 2


async def test_a_dry_run_tells_what_would_be_done_and_changes_nothing(
    settings: Settings, cosmos: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    database = settings.cosmos_db.database_id
    decided = [former_approval(status=status) for status in ("approved", "approved", "rejected")]
    left = former_approval(dealName="Acme", createdAt="2026-08-03T09:15:00.000Z")
    await leave(cosmos, database, left, *decided)
    async with service(settings) as running, running.client() as client:
        before = await approvals_in(cosmos, database)
        capsys.readouterr()
        await adopt(settings, dry_run=True)
        assert capsys.readouterr().out.splitlines() == [
            f"would be taken over: tenant {TENANT}, approval {left['id']}",
            "left as they are, approved: 2; left as they are, rejected: 1; would be taken over: 1",
            "members that the contract does not name are not kept: createdAt, dealName",
        ]
        await running.caught_up()
        assert (await client.get(f"{LIST}/{left['id']}/events")).status_code == 404
        assert await approvals_in(cosmos, database) == before


async def test_what_is_not_as_the_contract_says_is_named_by_its_fields_and_the_others_go_on(
    settings: Settings, cosmos: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = [
        former_approval(amount="much", requestedAt="yesterday"),
        former_approval(id="approval-17"),
        former_approval(tenant="acme"),
        former_approval(status=None),
        former_approval(status="pending", opportunityId=""),
    ]
    good = former_approval(ownerId="", correlationId="CRM 17", approvalUrl="/approvals/1")
    await leave(cosmos, settings.cosmos_db.database_id, *bad[:3], good, *bad[3:])
    async with service(settings) as running:
        with pytest.raises(NotAllTakenOver, match="that cannot be taken over: 5"):
            await adopt(settings, dry_run=False)
        told = capsys.readouterr().out
        for document, fields in zip(
            bad,
            (("amount", "requestedAt"), ("id",), ("tenantId",), ("status",), ("opportunityId",)),
            strict=True,
        ):
            name = f"cannot be taken over: tenant {document['tenantId']}, approval {document['id']}: "
            (line,) = [each for each in told.splitlines() if each.startswith(name)]
            assert [part.split(":")[0] for part in line.removeprefix(name).split("; ")] == [*fields]
        assert "much" not in told
        await ours(cosmos, settings, good)
        document = await approved(running, good, "ada")
        assert document["correlationId"] == "CRM 17"
        assert not document.keys() & {"ownerId", "approvalUrl"}


async def test_two_at_the_same_time_take_each_over_once(settings: Settings, cosmos: Account) -> None:
    left = [former_approval() for _ in range(20)]
    await leave(cosmos, settings.cosmos_db.database_id, *left)
    async with service(settings) as running, running.client() as client:
        async with anyio.create_task_group() as both:
            for _ in range(2):
                both.start_soon(partial(adopt, settings, dry_run=False))
        for each in left:
            assert (await client.get(f"{LIST}/{each['id']}/events")).json()["total"] == 1


async def test_each_tenant_has_its_own_also_under_the_same_id(settings: Settings, cosmos: Account) -> None:
    left = former_approval()
    others = {**former_approval(OTHER_TENANT, amount=7), "id": left["id"]}
    await leave(cosmos, settings.cosmos_db.database_id, left, others)
    async with service(settings) as running:
        await adopt(settings, dry_run=False)
        await ours(cosmos, settings, left, others)
        assert (await approved(running, others, "ada"))["amount"] == 7
        async with running.client() as client:
            shown = (await client.get(f"{LIST}/{left['id']}")).json()
            assert (shown["status"], shown["amount"]) == ("pending", left["amount"])


async def test_the_tenants_rules_choose_the_policy_and_the_time_counts_from_now_on(
    tmp_path: Path, cosmos: Account
) -> None:
    policies = tmp_path / "approvals.yaml"
    policies.write_text(yaml.safe_dump(POLICIES))
    database = fresh_database()
    settings = settings_in(tmp_path, overlay=None, **cosmos.environ(database), APPROVALS_FILE=str(policies))
    large, undecidable = former_approval(), former_approval(ownerId="bob")
    async with dropped_afterwards(cosmos, database):
        await leave(cosmos, database, large, undecidable)
        async with service(settings) as running:
            await adopt(settings, dry_run=False)
            assert (await approved(running, large, "ada"))["status"] == "pending"
            document = await approved(running, large, "bob")
            assert (document["status"], document["requestedAt"]) == ("approved", large["requestedAt"])
            assert document["dueAt"] > document["createdAt"]
            async with running.client() as client:
                shown = (await client.get(f"{LIST}/{undecidable['id']}/events")).json()["events"]
            assert [each["type"] for each in shown] == ["approval.became_undecidable", "approval.requested"]


async def test_many_are_taken_over_beside_a_projection_that_rewrites_them(
    settings: Settings, cosmos: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    left = [former_approval(tenant) for tenant in (TENANT, OTHER_TENANT) for _ in range(170)]
    await leave(cosmos, settings.cosmos_db.database_id, *left)
    async with service(settings) as running:
        await adopt(settings, dry_run=False)
        assert capsys.readouterr().out.splitlines()[-1] == "taken over: 340"
        await ours(cosmos, settings, *left)
        await running.caught_up()
    await verify(settings, ("hitl_approvals",))


async def test_where_nothing_is_left_that_is_told(
    settings: Settings, cosmos: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    async with service(settings) as running, running.client() as client:
        asked = {"opportunityId": "opp-1", "riskScore": 0.1, "amount": 1}
        assert (await client.post(LIST, json=asked)).status_code == 201
        await running.caught_up()
        capsys.readouterr()
        await adopt(settings, dry_run=False)
        assert capsys.readouterr().out == "there is nothing to take over\n"


async def test_without_a_log_or_a_container_of_the_former_service_nothing_is_made(
    tmp_path: Path, settings: Settings, cosmos: Account
) -> None:
    with pytest.raises(CannotStart, match=r"events\.db: no service has been at work there"):
        await adopt(settings, dry_run=False)
    embedded = settings_in(tmp_path)
    with pytest.raises(CannotStart, match=r"cosmos_db\.endpoint is not set"):
        await adopt(embedded, dry_run=False)
    async with service(embedded):
        pass
    database = fresh_database()
    elsewhere = settings_in(tmp_path, overlay=None, **cosmos.environ(database))
    async with dropped_afterwards(cosmos, database):
        with pytest.raises(CannotStart, match=f"there is no database {database}"):
            await adopt(elsewhere, dry_run=True)
        async with administrator(cosmos) as client:
            made = await client.create_database(database)
            with pytest.raises(CannotStart, match=f"no container hitl_approvals in the database {database}"):
                await adopt(elsewhere, dry_run=True)
            assert [each async for each in made.list_containers()] == []


async def test_a_store_that_goes_away_half_way_is_told_and_nothing_is_passed_over(
    tmp_path: Path, plain_cosmos: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuses_what_follows(headers: Mapping[str, str]) -> Refusal | None:
        return Refusal(503) if "x-ms-continuation" in headers else None

    database = fresh_database()
    async with dropped_afterwards(plain_cosmos, database), gate_before(plain_cosmos) as (gate, account):
        large = {"note": "x" * 100_000}
        await leave(plain_cosmos, database, *(former_approval(**large) for _ in range(50)))
        settings = settings_in(tmp_path, overlay=None, **account.environ(database))
        async with service(settings):
            pass
        gate.refuses = refuses_what_follows
        with pytest.raises(CannotStart, match=r"stopped before .* again: Cosmos DB, hitl_approvals: 503"):
            await adopt(settings, dry_run=False)
        gate.refuses = lambda headers: None
        done = capsys.readouterr().out.count("\ntaken over: tenant")
        assert 0 < done < 50
        await adopt(settings, dry_run=False)
        assert f"\ntaken over: {50 - done}; taken over before: {done}\n" in capsys.readouterr().out
