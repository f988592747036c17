"""The audit trail over REST while its store does not answer."""

from pathlib import Path

import anyio
import psycopg
import pytest

from interfaces.rest import audit_events
from tests.harness import service, settings_in
from tests.integration.test_audit_routes import TRAIL, approval, get
from tests.neighbours import Names

pytestmark = pytest.mark.anyio


@pytest.mark.postgres
@pytest.mark.rabbitmq
async def test_a_store_that_does_not_answer_is_given_up_and_keeps_no_connection(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The follower of the trail needs them, and a caller is not to wait for ever."""
    url = request.getfixturevalue("postgres_store_url")
    settings = settings_in(
        tmp_path,
        overlay=Names.fresh().overlay(),
        EVENT_STORE_URL=url,
        RABBITMQ_URL=request.getfixturevalue("rabbitmq_url"),
        BATCH_JOBS_ENABLED="false",
    )
    async with service(settings) as running, running.client() as client:
        _, position = await approval(client)
        await get(client, TRAIL, position)
        monkeypatch.setattr(audit_events, "ANSWER_SECONDS", 0.5)
        with psycopg.connect(url) as somebody:
            somebody.execute("LOCK TABLE audit_heads IN ACCESS EXCLUSIVE MODE")
            paths = (TRAIL, "/api/v1/audit/head", "/api/v1/audit/verification")
            for path in (*paths, *paths):
                with anyio.fail_after(20):
                    answer = await client.get(path)
                assert (answer.status_code, answer.json()["error"]["code"]) == (503, "STORE_UNAVAILABLE")
        monkeypatch.undo()
        await get(client, TRAIL, position)
