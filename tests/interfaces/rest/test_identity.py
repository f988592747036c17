"""Who may call, and as whom."""

import time
from types import SimpleNamespace
from typing import Any

import jwt
import pytest

from interfaces.rest import identity
from tests.harness import OTHER_TENANT, TENANT, USER, Service
from tests.interfaces.rest.conftest import SECRET

pytestmark = pytest.mark.anyio

PATH = "/api/v1/hitl/approvals"
DEAL = {"opportunityId": "opp-1", "riskScore": 0.5, "amount": 10}


def token(*, secret: str = SECRET, algorithm: str = "HS256", without: str = "", **claims: Any) -> str:
    """A good token of the platform, but for what is changed."""
    now = int(time.time())
    good = {
        "sub": USER,
        "tenantId": TENANT,
        "type": "access",
        "iss": "coder",
        "iat": now,
        "exp": now + 7200,
    }
    payload = {name: value for name, value in {**good, **claims}.items() if name != without}
    return jwt.encode(payload, secret, algorithm=algorithm)


def bearer(value: str) -> dict[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"Bearer {value}"}


async def test_a_good_token_is_let_in_and_its_user_is_the_actor(with_tokens: Service) -> None:
    async with with_tokens.client(**bearer(token())) as client:
        made = await client.post(PATH, json=DEAL, headers={"X-User-ID": "somebody-else"})
        assert made.status_code == 201
        events = (await client.get(f"{made.headers['location']}/events")).json()
    assert events["events"][0]["actor"] == USER


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": f"Basic {token()}"},
        bearer(token(exp=int(time.time()) - 10)),
        bearer(token(nbf=int(time.time()) + 3600)),
        bearer(token(iat=int(time.time()) + 3600)),
        bearer(token(secret="another secret of thirty-two bytes and more")),
        bearer(token(secret="a secret of sixty-four bytes" * 3, algorithm="HS512")),
        bearer(token(algorithm="HS512", secret=SECRET + "x" * 32)),
        bearer(token(iss="somebody")),
        bearer(token(type="refresh")),
        bearer(token(tenantId="not-a-uuid")),
        bearer(token(sub="")),
        *(bearer(token(without=claim)) for claim in ("sub", "tenantId", "type", "iss", "iat", "exp")),
        bearer(jwt.encode({"sub": USER, "tenantId": TENANT, "type": "access"}, "", algorithm="none")),
    ],
)
async def test_any_other_token_is_unauthorized(with_tokens: Service, headers: dict[str, str]) -> None:
    async with with_tokens.client(**headers) as client:
        answer = await client.get(PATH)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "UNAUTHORIZED"
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_token_of_another_tenant_is_refused(with_tokens: Service) -> None:
    async with with_tokens.client(OTHER_TENANT, **bearer(token())) as client:
        answer = await client.get(PATH)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "TENANT_MISMATCH"


@pytest.mark.parametrize("verb", ["approve", "reject"])
async def test_nobody_decides_in_anothers_name(with_tokens: Service, verb: str) -> None:
    async with with_tokens.client(**bearer(token())) as client:
        made = await client.post(PATH, json=DEAL, headers=bearer(token(sub="rita")))
        answer = await client.post(f"{made.headers['location']}/{verb}", json={"decidedBy": "bob"})
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "NOT_YOURSELF"
        assert (await client.get(made.headers["location"])).json()["status"] == "pending"
        own = await client.post(f"{made.headers['location']}/{verb}", json={"decidedBy": USER})
        assert own.status_code == 200


@pytest.mark.parametrize(
    ("tenant", "code"),
    [
        (None, "TENANT_REQUIRED"),
        ("acme", "TENANT_INVALID"),
        (TENANT.replace("-", ""), "TENANT_INVALID"),
        (f"{{{TENANT}}}", "TENANT_INVALID"),
    ],
)
async def test_a_request_names_its_tenant(behind_gateway: Service, tenant: str | None, code: str) -> None:
    async with behind_gateway.client(tenant) as client:
        for path in (PATH, "/api/v1/workflows", "/api/v1/jobs"):
            answer = await client.get(path)
            assert answer.status_code == 400
            assert answer.json()["error"]["code"] == code


async def test_a_tenant_that_is_named_twice_is_refused(behind_gateway: Service) -> None:
    async with behind_gateway.client(None) as client:
        answer = await client.get(PATH, headers=[("X-Tenant-ID", TENANT), ("X-Tenant-ID", OTHER_TENANT)])
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "TENANT_INVALID"


async def test_a_clock_that_is_a_little_fast_does_not_lock_anyone_out(with_tokens: Service) -> None:
    async with with_tokens.client(**bearer(token(iat=int(time.time()) + 2))) as client:
        assert (await client.get(PATH)).status_code == 200


async def test_a_tenant_is_the_same_in_either_case(behind_gateway: Service) -> None:
    async with behind_gateway.client(TENANT.upper()) as client:
        made = await client.post(PATH, json=DEAL)
    async with behind_gateway.client(TENANT) as client:
        assert (
            await client.get(made.headers["location"].upper().replace("/API/V1/HITL/APPROVALS", PATH))
        ).json() == (made.json())
    assert made.json()["tenantId"] == TENANT


async def test_neither_token_nor_secret_is_logged(
    with_tokens: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    import structlog

    structlog.reset_defaults()
    value = token(exp=1)
    async with with_tokens.client(**bearer(value)) as client:
        await client.get(PATH)
        await client.get(PATH, headers=bearer(token()))
    logged = capsys.readouterr()
    assert "request" in logged.out
    for hidden in (value, token(), SECRET):
        assert hidden not in logged.out + logged.err


async def test_a_token_that_was_let_in_before_is_refused_once_it_has_expired(
    with_tokens: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = token(exp=int(time.time()) + 30)
    async with with_tokens.client(**bearer(short)) as client:
        assert (await client.get(PATH)).status_code == 200
        later = time.time() + 60
        monkeypatch.setattr(identity, "time", SimpleNamespace(time=lambda: later))
        refused = await client.get(PATH)
    assert refused.status_code == 401
    assert refused.json()["error"]["message"] == "the token has expired"


async def test_a_good_token_in_a_long_header_is_let_in_and_not_remembered(with_tokens: Service) -> None:
    padded = {"Authorization": f"Bearer {' ' * 5000}{token()}"}
    async with with_tokens.client(**padded) as client:
        assert [(await client.get(PATH)).status_code for _ in range(2)] == [200, 200]


async def test_a_token_that_was_let_in_before_lets_nobody_into_another_tenant(with_tokens: Service) -> None:
    known = bearer(token())
    async with with_tokens.client(**known) as client:
        assert (await client.get(PATH)).status_code == 200
        crossing = await client.get(PATH, headers={"X-Tenant-ID": OTHER_TENANT})
    assert crossing.status_code == 403
