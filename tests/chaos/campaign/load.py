"""Clients at steady work: commands and queries of several tenants, over all instances in turn.

Nobody repeats anything by himself, and everybody notes exactly what was sent and what was told. The tenants'
opportunities have the same ids, so that whoever mixes up tenants is caught.
"""

import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any
from uuid import UUID

import anyio
import httpx

from tests.chaos.campaign.checks.case import SYSTEM_TENANT
from tests.chaos.campaign.evidence import Asked, Evidence
from tests.plain_http import NO_TLS

JOBS = ("outcome-sync", "risk-clustering", "account-health", "propagation")
OPPORTUNITIES = 20
PATIENCE_SECONDS = 5.0
NEWEST = 50

WEIGHTS = {
    "ask": 24,
    "decide": 20,
    "both_decide": 6,
    "twice": 3,
    "start": 10,
    "retry": 10,
    "trigger": 6,
    "read": 10,
    "look_through": 6,
    "foreign": 5,
}


class Known:
    """What the clients of a tenant know of."""

    def __init__(self) -> None:
        self.pending: list[str] = []
        self.approvals: list[str] = []
        self.workflows: list[str] = []
        self.failed: list[str] = []


class Load:
    """All clients. ``urls`` are the instances'; ``rate`` is requests a second over all of them."""

    def __init__(
        self, urls: Sequence[str], tenants: Sequence[str], evidence: Evidence, *, seed: str, rate: float
    ) -> None:
        self._urls = urls
        self._tenants = tenants
        self._evidence = evidence
        self._seed = seed
        self._rate = rate
        self._turn = count()
        self._stopping = anyio.Event()
        self.known: dict[str, Known] = defaultdict(Known)

    async def run(self, clients: int = 12) -> None:
        """Work until :meth:`stop`; a request in hand is finished."""
        async with anyio.create_task_group() as tasks:
            for number in range(clients):
                tasks.start_soon(self._work, random.Random(f"{self._seed}/client {number}"), clients)

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping.set()

    async def _work(self, dice: random.Random, clients: int) -> None:
        limits = httpx.Limits(max_connections=8)
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS, limits=limits, verify=NO_TLS) as http:
            client = _Client(http, self, dice)
            while not self._stopping.is_set():
                with anyio.move_on_after(dice.expovariate(self._rate / clients)):
                    await self._stopping.wait()
                    return
                tenant = dice.choice(self._tenants)
                (action,) = dice.choices(list(WEIGHTS), list(WEIGHTS.values()))
                act: Callable[[str], Any] = getattr(client, action)
                await act(tenant)

    async def ask(
        self, http: httpx.AsyncClient, asked: Asked, method: str, headers: dict[str, str] | None = None
    ) -> Asked:
        """One request, and what came of it."""
        asked.instance = next(self._turn) % len(self._urls)
        asked.at = time.time()
        began = time.monotonic()
        try:
            answer = await http.request(
                method,
                f"{self._urls[asked.instance]}/api/v1{asked.path}",
                json=asked.body,
                headers={"X-Tenant-ID": asked.tenant, "X-Correlation-ID": asked.mark, **(headers or {})},
            )
            asked.answer = answer.json()
            asked.status = answer.status_code
        except (httpx.HTTPError, ValueError) as error:
            asked.fault = repr(error)
        asked.seconds = time.monotonic() - began
        self._evidence.note_asked(asked)
        return asked


