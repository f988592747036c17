"""The HTTP client against a neighbour in another process that is slow, hangs and lies."""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import anyio
import httpx
import jwt
import msgspec
import pytest

from application.ports import BadAnswer, HttpAnswer, HttpRequest, NoAnswer
from infrastructure.services.caller import MOST_BYTES, HttpCaller
from infrastructure.services.tokens import TOKEN_SECONDS, ServiceTokens
from tests.builders import OTHER_TENANT, TENANT
from tests.lying_service import Neighbour, lying_service
from tests.plain_http import NO_TLS
from tests.services import free_port

pytestmark = pytest.mark.anyio

SECRET = "a secret of at least thirty-two bytes"
SERVICE = "risk_analytics"


@pytest.fixture(scope="module")
def neighbour() -> Iterator[Neighbour]:
    with lying_service() as neighbour:
        yield neighbour


@pytest.fixture(scope="module")
def other() -> Iterator[Neighbour]:
    with lying_service() as neighbour:
        yield neighbour


def caller_of(url: str, *, secret: str = SECRET) -> HttpCaller:
    tokens = ServiceTokens(secret, issuer="coder", service="workflow-orchestrator")
    return HttpCaller({SERVICE: url}, tokens, user_agent="tests")


@pytest.fixture
def caller(neighbour: Neighbour) -> HttpCaller:
    return caller_of(neighbour.url)


def request(path: str, **changes: Any) -> HttpRequest:
    plain = HttpRequest(service=SERVICE, method="GET", path=path, tenant=TENANT)
    return msgspec.structs.replace(plain, **changes)


async def told(caller: HttpCaller, asked: HttpRequest) -> dict[str, Any]:
    """What the service says it was asked."""
    answer = await caller.call(asked, 5)
    assert isinstance(answer, HttpAnswer), answer
    assert answer.status == 200
    found: dict[str, Any] = msgspec.json.decode(answer.body)
    return found


async def test_a_request_arrives_as_it_was_made(caller: HttpCaller) -> None:
    asked = request(
        "/ok/a%20b%25c%3Fd%23e/~x",
        method="POST",
        query="q=1%262&r=%C3%BC",
        body=b'{"n": 1}',
        headers={"X-Tenant-ID": TENANT, "Idempotency-Key": "key-1"},
    )
    found = await told(caller, asked)
    assert (found["method"], found["path"], found["query"]) == (
        "POST",
        "/ok/a%20b%25c%3Fd%23e/~x",
        asked.query,
    )
    assert found["body"] == '{"n": 1}'
    headers = found["headers"]
    assert (headers["x-tenant-id"], headers["idempotency-key"]) == (TENANT, "key-1")
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == "tests"


async def authorization(caller: HttpCaller, neighbour: Neighbour, tenant: str = TENANT) -> str:
    """What the service is shown; it does not come back to us."""
    await told(caller, request("/ok", tenant=tenant))
    return str(neighbour.seen("/ok")[-1]["headers"]["authorization"])


async def test_the_token_is_one_that_the_platform_takes(caller: HttpCaller, neighbour: Neighbour) -> None:
    scheme, _, token = (await authorization(caller, neighbour)).partition(" ")
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], issuer="coder")
    assert scheme == "Bearer"
    assert (claims["sub"], claims["tenantId"], claims["type"]) == ("workflow-orchestrator", TENANT, "access")
    assert claims["exp"] - claims["iat"] == TOKEN_SECONDS <= 600


async def test_each_tenant_has_a_token_of_its_own_and_keeps_it(
    caller: HttpCaller, neighbour: Neighbour
) -> None:
    first = await authorization(caller, neighbour)
    assert first == await authorization(caller, neighbour)
    assert first != await authorization(caller, neighbour, OTHER_TENANT)


async def test_without_a_secret_there_is_no_token(neighbour: Neighbour) -> None:
    caller = caller_of(neighbour.url, secret="")
    assert "authorization" not in (await told(caller, request("/ok")))["headers"]


async def test_every_request_has_an_id_of_its_own(caller: HttpCaller) -> None:
    ids = {(await told(caller, request("/ok")))["headers"]["x-request-id"] for _ in range(2)}
    assert len(ids) == 2


async def test_a_base_url_may_hold_a_path(neighbour: Neighbour) -> None:
    caller = caller_of(f"{neighbour.url}/ok/")
    assert (await told(caller, request("/v1/x")))["path"] == "/ok/v1/x"


async def test_cookies_are_not_kept_for_the_next_caller(caller: HttpCaller) -> None:
    assert isinstance(await caller.call(request("/cookie"), 5), HttpAnswer)
    assert "cookie" not in (await told(caller, request("/ok", tenant=OTHER_TENANT)))["headers"]


@pytest.mark.parametrize("path", ["/hang", "/headers_only", "/drip", "/slow/5", "/headers-without-end"])
async def test_who_does_not_answer_to_the_end_is_given_up_on_in_time(caller: HttpCaller, path: str) -> None:
    began = time.monotonic()
    answer = await caller.call(request(path), 0.5)
    assert isinstance(answer, NoAnswer)
    assert time.monotonic() - began < 1.5


def open_sockets() -> int:
    """How many this process has."""
    found = 0
    for each in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found += stat.S_ISSOCK(os.fstat(int(each)).st_mode)
    return found


async def test_what_was_given_up_on_leaves_no_connection_behind(caller: HttpCaller) -> None:
    before = open_sockets()
    for _ in range(3):
        async with anyio.create_task_group() as tasks:
            for path in ("/hang", "/drip", "/headers_only", "/slow/3", "/endless"):
                for seconds in (0.001, 0.01, 0.1):
                    tasks.start_soon(caller.call, request(path), seconds)
    assert (await told(caller, request("/ok")))["path"] == "/ok"
    await anyio.sleep(0.05)
    assert open_sockets() <= before


