"""``Idempotency-Key`` where definitions are published: for one name, and a repeat answers as the first."""

import httpx
import pytest

from domain.errors import StoreUnavailable
from interfaces.rest.definitions import DefinitionRoutes
from tests.definitions import document, step
from tests.harness import OTHER_TENANT, Service

pytestmark = pytest.mark.anyio

PATH = "/api/v1/workflow-definitions"
KEY = {"Idempotency-Key": "k"}


def told(answer: httpx.Response) -> tuple[int, str | None, str, bytes]:
    """What a repeat has in common with the first."""
    return answer.status_code, answer.headers.get("location"), answer.headers["etag"], answer.content


async def test_a_repeat_is_answered_as_made_whatever_came_later(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        first = await client.post(PATH, json=document(step("a")), headers=KEY)
        assert (first.status_code, first.headers["location"]) == (201, f"{PATH}/deal-check")
        later = await client.put(f"{PATH}/deal-check", json=document(step("a"), step("b")))
        assert (later.status_code, later.headers["etag"]) == (200, '"2"')
        again = await client.post(PATH, json=document(step("a")), headers=KEY)
    assert told(again) == told(first)


async def test_so_is_a_put_that_made_the_first_version(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        first = await client.put(f"{PATH}/deal-check", json=document(step("a")), headers=KEY)
        again = await client.put(f"{PATH}/deal-check", json=document(step("a")), headers=KEY)
        unkeyed = await client.put(f"{PATH}/deal-check", json=document(step("a")))
    assert first.status_code == 201
    assert told(again) == told(first)
    assert unkeyed.status_code == 200, "nothing new was published"


async def test_a_key_is_for_one_name(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        assert (await client.post(PATH, json=document(step("a")), headers=KEY)).status_code == 201
        other = await client.post(PATH, json=document(step("a"), name="another"), headers=KEY)
        assert (other.status_code, other.json()["error"]["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")
        assert (await client.get(f"{PATH}/another")).status_code == 404


async def test_a_key_is_of_one_tenant(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client, behind_gateway.client(OTHER_TENANT) as stranger:
        assert (await client.post(PATH, json=document(step("a")), headers=KEY)).status_code == 201
        theirs = await stranger.post(PATH, json=document(step("a"), name="another"), headers=KEY)
        assert theirs.status_code == 201, theirs.text
        assert (await client.get(f"{PATH}/another")).status_code == 404
        assert (await stranger.get(f"{PATH}/deal-check")).status_code == 404


async def test_what_was_accepted_and_not_published_any_more_is_published_by_the_repeat(
    behind_gateway: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupted(*_: object, **__: object) -> None:
        raise StoreUnavailable("it is away")

    async with behind_gateway.client() as client:
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(DefinitionRoutes, "_publish", interrupted)
            assert (await client.post(PATH, json=document(step("a")), headers=KEY)).status_code == 503
        other = await client.post(PATH, json=document(step("a"), name="another"), headers=KEY)
        assert other.status_code == 409
        assert (await client.post(PATH, json=document(step("a")), headers=KEY)).status_code == 201
