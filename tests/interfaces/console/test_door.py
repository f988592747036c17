"""The door, where a token is exchanged for a cookie."""

from pathlib import Path

import pytest

from interfaces.console.session import COOKIE
from tests.browser.visitor import SECRET, token
from tests.harness import TENANT, service, settings_in

pytestmark = pytest.mark.anyio

_BROWSERS_KEEP = 4096


async def test_a_token_that_no_browser_would_keep_is_refused_in_words(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, JWT_SECRET=SECRET, BATCH_JOBS_ENABLED="false")
    async with service(settings) as running, running.client(Origin="http://localhost") as visitor:
        for roles, status in ((60, 303), (200, 401)):
            form = {"tenant": TENANT, "token": token("ada", roles=[f"role number {n}" for n in range(roles)])}
            answer = await visitor.post("/console/sign-in", data=form)
            assert answer.status_code == status
            assert len(COOKIE) + len(answer.cookies.get(COOKIE) or "") <= _BROWSERS_KEEP
    assert "does not fit into a cookie" in answer.text


async def test_the_address_of_a_refused_sign_in_leads_to_the_door_again(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, JWT_SECRET=SECRET, BATCH_JOBS_ENABLED="false")
    async with service(settings) as running, running.client(Origin="http://localhost") as visitor:
        refused = await visitor.post("/console/sign-in", data={"tenant": TENANT, "token": "x"})
        again = await visitor.get("/console/sign-in", follow_redirects=True)
    assert (refused.status_code, again.status_code) == (401, 401)
    assert again.url.path == "/console"
    assert 'name="token"' in again.text
