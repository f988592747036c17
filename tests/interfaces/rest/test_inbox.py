"""In whose inbox an approval is, where it went to and fro."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import yaml

from application.people import PeopleLookup
from domain.errors import DirectoryUnavailable
from domain.values import timestamp
from tests.harness import OTHER_TENANT, Service, eventually, service, settings_in

pytestmark = pytest.mark.anyio

PATH = "/api/v1/hitl/approvals"
GROUPS = {"desk": ["ada", "bob"], "board": ["ada", "cleo"]}
OF_DESK = {"name": "desk", "approvers": [{"group": "desk", "count": 1}]}


class Desk:
    """Everybody who has to do with one approval."""

    def __init__(self, running: Service, approval_id: str) -> None:
        self._running = running
        self._path = f"{PATH}/{approval_id}"

    async def does(self, person: str, what: str, **body: Any) -> httpx.Response:
        async with self._running.client(**{"X-User-ID": person}) as client:
            return await client.post(f"{self._path}/{what}", json=body)

    async def has_it(self, *people: str) -> list[str]:
        """Those of the people in whose inbox it is."""
        await self._running.caught_up()
        async with self._running.client() as client:
            totals = {
                person: (await client.get(PATH, params={"assignee": person})).json()["total"]
                for person in people
            }
        return [person for person, total in totals.items() if total]


@asynccontextmanager
async def running_in(
    folder: Path, *, separate_duties: bool = True, **laid_down: Any
) -> AsyncIterator[Service]:
    """A service that believes its gateway and knows two groups."""
    file = folder / "approvals.yaml"
    file.write_text(yaml.safe_dump({"tenants": {"*": {"groups": GROUPS, **laid_down}}}))
    overlay = {"approvals": {"file": str(file), "separation_of_duties": separate_duties}}
    async with service(settings_in(folder, overlay=overlay, BATCH_JOBS_ENABLED="false")) as running:
        yield running


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    """One where duties are separate."""
    async with running_in(tmp_path) as running:
        yield running


async def asked(running: Service, *stages: dict[str, Any]) -> Desk:
    """An approval that rita has asked for."""
    body = {"opportunityId": "o", "riskScore": 1, "amount": 2, "policy": {"stages": stages}}
    async with running.client(**{"X-User-ID": "rita"}) as client:
        answer = await client.post(PATH, json=body)
    assert answer.status_code == 201, answer.text
    return Desk(running, answer.json()["id"])


async def test_who_asked_has_it_where_they_may_decide_and_it_comes_back_to_them(tmp_path: Path) -> None:
    of_rita = {"name": "rita", "approvers": [{"user": "rita"}]}
    async with running_in(tmp_path, separate_duties=False) as running:
        desk = await asked(running, of_rita, of_rita | {"name": "again"})
        assert await desk.has_it("rita", "ada") == ["rita"]
        assert (await desk.does("rita", "reassign", to="ada", reason="away")).is_success
        assert await desk.has_it("rita", "ada") == ["ada"]
        assert (await desk.does("ada", "reassign", to="rita", reason="back")).is_success
        assert await desk.has_it("rita", "ada") == ["rita"]
        assert (await desk.does("rita", "approve", decidedBy="rita")).is_success
        assert await desk.has_it("rita") == ["rita"], "the next stage asks rita too"
        last = await desk.does("rita", "approve", decidedBy="rita", stage="again")
        assert last.json()["status"] == "approved"


async def test_who_may_not_approve_never_has_it(running: Service) -> None:
    anybody = {"name": "all", "approvers": [{"group": "desk", "count": 1}, {"user": "rita"}], "agree": 1}
    desk = await asked(running, anybody, anybody | {"name": "again"})
    assert await desk.has_it("rita", "ada", "bob") == ["ada", "bob"]
    assert (await desk.does("ada", "approve", decidedBy="ada")).is_success
    assert await desk.has_it("rita", "ada", "bob") == ["ada", "bob"]


async def test_who_handed_it_on_has_it_again_once_a_group_of_theirs_is_asked(running: Service) -> None:
    desk = await asked(running, OF_DESK)
    assert (await desk.does("ada", "reassign", to="dan", reason="away")).is_success
    assert await desk.has_it("ada", "bob", "cleo", "dan") == ["bob", "dan"]
    assert (await desk.does("dan", "reassign", toGroup="board", reason="away")).is_success
    assert await desk.has_it("ada", "bob", "cleo", "dan") == ["ada", "bob", "cleo"]
    assert (await desk.does("ada", "approve", decidedBy="ada")).json()["status"] == "approved"


async def test_who_handed_it_on_has_it_where_they_decide_for_another(running: Service) -> None:
    async with running.client(**{"X-User-ID": "bob"}) as bob:
        given = await bob.post(
            "/api/v1/hitl/delegations",
            json={"to": "ada", "endsAt": timestamp(datetime.now(UTC) + timedelta(days=1))},
        )
        assert given.status_code == 201, given.text
    desk = await asked(running, OF_DESK)
    assert (await desk.does("ada", "reassign", to="dan", reason="not mine")).is_success

    async def is_found() -> bool:
        return await desk.has_it("ada", "bob", "dan") == ["ada", "bob", "dan"]

    await eventually(is_found)
    agreed = await desk.does("ada", "approve", decidedBy="ada")
    assert (agreed.status_code, agreed.json().get("onBehalfOf")) == (200, "bob"), agreed.text


async def test_nobody_of_another_tenant_has_it(running: Service) -> None:
    await asked(running, OF_DESK)
    await running.caught_up()
    async with running.client(OTHER_TENANT) as client:
        assert (await client.get(PATH, params={"assignee": "ada"})).json()["total"] == 0


async def test_it_is_anybodys_where_whoever_the_request_named_may_not_approve_it(running: Service) -> None:
    body = {"opportunityId": "o", "riskScore": 1, "amount": 2, "approverId": "rita"}
    async with running.client(**{"X-User-ID": "rita"}) as client:
        desk = Desk(running, (await client.post(PATH, json=body)).json()["id"])
    assert await desk.has_it("rita", "ada", "zoe") == ["ada", "zoe"]
    assert (await desk.does("zoe", "reassign", toGroup="nobody", reason="x")).status_code == 409
    assert (await desk.does("zoe", "reassign", toGroup="desk", reason="x")).is_success
    assert await desk.has_it("rita", "ada", "zoe") == ["ada"]


async def test_a_stand_in_for_one_part_has_it_no_longer_once_anybody_may_decide(tmp_path: Path) -> None:
    large: dict[str, Any] = {
        "rules": [{"amountFrom": 100, "policy": "two"}],
        "policies": {"two": {"stages": [OF_DESK]}},
    }
    async with running_in(tmp_path, **large) as running:
        async with running.client(**{"X-User-ID": "rita"}) as client:
            answer = await client.post(PATH, json={"opportunityId": "o", "riskScore": 1, "amount": 500})
            desk = Desk(running, answer.json()["id"])
        assert (await desk.does("ada", "reassign", to="hugo", reason="away")).json()["approverId"] == "hugo"
        revised = (await desk.does("rita", "revise", amount=10)).json()
        assert (revised["assignees"], "approverId" in revised, "named" in revised) == (
            ["anyone"],
            False,
            False,
        )
        assert await desk.has_it("rita", "zoe", "hugo") == ["zoe", "hugo"]


async def test_nobodys_groups_are_asked_for_once_the_directory_has_failed(
    running: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = list[str](), list[str]()

    async def principals_of(*_: Any) -> frozenset[str]:
        return frozenset(f"principal {number}" for number in range(100))

    async def groups_of(people: PeopleLookup, tenant: str, person: str) -> frozenset[str]:
        begun.append(person)
        try:
            if person != "ada":
                await anyio.sleep_forever()
            await anyio.sleep(0)
        finally:
            ended.append(person)
        raise DirectoryUnavailable("timed out")

    monkeypatch.setattr(PeopleLookup, "principals_of", principals_of)
    monkeypatch.setattr(PeopleLookup, "groups_of", groups_of)
    async with running.client() as client:
        answer = await client.get(PATH, params={"assignee": "ada"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "DIRECTORY_UNAVAILABLE")
    assert len(begun) == 16
    assert sorted(ended) == sorted(begun), "nothing is asked on behind the answer"
