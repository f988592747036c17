"""Bodies that come slowly keep nobody else out, and are not waited for without end."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest

from interfaces.rest import arriving
from tests.harness import OTHER_TENANT, Service, eventually, service, settings_in

pytestmark = pytest.mark.anyio

PATH = "/api/v1/hitl/approvals"
BODY = json.dumps({"opportunityId": "o", "riskScore": 1, "amount": 1}).encode()
JSON = {"Content-Type": "application/json"}
PLACES = 4


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    settings = settings_in(tmp_path, MAX_REQUESTS=str(PLACES), BATCH_JOBS_ENABLED="false")
    async with service(settings) as running:
        yield running


class SlowBody:
    """A body of which the last byte comes once it is let in."""

    def __init__(self) -> None:
        self.is_on_its_way = False
        self._rest = anyio.Event()

    def let_in(self) -> None:
        self._rest.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield BODY[:-1]
        self.is_on_its_way = True
        await self._rest.wait()
        yield BODY[-1:]


async def test_one_tenants_slow_bodies_keep_no_other_tenant_out(running: Service) -> None:
    slow = [SlowBody() for _ in range(PLACES)]
    answers: list[httpx.Response] = []
    async with running.client(**JSON) as ours, running.client(OTHER_TENANT, **JSON) as theirs:

        async def send(body: SlowBody) -> None:
            answers.append(await ours.post(PATH, content=body))

        async def half_are_on_their_way() -> bool:
            return sum(each.is_on_its_way for each in slow) == len(answers) == PLACES / 2

        async with anyio.create_task_group() as sending:
            for body in slow:
                sending.start_soon(send, body)
            await eventually(half_are_on_their_way)
            assert (await theirs.post(PATH, content=BODY)).status_code == 201
            assert (await ours.post(PATH, content=BODY)).status_code == 503
            for body in slow:
                body.let_in()
        assert sorted(answer.status_code for answer in answers) == [201] * 2 + [503] * 2
        assert (await ours.post(PATH, content=BODY)).status_code == 201


async def test_a_body_that_does_not_come_is_given_up(
    running: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arriving, "BODY_SECONDS", 0.05)
    async with running.client(**JSON) as ours:
        answer = await ours.post(PATH, content=SlowBody())
        assert (answer.status_code, answer.json()["error"]["code"]) == (408, "REQUEST_TIMEOUT")
        assert answer.headers["connection"] == "close"
        assert (await ours.get(PATH)).json()["total"] == 0
        assert (await ours.post(PATH, content=BODY)).status_code == 201
