"""Metrics behind a token."""

from pathlib import Path

import pytest

from tests.harness import service, settings_in

pytestmark = pytest.mark.anyio

TOKEN = "scrape-me-if-you-can"


async def test_metrics_need_their_token_where_the_settings_say_so(tmp_path: Path) -> None:
    settings = settings_in(
        tmp_path, METRICS_REQUIRE_AUTH="true", METRICS_BEARER_TOKEN=TOKEN, METRICS_PATH="/internal/metrics"
    )
    async with service(settings) as running, running.client(None) as client:
        for given in (
            None,
            "",
            TOKEN,
            "Bearer",
            "Bearer ",
            "Bearer other",
            f"Basic {TOKEN}",
            f"bearer{TOKEN}",
        ):
            headers = {} if given is None else {"Authorization": given}
            answer = await client.get("/internal/metrics", headers=headers)
            assert answer.status_code == 401, given
        for scheme in ("Bearer", "bearer", "BEARER", "Bearer "):
            answer = await client.get("/internal/metrics", headers={"Authorization": f"{scheme} {TOKEN}"})
            assert answer.status_code == 200, scheme
            assert "batch_job_triggers" in answer.text
        assert (await client.get("/metrics")).status_code == 404
