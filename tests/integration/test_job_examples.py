"""The examples of ``docs/jobs.md``, in their order, against a service with the page's own settings."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.sections import JobRules
from tests.harness import SYSTEM_TENANT, service, settings_in

pytestmark = pytest.mark.anyio

PAGE = (Path(__file__).parents[2] / "docs" / "jobs.md").read_text()
EXAMPLES = re.findall(r"```http\n(\S+) (\S+) as (\w+)\n(.*?)\n*(\d{3}) (\{.*?)```", PAGE, re.DOTALL)


def matches(shown: Any, answer: Any) -> bool:
    """Whether an answer has what is shown of it."""
    match shown:
        case {}:
            return isinstance(answer, dict) and all(
                name in answer and matches(value, answer[name]) for name, value in shown.items()
            )
        case [*_]:
            return isinstance(answer, list) and len(answer) == len(shown) and all(map(matches, shown, answer))
    return bool(shown == answer)


async def test_every_example_of_the_page_is_as_it_says(tmp_path: Path) -> None:
    (settings,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert len(EXAMPLES) == PAGE.count("```http") > 7
    run = ""
    async with service(settings_in(tmp_path, overlay=yaml.safe_load(settings))) as running:
        for method, path, person, body, status, shown in EXAMPLES:
            if method == "GET":
                await running.caught_up()
            async with running.client(tenant=SYSTEM_TENANT, **{"X-User-ID": person}) as client:
                content = json.loads(body) if body.strip() else None
                answer = await client.request(method, path.replace("{run}", run), json=content)
            assert answer.status_code == int(status), (method, path, answer.text)
            assert matches(json.loads(shown), answer.json()), (method, path, answer.text)
            if status == "202":
                run = answer.json()["runId"]


def test_every_rule_stands_on_the_page() -> None:
    rows = re.findall(r"^\| (`[a-z_`, ]+) \|", PAGE, re.MULTILINE)
    described = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}
    assert set(JobRules.model_fields) <= described


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", PAGE))
def test_every_link_leads_somewhere(link: str) -> None:
    assert (Path(__file__).parents[2] / "docs" / link).exists()
