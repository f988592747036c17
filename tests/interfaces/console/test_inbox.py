"""The inbox as its forms and links are answered, without a browser."""

import html
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from config.commands.archives import archive
from domain.values import timestamp
from infrastructure.clock import SystemClock
from tests.archives import a_past, signing_settings
from tests.harness import OTHER_TENANT, TENANT, Service, service, settings_in
from tests.interfaces.slow_documents import SlowDocuments

pytestmark = pytest.mark.anyio

APPROVALS = "/api/v1/hitl/approvals"
DEAL = {"opportunityId": "opp-1", "riskScore": 0.5, "amount": 10}


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    """A service that believes its gateway."""
    async with service(settings_in(tmp_path, BATCH_JOBS_ENABLED="false")) as running:
        yield running


def visitor(running: Service, person: str = "ada") -> httpx.AsyncClient:
    """Somebody whose browser says where its forms come from."""
    return running.client(**{"X-User-ID": person, "Origin": "http://localhost"})


async def test_after_several_decisions_the_inbox_no_longer_has_them(running: Service) -> None:
    async with running.client() as asking, visitor(running) as ada:
        made = [(await asking.post(APPROVALS, json=DEAL)).json() for _ in range(3)]
        await running.caught_up()
        SlowDocuments(running, "hitl_approvals", 0.3)
        chosen = [f"{each['id']} {each['payloadDigest']}" for each in made[:2]]
        form = {"approval": chosen, "do": "approve", "key": "both"}
        shown = await ada.post("/console", data=form, follow_redirects=True)
    assert shown.status_code == 200
    assert shown.text.count('type="checkbox"') == 1
    assert shown.text.count("opp-1</a>: approved") == 2


async def test_a_row_tells_the_deal_beside_the_subject_and_its_risk_is_a_number(running: Service) -> None:
    async with running.client() as asking, visitor(running) as ada:
        await asking.post(APPROVALS, json={**DEAL, "riskScore": 0.875, "subject": "Acme"})
        await running.caught_up()
        shown = (await ada.get("/console")).text
    assert '">Acme</a> <span class="dim">opp-1</span></td>' in shown
    assert '<data value="0.875" title="0.875">' in shown


async def test_what_came_of_a_hundred_fits_into_the_head_that_a_gateway_takes(running: Service) -> None:
    async with running.client() as asking, visitor(running) as ada:
        made = [(await asking.post(APPROVALS, json=DEAL)).json() for _ in range(100)]
        await running.caught_up()
        chosen = [f"{each['id']} {each['payloadDigest']}" for each in made]
        answer = await ada.post("/console", data={"approval": chosen, "do": "approve", "key": "all"})
        shown = await ada.get(answer.headers["location"])
    assert sum(len(name) + len(value) + 4 for name, value in answer.headers.raw) < 4096 - 256
    assert shown.text.count("opp-1</a>: approved") == 100


async def test_an_id_that_is_none_is_decided_on_as_little_as_facts_that_have_changed(
    running: Service,
) -> None:
    async with running.client() as asking, visitor(running) as ada:
        made = (await asking.post(APPROVALS, json=DEAL)).json()
        await running.caught_up()
        chosen = [f"{id} sha256:{'0' * 64}" for id in ("x", "../../y", "urn:uuid:" + made["id"], made["id"])]
        form = {"approval": chosen, "do": "approve", "key": "none"}
        shown = await ada.post("/console", data=form, follow_redirects=True)
    assert shown.status_code == 200
    assert re.findall(r"opp-1</a>: (.*?)</p>", shown.text) == ["payload changed"]


async def test_the_overdue_come_first_on_as_many_pages_as_it_takes_and_each_comes_once(
    running: Service,
) -> None:
    policy = {"stages": [{"name": "s", "approvers": [{"user": "ada"}]}], "grace": "1h"}
    late = {**DEAL, "opportunityId": "late", "policy": policy}
    async with running.client() as asking, visitor(running) as ada:
        made = {kind: set[str]() for kind in ("late", "opp-1")}
        for _ in range(55):
            due = SystemClock().now() + timedelta(seconds=3)
            for body in (DEAL, {**late, "dueAt": timestamp(due)}):
                made[str(body["opportunityId"])].add((await asking.post(APPROVALS, json=body)).json()["id"])
        await running.caught_up()
        await anyio.sleep(max(0, (due - SystemClock().now()).total_seconds()))
        seen: list[str] = []
        address: str | None = "/console"
        while address:
            page = await ada.get(address)
            assert page.status_code == 200
            shown = re.findall(r'name="approval" value="(\S+) ', page.text)
            assert 0 < len(shown) <= 100
            assert '<span class="badge">110</span>' in page.text
            seen += shown
            further = re.search(r'href="(/console[^"]*)">Next page', page.text)
            address = html.unescape(further[1]) if further else None
        filtered = await ada.get("/console?opportunityId=late&status=pending")
    assert set(seen[:55]) == made["late"]
    assert len(seen) == 110
    assert set(seen) == made["late"] | made["opp-1"]
    assert '<span class="badge">55</span>' in filtered.text
    assert "opp-1</a>" not in filtered.text


