"""Workflows for the tests with a browser: started, brought on, and ordered about."""

import time
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.visitor import client
from tests.harness import PATIENCE_SECONDS, TENANT, ServiceProcess

CONSOLE = "/console/workflows"


def started(page: Page, service: ServiceProcess, deal: str) -> str:
    """A workflow, started by the form; its id. No neighbour answers, so it goes on when a test says so."""
    page.goto(f"{service.url}{CONSOLE}/start?definition=opportunity-analysis")
    page.get_by_role("textbox", name="Deal").fill(deal)
    page.get_by_role("button", name="Start").click()
    page.get_by_role("heading", name="opportunity-analysis running").wait_for()
    page.wait_for_load_state()  # with the script that follows it
    return page.url.rpartition("/")[2]


def asked(service: ServiceProcess, method: str, path: str, body: Any = None, tenant: str = TENANT) -> Any:
    """What the API answers, once its documents show it."""
    with client(service, "rita", tenant) as asking:
        answer = asking.request(method, path, json=body)
        assert answer.is_success, answer.text
        if position := answer.headers.get("x-position"):
            there = {"X-Min-Position": position, "Prefer": "wait=10"}
            assert asking.get("/workflows", headers=there).is_success
            assert asking.get("/audit/head", headers=there).is_success
        return answer.json()


def begun(service: ServiceProcess, definition: dict[str, Any], **how: Any) -> str:
    """A workflow of a definition of its own; its id."""
    asked(service, "PUT", f"/workflow-definitions/{definition['name']}", definition)
    return str(asked(service, "POST", "/workflows", {"definition": definition["name"], **how})["workflowId"])


def step_id(service: ServiceProcess, id: str, step_type: str) -> str:
    """The id of one of its steps."""
    steps = asked(service, "GET", f"/workflows/{id}")["steps"]
    return str(next(each["stepId"] for each in steps if each["stepType"] == step_type))


def complete(service: ServiceProcess, id: str, step_type: str) -> None:
    """As its service would have answered."""
    step = step_id(service, id, step_type)
    asked(service, "POST", f"/workflows/{id}/steps/{step}/complete", {"result": {"score": 0.4}})


def fail(service: ServiceProcess, queue: str) -> None:
    """As the worker of a queue would have told, which is at no other task."""
    (task,) = asked(service, "POST", "/tasks/claim", {"queue": queue, "workerId": "w", "waitSeconds": 10})[
        "tasks"
    ]
    told = {"leaseToken": task["leaseToken"], "error": "no data", "retryable": False}
    asked(service, "POST", f"/tasks/{task['id']}/fail", told)


def caught_up(service: ServiceProcess) -> None:
    """Wait until every follower has handled all that there is: what one has not, no archive takes."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with client(service, "rita") as asking:
        while True:
            followers = asking.get(f"{service.url}/ready").json()["checks"]["followers"]
            if not any(each["lagSeconds"] for each in followers):
                return
            assert time.monotonic() < deadline, followers
            time.sleep(0.05)


def order(page: Page, name: str, reason: str = "") -> None:
    """Give an order by the form of a workflow's page."""
    if reason:
        page.locator("#orders").get_by_label("Reason").fill(reason)
    page.get_by_role("button", name=name, exact=True).click()


def state(page: Page, text: str) -> None:
    """Wait until the page shows it."""
    expect(page.locator("h1 .badge")).to_have_text(text)
