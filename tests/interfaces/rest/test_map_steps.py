"""Workflows with a ``map`` step, as they are told of and ordered while their items come and go."""

from typing import Any

import pytest

from tests.contract.contract import validate_document
from tests.definitions import document
from tests.harness import Service

pytestmark = pytest.mark.anyio

PATH = "/api/v1/workflows"
CALLS = {
    "stepType": "calls",
    "kind": "map",
    "map": {"over": "input.deals", "atOnce": 1, "each": {"kind": "task", "parameters": {"queue": "calls"}}},
}


class Calls:
    """A workflow that makes one call after the other."""

    def __init__(self, running: Service, path: str) -> None:
        self._running = running
        self.path = path

    async def tells(self) -> tuple[dict[str, Any], str]:
        """The workflow, and its tag."""
        await self._running.caught_up()
        async with self._running.client() as client:
            answer = await client.get(self.path)
        return answer.json(), answer.headers["etag"]

    async def steps(self) -> dict[str, dict[str, Any]]:
        """Its steps, by their types."""
        await self._running.caught_up()
        async with self._running.client() as client:
            steps = (await client.get(f"{self.path}/steps")).json()["steps"]
        for step in steps:
            validate_document("Step", step)
        return {step["stepType"]: step for step in steps}

    async def ordered(self, what: str, **body: Any) -> None:
        """Carry out what is based on the tag that was told."""
        _, tag = await self.tells()
        async with self._running.client(**{"X-User-ID": "ada", "If-Match": tag}) as client:
            answer = await client.post(f"{self.path}/{what}", json=body)
        assert answer.is_success, answer.text

    async def called(self, item: int) -> None:
        """Complete one of the calls."""
        step = (await self.steps())[f"calls[{item}]"]
        async with self._running.client() as client:
            answer = await client.post(
                f"{self.path}/steps/{step['stepId']}/complete", json={"result": {"n": item}}
            )
        assert answer.is_success, answer.text


async def begun(running: Service, *deals: str) -> Calls:
    """One that has called nobody yet."""
    async with running.client(**{"X-User-ID": "ada"}) as client:
        made = await client.post("/api/v1/workflow-definitions", json=document(CALLS))
        assert made.status_code == 201, made.text
        asked = {"definition": "deal-check", "input": {"deals": deals}}
        answer = await client.post(PATH, json=asked)
    assert answer.status_code == 202, answer.text
    return Calls(running, answer.headers["location"])


async def test_the_tag_of_a_workflow_is_good_for_an_order_whatever_its_items_do(
    behind_gateway: Service,
) -> None:
    calls = await begun(behind_gateway, "x", "y", "z")
    before, _ = await calls.tells()
    await calls.called(0)
    after, _ = await calls.tells()
    assert after == before | {"updatedAt": after["updatedAt"]}
    assert after["updatedAt"] > before["updatedAt"]
    await calls.ordered("pause", reason="lunch")
    await calls.ordered("resume")
    await calls.called(1)
    await calls.ordered("cancel", reason="off")


async def test_items_of_a_list_that_is_another_now_say_that_they_are_outdated(
    behind_gateway: Service,
) -> None:
    calls = await begun(behind_gateway, "x", "y", "z")
    await calls.called(0)
    await calls.called(1)
    assert not any("outdated" in step for step in (await calls.steps()).values())
    await calls.ordered("cancel", reason="the wrong deals")
    await calls.ordered("retry", fromStep="calls", input={"deals": ["p", "q"]})
    steps = await calls.steps()
    assert {name: step.get("outdated") for name, step in steps.items()} == {
        "calls": None,
        "calls[0]": None,
        "calls[1]": True,
        "calls[2]": True,
    }
    assert steps["calls[1]"]["result"] == {"n": 1}
    await calls.called(0)
    assert {name for name, step in (await calls.steps()).items() if "outdated" in step} == {"calls[2]"}


async def test_a_person_gives_the_step_the_list_that_it_would_have_come_to(behind_gateway: Service) -> None:
    calls = await begun(behind_gateway, "x", "y")
    step = (await calls.steps())["calls"]
    path = f"{calls.path}/steps/{step['stepId']}/complete"
    async with behind_gateway.client(**{"X-User-ID": "ada"}) as client:
        for refused in ({"v": 1}, [{"v": 1}], "x", None):
            answer = await client.post(path, json={"result": refused})
            assert (answer.status_code, answer.json()["error"]["details"][0]["field"]) == (400, "result")
        large = (await client.post(path, json={"result": [2**60, None]})).json()
        assert "within" in large["error"]["message"]
        answer = await client.post(path, json={"result": [{"v": 1}, None]})
    assert answer.status_code == 200, answer.text
    workflow, _ = await calls.tells()
    assert (workflow["status"], workflow["results"]) == ("completed", {"calls": [{"v": 1}, None]})


async def test_from_the_step_on_all_items_are_done_again_though_the_list_is_the_same(
    behind_gateway: Service,
) -> None:
    calls = await begun(behind_gateway, "x", "y")
    await calls.called(0)
    await calls.called(1)
    await calls.ordered("retry", fromStep="calls", reason="the wrong numbers")
    steps = await calls.steps()
    assert {name: step.get("outdated") for name, step in steps.items()} == {
        "calls": None,
        "calls[0]": None,
        "calls[1]": True,
    }
    assert (steps["calls[0]"]["status"], steps["calls[0]"]["attempt"]) == ("running", 2)
    await calls.called(0)
    await calls.called(1)
    workflow, _ = await calls.tells()
    assert (workflow["status"], workflow["results"]) == ("completed", {"calls": [{"n": 0}, {"n": 1}]})