@pytest.mark.parametrize(
    "address",
    ["status=nonsense", "cursor=nonsense", "late=%22%3E%3Cb%3E", "opportunityId=" + "x" * 300],
)
async def test_a_filter_that_is_refused_is_still_filled_in(running: Service, address: str) -> None:
    async with visitor(running) as ada:
        page = await ada.get(f"/console?{address}")
    assert page.status_code == 400
    assert 'role="alert"' in page.text
    assert "<b>" not in page.text.partition("<main")[2]
    if address.startswith("opp"):
        assert f'value="{"x" * 300}"' in page.text


async def test_what_was_decided_is_found_by_state_and_deal_and_by_no_other_tenant(running: Service) -> None:
    async with running.client() as asking, visitor(running) as ada:
        for deal in ("opp-1", "opp-2"):
            made = await asking.post(APPROVALS, json={**DEAL, "opportunityId": deal})
            await asking.post(
                f"{made.headers['location']}/reject", json={"decidedBy": "bob", "comment": "no champion"}
            )
        await running.caught_up()
        assert "Nothing is waiting for you" in (await ada.get("/console")).text
        found = (await ada.get("/console?status=rejected&opportunityId=opp-2")).text
        assert ("opp-2</a>" in found, "opp-1</a>" in found) == (True, False)
        assert "by bob" in found
        assert "no champion" in found
        assert 'type="checkbox"' not in found
        assert "No approvals match." in (await ada.get("/console?status=approved")).text
        assert (await ada.get("/console?status=any")).text.count("</a></td>") == 2
    named = {"X-User-ID": "ada", "Origin": "http://localhost"}
    async with running.client(OTHER_TENANT, **named) as other:
        for query in ("", "status=any", "status=rejected", "opportunityId=opp-2&status=any"):
            assert "champion" not in (await other.get(f"/console?{query}")).text


async def test_a_refused_form_keeps_what_was_chosen_and_typed(running: Service) -> None:
    async with running.client() as asking, visitor(running) as ada:
        made = [(await asking.post(APPROVALS, json=DEAL)).json() for _ in range(2)]
        await running.caught_up()
        chosen = f"{made[0]['id']} {made[0]['payloadDigest']}"
        none = await ada.post("/console", data={"do": "approve", "comment": 'a "reason"', "key": "k"})
        bad = {"approval": chosen, "do": "reject", "comment": "x" * 5000, "key": "k"}
        long = await ada.post("/console?opportunityId=opp-1", data=bad)
    assert none.status_code == long.status_code == 400
    assert "No approval was selected." in none.text
    assert 'value="a &#34;reason&#34;"' in none.text
    assert f'value="{"x" * 5000}"' in long.text
    assert re.findall(r'value="(\S+) \S+" checked', long.text) == [made[0]["id"]]
    assert 'name="opportunityId" value="opp-1"' in long.text


async def test_several_are_decided_on_behalf_of_somebody_where_that_is_delegated(running: Service) -> None:
    async with running.client(**{"X-User-ID": "dora"}) as dora, visitor(running) as ada:
        until = timestamp(SystemClock().now() + timedelta(days=1))
        body = {"to": "ada", "endsAt": until}
        assert (await dora.post("/api/v1/hitl/delegations", json=body)).status_code == 201
        made = [(await dora.post(APPROVALS, json={**DEAL, "ownerId": "otto"})).json() for _ in range(2)]
        async with running.client(**{"X-User-ID": "rita"}) as rita:
            made.append((await rita.post(APPROVALS, json=DEAL)).json())
        await running.caught_up()
        page = await ada.get("/console")
        assert '<option value="dora">' in page.text
        chosen = [f"{each['id']} {each['payloadDigest']}" for each in made]
        form = {"approval": chosen, "do": "approve", "for": "dora", "key": "k"}
        shown = await ada.post("/console?opportunityId=opp-1", data=form, follow_redirects=True)
        assert "opportunityId=opp-1" in str(shown.url)
        assert shown.text.count("separation of duties") == 2
        decided = (await ada.get(f"{APPROVALS}/{made[2]['id']}")).json()
    assert (decided["decidedBy"], decided["onBehalfOf"]) == ("ada", "dora")