class _Client:
    """One client; each method is one thing that people do."""

    def __init__(self, http: httpx.AsyncClient, load: Load, dice: random.Random) -> None:
        self._http = http
        self._load = load
        self._dice = dice

    async def ask(self, tenant: str) -> None:
        """Ask for an approval."""
        body = {
            "opportunityId": self._opportunity(),
            "riskScore": round(self._dice.random(), 3),
            "amount": self._dice.randrange(1, 1_000_000),
        }
        asked = await self._post("ask", tenant, "/hitl/approvals", body)
        if asked.told == "yes" and asked.answer:
            known = self._load.known[tenant]
            known.pending.append(asked.answer["id"])
            known.approvals.append(asked.answer["id"])

    async def decide(self, tenant: str) -> None:
        """One person decides."""
        if approval := self._taken(self._load.known[tenant].pending):
            await self._decide(tenant, approval, self._dice.choice(("approve", "reject")), self._person())

    async def both_decide(self, tenant: str) -> None:
        """Several people decide at once, not all the same way."""
        if approval := self._taken(self._load.known[tenant].pending):
            people = [(self._dice.choice(("approve", "reject")), self._person()) for _ in range(3)]
            async with anyio.create_task_group() as tasks:
                for decision, person in people:
                    tasks.start_soon(self._decide, tenant, approval, decision, person)

    async def twice(self, tenant: str) -> None:
        """One person clicks twice."""
        if approval := self._taken(self._load.known[tenant].pending):
            person = self._person()
            async with anyio.create_task_group() as tasks:
                for _ in range(2):
                    tasks.start_soon(self._decide, tenant, approval, "approve", person)

    async def start(self, tenant: str) -> None:
        """Start a workflow."""
        asked = await self._post("start", tenant, "/workflows", {"opportunityId": self._opportunity()})
        if asked.told == "yes" and asked.answer:
            self._load.known[tenant].workflows.append(asked.answer["workflowId"])

    async def retry(self, tenant: str) -> None:
        """Retry a workflow that has failed, as the neighbours were told."""
        if workflow := self._taken(self._load.known[tenant].failed):
            await self._post("retry", tenant, f"/workflows/{workflow}/retry", target=workflow)

    async def trigger(self, tenant: str) -> None:
        """Trigger a job; a tenant that is not the system's is refused."""
        job = self._dice.choice(JOBS)
        kind, caller = ("forbidden", tenant) if self._dice.random() < 0.1 else ("trigger", SYSTEM_TENANT)
        body = {"metadata": {"mark": self._mark(), "tenantIds": [tenant]}}
        await self._post(kind, caller, f"/jobs/{job}/trigger", body, target=job)

    async def read(self, tenant: str) -> None:
        """Look at something that is known to be there."""
        known = self._load.known[tenant]
        choices = [("/hitl/approvals", each) for each in known.approvals[-NEWEST:]]
        choices += [("/workflows", each) for each in known.workflows[-NEWEST:]]
        if choices:
            prefix, ident = self._dice.choice(choices)
            await self._get("read", tenant, f"{prefix}/{ident}", target=ident)

    async def look_through(self, tenant: str) -> None:
        """Look through a list."""
        known = self._load.known[tenant]
        paths = ["/hitl/approvals?limit=50", f"/workflows?opportunityId={self._opportunity()}"]
        paths += [f"/workflows/{each}/executions" for each in known.workflows[-1:]]
        path = self._dice.choice(paths)
        asked = await self._get("list", tenant, path)
        if asked.told == "yes" and asked.answer:
            found = asked.answer.get("approvals", ())
            pending = [each["id"] for each in found if each["status"] == "pending"]
            known.pending += [each for each in pending[:5] if each not in known.pending]

    async def foreign(self, tenant: str) -> None:
        """Look at, or decide on, what is another tenant's: there is no such thing."""
        other = self._dice.choice([each for each in self._load.known if each != tenant] or [tenant])
        theirs = self._load.known[other]
        if other == tenant or not theirs.approvals:
            return
        approval = self._dice.choice(theirs.approvals)
        if self._dice.random() < 0.5:
            await self._get("foreign", tenant, f"/hitl/approvals/{approval}", target=approval)
        else:
            path = f"/hitl/approvals/{approval}/approve"
            await self._post("foreign", tenant, path, {"decidedBy": self._person()}, target=approval)
        if theirs.workflows:
            workflow = self._dice.choice(theirs.workflows)
            await self._get("foreign", tenant, f"/workflows/{workflow}/steps", target=workflow)

    async def _decide(self, tenant: str, approval: str, decision: str, person: str) -> None:
        path = f"/hitl/approvals/{approval}/{decision}"
        await self._post(decision, tenant, path, {"decidedBy": person}, target=approval)

    async def _post(
        self,
        kind: str,
        tenant: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        target: str | None = None,
    ) -> Asked:
        return await self._load.ask(self._http, self._asked(kind, tenant, path, target, body), "POST")

    async def _get(self, kind: str, tenant: str, path: str, *, target: str | None = None) -> Asked:
        return await self._load.ask(self._http, self._asked(kind, tenant, path, target), "GET")

    def _asked(
        self, kind: str, tenant: str, path: str, target: str | None, body: dict[str, Any] | None = None
    ) -> Asked:
        return Asked(
            mark=self._mark(), kind=kind, tenant=tenant, path=path, instance=0, at=0, target=target, body=body
        )

    def _mark(self) -> str:
        return str(UUID(int=self._dice.getrandbits(128), version=4))

    def _person(self) -> str:
        return self._mark()

    def _opportunity(self) -> str:
        return f"opp-{self._dice.randrange(OPPORTUNITIES)}"

    def _taken(self, ids: list[str]) -> str | None:
        return ids.pop(self._dice.randrange(len(ids))) if ids else None
