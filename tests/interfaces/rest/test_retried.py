"""What a retry of a workflow is answered with: what it does, whatever the workflow had come to."""

from typing import Any

import pytest

from tests.definitions import document
from tests.harness import Service

pytestmark = pytest.mark.anyio

PATH = "/api/v1/workflows"


def task(step_type: str, *after: str, **members: Any) -> dict[str, Any]:
    """A step that a worker does."""
    work = {"kind": "task", "parameters": {"queue": step_type}}
    return {"stepType": step_type, "after": list(after), **work, **members}


class Work:
    """One workflow of some steps."""

    def __init__(self, running: Service) -> None:
        self._running = running
        self._path = ""

    async def starts(self, *steps: dict[str, Any]) -> None:
        """Publish its definition, and start it."""
        await self._ask("/api/v1/workflow-definitions", document(*steps))
        made = await self._ask(PATH, {"definition": "deal-check"})
        self._path = f"{PATH}/{made['workflowId']}"

    async def does(self, *step_types: str, error: str | None = None) -> None:
        """A worker does these tasks one after the other, or fails at them for good."""
        for queue in step_types:
            await self._running.caught_up()
            asking = {"queue": queue, "workerId": "w1", "waitSeconds": 10}
            claimed = await self._ask("/api/v1/tasks/claim", asking)
            (given,) = claimed["tasks"]
            how = "complete" if error is None else "fail"
            failure = {} if error is None else {"error": error, "retryable": False}
            await self._ask(
                f"/api/v1/tasks/{given['id']}/{how}", {"leaseToken": given["leaseToken"], **failure}
            )
        await self._running.caught_up()

    async def ordered(self, what: str, **body: Any) -> dict[str, Any]:
        """The answer to an order."""
        return await self._ask(f"{self._path}/{what}", body)

    async def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with self._running.client(**{"X-User-ID": "ada"}) as client:
            answer = await client.post(path, json=body)
        assert answer.is_success, answer.text
        told: dict[str, Any] = answer.json()
        return told


async def test_a_retry_tells_which_steps_are_done_again(behind_gateway: Service) -> None:
    work = Work(behind_gateway)
    await work.starts(task("first"), task("second", "first", critical=True), task("third", "second"))
    await work.does("first")
    await work.does("second", error="no paper")
    kept = "; the results of other steps are kept"
    assert (await work.ordered("retry"))["message"] == f"running again: second{kept}"
    await work.ordered("cancel", reason="not now")
    assert (await work.ordered("retry"))["message"] == f"running again: second{kept}"
    await work.does("second", "third")
    again = await work.ordered("retry", fromStep="second")
    assert again["message"] == f"running again: second, third{kept}"


async def test_of_many_steps_that_are_done_again_the_first_are_named(behind_gateway: Service) -> None:
    work = Work(behind_gateway)
    await work.starts(*(task(f"step_{number}") for number in range(12)))
    await work.ordered("cancel", reason="not now")
    assert (await work.ordered("retry"))["message"].startswith("running again: step_0, step_1, ")
    await work.ordered("cancel", reason="not now")
    assert ", step_9 and 2 more; the results" in (await work.ordered("retry"))["message"]


async def test_a_retry_of_a_compensation_says_that_it_is_one(behind_gateway: Service) -> None:
    work = Work(behind_gateway)
    undo = {"kind": "task", "parameters": {"queue": "undo"}}
    await work.starts(task("first", compensation=undo), task("second", "first"))
    await work.does("first")
    await work.ordered("cancel", reason="not now")
    await work.does("undo", error="no way back")
    told = await work.ordered("retry")
    assert (told["status"], told["message"]) == (
        "compensating",
        "the failed compensation is tried again",
    )