async def test_what_has_gone_to_an_archive_is_still_shown(tmp_path: Path) -> None:
    settings = signing_settings(tmp_path)
    async with service(settings) as running:
        made = await a_past(running)
    given: dict[str, Any] = {"older_than": "0s", "tenant": TENANT, "reason": "a test", "dry_run": False}
    await archive(settings, tmp_path / "archives", **given)
    async with service(settings) as running, visitor(running) as ada:
        await running.caught_up()
        assert "asOf" not in (shown := (await ada.get(f"/console/approvals/{made.decided[0]}")).text)
        listed = await ada.get("/console?status=rejected")
    assert "archive" in shown
    assert "approval.rejected" in shown
    assert made.decided[0] in listed.text


async def test_an_operator_is_offered_what_is_others_to_do(running: Service) -> None:
    async with running.client(**{"X-User-ID": "rita"}) as rita, visitor(running) as ada:
        made = (await rita.post(APPROVALS, json=DEAL)).json()
        await running.caught_up()
        address, until = f"/console/approvals/{made['id']}", SystemClock().now() + timedelta(days=1)
        away = {"do": "delegate", "by": "rita", "to": "olga", "endsAt": f"{until:%Y-%m-%dT%H:%M}", "key": "k"}
        assert "Withdraw approval" not in (await ada.get(address)).text
        assert "Person away (default: you" not in (await ada.get("/console/delegations")).text
        assert (await ada.post("/console/delegations", data=away)).status_code == 403
        ada.headers["X-User-Roles"] = "admin"
        assert "Withdraw approval" in (await ada.get(address)).text
        assert "Person away (default: you" in (await ada.get("/console/delegations")).text
        made_for = await ada.post("/console/delegations", data=away, follow_redirects=True)
        assert "People who decide for rita" in made_for.text
        assert "End delegation to olga" in made_for.text
        gone = {"do": "withdraw", "reason": "the deal is off", "key": "k"}
        assert "the deal is off" in (await ada.post(address, data=gone, follow_redirects=True)).text


async def test_a_gateway_of_its_own_sees_what_waits_for_anybody(running: Service) -> None:
    async with running.client() as asking, running.client(Origin="http://localhost") as gateway:
        await asking.post(APPROVALS, json={**DEAL, "approverId": "bob"})
        await running.caught_up()
        assert 'type="checkbox"' in (await gateway.get("/console")).text
        assert "All delegations" in (await gateway.get("/console/delegations")).text


async def test_of_several_the_one_that_lost_the_race_says_who_won_at_once(running: Service) -> None:
    async with running.client() as asking, visitor(running) as ada:
        made = [(await asking.post(APPROVALS, json=DEAL)).json() for _ in range(2)]
        await running.caught_up()
        SlowDocuments(running, "hitl_approvals", 0.3)
        rejected = {"decidedBy": "bob", "comment": "no champion"}
        await asking.post(f"{APPROVALS}/{made[1]['id']}/reject", json=rejected)
        chosen = [f"{each['id']} {each['payloadDigest']}" for each in made]
        form = {"approval": chosen, "do": "approve", "key": "both"}
        shown = await ada.post("/console", data=form, follow_redirects=True)
    assert "opp-1</a>: approved" in shown.text
    assert "opp-1</a>: not pending: bob has already rejected it" in shown.text


async def test_of_several_each_is_decided_in_the_stage_that_was_shown(running: Service) -> None:
    stages = [{"name": name, "approvers": [{"user": "bob"}, {"user": "ada"}]} for name in ("a b", "c")]
    stages[0]["agree"] = "any"
    async with running.client() as asking, visitor(running) as ada:
        policy = {"policy": {"stages": stages}}
        made = [(await asking.post(APPROVALS, json={**DEAL, **policy})).json()["id"] for _ in range(2)]
        await running.caught_up()
        page = (await ada.get("/console")).text
        chosen = [html.unescape(each) for each in re.findall(r'name="approval" value="([^"]+)"', page)]
        await asking.post(f"{APPROVALS}/{made[0]}/approve", json={"decidedBy": "bob"})
        form = {"approval": chosen, "do": "approve", "key": "k"}
        shown = await ada.post("/console", data=form, follow_redirects=True)
        await running.caught_up()
        voted = [
            [len(stage["votes"]) for stage in (await ada.get(f"{APPROVALS}/{id}")).json()["stages"]]
            for id in made
        ]
    assert voted == [[1, 0], [1, 0]]
    assert sorted(re.findall(r"opp-1</a>: (.*?)</p>", shown.text)) == ["pending", "stage not open"]