@pytest.mark.parametrize("path", ["/short", "/reset", "/garbage"])
async def test_an_answer_that_breaks_off_is_none(caller: HttpCaller, path: str) -> None:
    answer = await caller.call(request(path), 5)
    assert isinstance(answer, NoAnswer)
    assert answer.why.startswith("no answer: ")


async def test_nobody_there_is_no_answer() -> None:
    caller = caller_of(f"http://127.0.0.1:{free_port()}")
    assert isinstance(await caller.call(request("/ok"), 5), NoAnswer)


async def test_a_host_that_does_not_exist_is_no_answer() -> None:
    caller = caller_of("http://no-such-host.invalid:1")
    assert isinstance(await caller.call(request("/ok"), 5), NoAnswer)


async def test_a_connection_that_is_never_accepted_is_given_up_on_in_time() -> None:
    """The port listens with a full backlog: nobody takes connections from it."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        caller = caller_of(f"http://127.0.0.1:{address[1]}")
        began = time.monotonic()
        assert isinstance(await caller.call(request("/ok"), 0.5), NoAnswer)
        assert time.monotonic() - began < 1.5
        for filler in fillers:
            filler.close()


async def test_what_comes_after_an_answer_is_not_taken_for_the_next_ones(caller: HttpCaller) -> None:
    for _ in range(5):
        first = await caller.call(request("/more"), 5)
        assert not isinstance(first, HttpAnswer) or first.body == b'{"a": 1}'
        assert "forged" not in await told(caller, request("/ok", tenant=OTHER_TENANT))


@pytest.mark.parametrize("path", ["/huge", "/endless"])
async def test_an_answer_of_any_length_is_read_only_so_far(caller: HttpCaller, path: str) -> None:
    began = time.monotonic()
    answer = await caller.call(request(path), 10)
    assert answer == BadAnswer(f"its answer is longer than {MOST_BYTES} bytes")
    assert time.monotonic() - began < 5


async def test_what_is_compressed_is_not_unpacked(caller: HttpCaller) -> None:
    assert isinstance(await caller.call(request("/bomb"), 5), BadAnswer)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_get_is_redirected_on_the_same_origin(caller: HttpCaller, status: int) -> None:
    asked = request(f"/same_host/{status}", headers={"X-Tenant-ID": TENANT})
    found = await told(caller, asked)
    assert (found["path"], found["query"]) == ("/ok", "moved=1")
    assert found["headers"]["x-tenant-id"] == TENANT


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nothing_else_is_redirected(caller: HttpCaller, neighbour: Neighbour, method: str) -> None:
    before = len(neighbour.seen("/ok"))
    asked = request("/same_host/307", method=method, body=b"{}")
    assert isinstance(await caller.call(asked, 5), BadAnswer)
    assert len(neighbour.seen("/ok")) == before


async def test_no_redirect_leads_off_the_host(caller: HttpCaller, other: Neighbour) -> None:
    answer = await caller.call(request(f"/elsewhere/{other.port}"), 5)
    assert answer == BadAnswer("it redirects to another host, which is not followed")
    assert other.seen() == []


async def test_a_redirect_that_does_not_say_where_leads_nowhere(caller: HttpCaller) -> None:
    answer = await caller.call(request("/nowhere"), 5)
    assert answer == BadAnswer("it redirects without a Location, and so to nowhere")


async def test_no_redirect_brings_another_identity(caller: HttpCaller) -> None:
    assert isinstance(await caller.call(request("/with_user"), 5), BadAnswer)


async def test_a_loop_of_redirects_ends(caller: HttpCaller) -> None:
    assert await caller.call(request("/loop"), 5) == BadAnswer("it redirects more than 5 times")


async def test_our_token_does_not_come_back_in_an_error(caller: HttpCaller, neighbour: Neighbour) -> None:
    answer = await caller.call(request("/parrot"), 5)
    assert isinstance(answer, HttpAnswer)
    (asked,) = neighbour.seen("/parrot")
    token = asked["headers"]["authorization"].removeprefix("Bearer ")
    assert answer.body.startswith(b"bad token: Bearer *** xxx")
    assert token.encode() not in answer.body


async def test_nor_does_it_come_back_in_what_is_no_answer(caller: HttpCaller) -> None:
    answer = await caller.call(request("/parroting_garbage"), 5)
    assert isinstance(answer, NoAnswer)
    assert "you said Bearer ***" in answer.why


async def test_an_error_keeps_its_status_and_when_to_come_again(caller: HttpCaller) -> None:
    answer = await caller.call(request("/status/503"), 5)
    assert isinstance(answer, HttpAnswer)
    assert (answer.status, answer.retry_after) == (503, "7")


async def test_no_proxy_of_the_environment_is_used(
    neighbour: Neighbour, other: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as environment:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            environment.setenv(name, other.url)
        caller = caller_of(neighbour.url)
        assert (await told(caller, request("/ok/no-proxy")))["path"] == "/ok/no-proxy"
    assert other.seen() == []
    assert len(neighbour.seen("/ok/no-proxy")) == 1


async def test_a_token_is_renewed_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = ServiceTokens(SECRET, issuer="coder", service="me")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    first = tokens.for_tenant(TENANT)
    now += TOKEN_SECONDS - 61
    assert tokens.for_tenant(TENANT) == first
    now += 2
    second = tokens.for_tenant(TENANT)
    assert second != first
    now -= 3600
    assert tokens.for_tenant(TENANT) != second


def test_the_neighbour_itself_is_there(neighbour: Neighbour) -> None:
    assert httpx.get(f"{neighbour.url}/status/418", verify=NO_TLS).status_code == 418
