"""Who publishes and retires definitions, where the settings name roles for that."""

from pathlib import Path

import pytest

from tests.contract.contract import validate_document
from tests.definitions import document, step
from tests.harness import TENANT, Service, service, settings_in

pytestmark = pytest.mark.anyio

PATH = "/api/v1/workflow-definitions"
OWN = f"{PATH}/deal-check"
AUTHOR = {"X-User-ID": "ann", "X-User-Roles": "author"}
OTHERS = {"X-User-ID": "bob", "X-User-Roles": "sales"}
AUTHORS_ALONE = {"workflows": {"publisher_roles": ["author"]}}


async def orders(at: Service, **headers: str) -> list[int]:
    """What comes of a publication, the next version, and a retirement."""
    async with at.client(**headers) as client:
        answers = [
            await client.post(PATH, json=document()),
            await client.put(OWN, json=document(step("a"), description="another")),
            await client.delete(OWN),
        ]
    for answer in answers:
        if answer.status_code == 403:
            validate_document("Error", answer.json())
            assert answer.json()["error"]["code"] == "FORBIDDEN"
            assert "author" in answer.json()["error"]["message"]
    return [answer.status_code for answer in answers]


async def test_roles_that_are_named_publish_and_nobody_else(tmp_path: Path) -> None:
    async with service(settings_in(tmp_path, overlay=AUTHORS_ALONE, BATCH_JOBS_ENABLED="false")) as at:
        assert await orders(at, **OTHERS) == [403, 403, 403]
        assert await orders(at, **AUTHOR) == [201, 200, 200]
        async with at.client(**OTHERS) as client:
            assert (await client.get(OWN)).status_code == 200, "to read one is everybody's"
            assert (await client.post(f"{PATH}/validate", json=document())).status_code == 200
            started = await client.post("/api/v1/workflows", json={"definition": "opportunity-analysis"})
            assert started.status_code != 403


@pytest.mark.parametrize("headers", [{"X-User-ID": "eve", "X-User-Roles": "admin"}, {}])
async def test_operators_and_the_gateway_itself_do_too(tmp_path: Path, headers: dict[str, str]) -> None:
    async with service(settings_in(tmp_path, overlay=AUTHORS_ALONE, BATCH_JOBS_ENABLED="false")) as at:
        assert await orders(at, **headers) == [201, 200, 200]


async def test_the_role_of_another_tenant_is_none_here(tmp_path: Path) -> None:
    """A tenant's author publishes there: the same name of another tenant stays as it is."""
    other = {**AUTHOR, "X-Tenant-ID": "c3d1a2f0-5b66-4c1e-8a0f-3f1f6f0b7a22"}
    async with service(settings_in(tmp_path, overlay=AUTHORS_ALONE, BATCH_JOBS_ENABLED="false")) as at:
        assert await orders(at, **AUTHOR) == [201, 200, 200]
        async with at.client(**other) as client:
            assert (await client.delete(OWN)).status_code == 404
        async with at.client(TENANT, **AUTHOR) as client:
            assert (await client.get(OWN)).json()["tenantId"] == TENANT


async def test_without_named_roles_every_caller_of_the_tenant_does(behind_gateway: Service) -> None:
    assert await orders(behind_gateway, **OTHERS) == [201, 200, 200]
