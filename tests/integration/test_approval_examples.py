"""The examples of ``docs/approvals.md``, in their order, against a service with the page's own file."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.values import timestamp
from infrastructure.clock import SystemClock
from tests.cosmos import Account, dropped_afterwards, fresh_database
from tests.harness import service, settings_in
from tests.neighbours import Names, forget

pytestmark = pytest.mark.anyio

PAGE = (Path(__file__).parents[2] / "docs" / "approvals.md").read_text()
EXAMPLES = re.findall(r"```http\n(\S+) (\S+) as (\w+)\n(.*?)\n+(\d{3}) (\{.*?)```", PAGE, re.DOTALL)
TENANT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def matches(shown: Any, answer: Any) -> bool:
    """Whether an answer has what is shown of it."""
    match shown:
        case {}:
            return isinstance(answer, dict) and all(
                name in answer and matches(value, answer[name]) for name, value in shown.items()
            )
        case []:
            return bool(answer == [])
        case [*_]:
            return isinstance(answer, list) and len(answer) == len(shown) and all(map(matches, shown, answer))
    return bool(shown == answer)


async def test_every_example_of_the_page_is_as_it_says(tmp_path: Path) -> None:
    await run_through(tmp_path, {})


@pytest.mark.rabbitmq
async def test_the_examples_are_the_same_on_the_real_parts(
    tmp_path: Path, postgres_store_url: str, cosmos: Account, rabbitmq_url: str
) -> None:
    database, names = fresh_database(), Names.fresh()
    parts = {"EVENT_STORE_URL": postgres_store_url, "RABBITMQ_URL": rabbitmq_url}
    async with dropped_afterwards(cosmos, database):
        await run_through(tmp_path, {**parts, **cosmos.environ(database)}, overlay=names.overlay())
    await forget(rabbitmq_url, names)


async def run_through(
    folder: Path, environ: Mapping[str, str], *, overlay: Mapping[str, Any] | None = None
) -> None:
    """Every example in its turn, each on what those before it have left."""
    (policies,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    file = folder / "approvals.yaml"
    file.write_text(policies)
    assert len(EXAMPLES) == PAGE.count("```http")
    places = {"in-30-days": timestamp(SystemClock().now() + timedelta(days=30))}
    settings = settings_in(folder, overlay=overlay, APPROVALS_FILE=str(file), **environ)
    async with service(settings) as running:
        for method, path, person, body, status, shown in EXAMPLES:
            for name, value in places.items():
                path, body = path.replace(f"{{{name}}}", value), body.replace(f"{{{name}}}", value)
            if method == "GET":
                await running.caught_up()
            async with running.client(tenant=TENANT, **{"X-User-ID": person}) as client:
                content = json.loads(body) if body.strip() else None
                answer = await client.request(method, path, json=content)
            assert answer.status_code == int(status), (method, path, answer.text)
            assert matches(json.loads(shown), answer.json()), (method, path, answer.text)
            if status == "201":
                places["id"] = answer.json()["id"]
                if "/delegations" not in path:
                    places["approval"] = places["id"]
