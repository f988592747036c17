"""Somebody who asks for approvals over REST, and goes on once they can be seen."""

from collections.abc import Iterable

from tests.browser.visitor import client
from tests.harness import TENANT, ServiceProcess


def post(
    service: ServiceProcess, path: str, body: dict[str, object], person: str = "rita", tenant: str = TENANT
) -> str:
    """A command about approvals, and what came of it can be read; the approval's id."""
    with client(service, person, tenant) as asking:
        answer = asking.post(f"/hitl/approvals{path}", json=body)
        assert answer.is_success, answer.text
        id = str(answer.json()["id"])
        there = {"X-Min-Position": answer.headers["x-position"], "Prefer": "wait=10"}
        assert asking.get(f"/hitl/approvals/{id}", headers=there).is_success
        return id


def asked(service: ServiceProcess, subject: str, note: str = "paid in advance", **more: object) -> str:
    """The id of an approval that Rita asks for."""
    facts = {"opportunityId": "opp-417", "riskScore": 0.87, "amount": 250000, "subject": subject}
    return post(service, "", {**facts, "payload": {"discount": 0.2, "note": note}, **more})


def commented(service: ServiceProcess, id: str, texts: Iterable[str]) -> None:
    """Rita says all that, one after the other, and the trail and the documents have it."""
    with client(service, "rita") as asking:
        for text in texts:
            answer = asking.post(f"/hitl/approvals/{id}/comments", json={"text": text})
            assert answer.is_success, answer.text
        there = {"X-Min-Position": answer.headers["x-position"], "Prefer": "wait=10"}
        assert asking.get("/audit/head", headers=there).is_success
        assert asking.get(f"/hitl/approvals/{id}", headers=there).is_success
