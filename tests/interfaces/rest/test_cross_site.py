"""What a page of another site has a browser send, which knows its user by a cookie that the gateway takes."""

import pytest

from tests.harness import SYSTEM_TENANT, Service

pytestmark = pytest.mark.anyio

TRIGGER = "/api/v1/jobs/outcome-sync/trigger"
ELSEWHERE = {"Origin": "https://evil.example"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", **FORM},
        {"Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain;charset=UTF-8"},
        ELSEWHERE,
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example", **FORM},
    ],
)
async def test_a_page_of_another_site_gives_no_command(
    behind_gateway: Service, headers: dict[str, str]
) -> None:
    async with behind_gateway.client(SYSTEM_TENANT) as client:
        refused = await client.post(TRIGGER, headers=headers)
        runs = await client.get("/api/v1/jobs/outcome-sync/runs")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "CROSS_SITE")
    assert runs.json()["total"] == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://localhost"},
        {"Sec-Fetch-Site": "cross-site", "Content-Type": "application/json"},
        {"Sec-Fetch-Site": "same-site", "Authorization": "Bearer x", "X-User-ID": "ada"},
    ],
)
async def test_a_program_a_page_of_our_own_and_what_a_browser_asks_about_first_do(
    behind_gateway: Service, headers: dict[str, str]
) -> None:
    """The last two are let through by whoever answers the browser's question: the gateway."""
    async with behind_gateway.client(SYSTEM_TENANT) as client:
        answer = await client.post(TRIGGER, headers=headers, content=b"{}" if len(headers) == 2 else b"")
    assert answer.status_code == 202, answer.text


async def test_another_site_may_link_to_what_is_read(behind_gateway: Service) -> None:
    async with behind_gateway.client(SYSTEM_TENANT) as client:
        answer = await client.get("/api/v1/jobs", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
