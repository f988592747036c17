"""``GET /jobs`` is paged as every list is, in the order of the settings."""

import pytest

from tests.harness import SYSTEM_TENANT, Service

pytestmark = pytest.mark.anyio

JOBS = "/api/v1/jobs"


async def test_the_jobs_come_in_pages_if_fewer_are_asked_for(behind_gateway: Service) -> None:
    names = list(behind_gateway.container.jobs.by_name)
    shown: list[str] = []
    asked: dict[str, str] = {"limit": "3"}
    async with behind_gateway.client(SYSTEM_TENANT) as client:
        while asked:
            page = (await client.get(JOBS, params=asked)).json()
            assert page["total"] == len(names)
            shown += [each["job"] for each in page["jobs"]]
            asked = {"limit": "3", "cursor": page["nextCursor"]} if "nextCursor" in page else {}
        everything = (await client.get(JOBS)).json()
    assert shown == names
    assert ([each["job"] for each in everything["jobs"]], "nextCursor" in everything) == (names, False)


@pytest.mark.parametrize(
    ("name", "value"), [("limit", "0"), ("limit", "201"), ("cursor", "x"), ("cursor", "WyJubyJd")]
)
async def test_a_page_of_jobs_that_there_cannot_be_is_refused(
    behind_gateway: Service, name: str, value: str
) -> None:
    async with behind_gateway.client(SYSTEM_TENANT) as client:
        answer = await client.get(JOBS, params={name: value})
    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["error"]["details"]] == [name]
