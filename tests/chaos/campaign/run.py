"""One campaign from its first request to its verdict."""

import time
from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec

from interfaces.messaging.consumer import LONGEST_WAIT_SECONDS
from tests.chaos.campaign.checks import Case, Finding, check, check_documents, check_log_and_wire
from tests.chaos.campaign.evidence import Evidence
from tests.chaos.campaign.faults import Faults, plan_kills, plan_others, possible_in
from tests.chaos.campaign.figures import Figures, figures
from tests.chaos.campaign.load import Load
from tests.chaos.campaign.neighbourhood import Neighbourhood
from tests.chaos.campaign.world import Form, Servers, World, world

READY_SECONDS = 60.0
END_BY_SIGTERM_SECONDS = 25


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How hard, and how long. ``others`` are the faults beside kills; None takes all that are possible.

    ``rate`` is requests a second. ``minutely`` are jobs that cron fires each minute; it needs a true clock.
    ``settle_seconds`` bounds the wait for quiet once everything is healed.
    """

    seed: str
    kills: int
    seconds: float
    rate: float = 30.0
    message_rate: float = 3.0
    others: Sequence[str] | None = None
    often: bool = False
    megabytes: int = 64
    settle_seconds: float = 60.0
    minutely: Sequence[str] = ()


class Report(msgspec.Struct, kw_only=True):
    """The verdict. ``folder`` holds the evidence."""

    figures: Figures
    findings: list[Finding]
    folder: str

    def text(self) -> str:
        """The figures, and what is wrong."""
        lines = [f"chaos, {self.figures.form}:", *self.figures.lines()]
        lines += [f"  {finding}"[:2000] for finding in self.findings[:40]]
        if self.findings:
            lines.append(f"  {len(self.findings)} findings; the evidence is in {self.folder}")
        return "\n".join(lines)


async def campaign(form: Form, ground: Servers, folder: Path, plan: Plan) -> Report:
    """Load and faults side by side, then healing, quiet, and the checker."""
    folder.mkdir(parents=True, exist_ok=True)
    evidence = Evidence(folder)
    began = time.monotonic()
    try:
        async with world(
            form,
            ground,
            folder,
            evidence,
            megabytes=plan.megabytes,
            minutely=plan.minutely,
            with_clock=plan.others is None or "clock set" in plan.others,
        ) as place:
            return await _in_world(place, evidence, folder, plan, began)
    finally:
        evidence.close()


async def _in_world(place: World, evidence: Evidence, folder: Path, plan: Plan, began: float) -> Report:
    load = Load(place.urls, place.tenants, evidence, seed=plan.seed, rate=plan.rate)
    neighbours = Neighbourhood(
        place.servers.broker.url,
        place.names,
        place.tenants,
        evidence,
        seed=plan.seed,
        rate=plan.message_rate,
        on_failed=lambda tenant, workflow: load.known[tenant].failed.append(workflow),
    )
    faults = Faults(place, evidence)
    others = possible_in(place) if plan.others is None else plan.others
    others = [name for name in others if name in possible_in(place) or name == "broker frozen for long"]
    await _until_all_ready(place)
    ready_at = time.time()
    async with neighbours.at_work():
        async with anyio.create_task_group() as work:
            work.start_soon(load.run)
            await anyio.sleep(1)
            async with anyio.create_task_group() as doing:
                doing.start_soon(faults.run, plan_kills(plan.seed, plan.kills, plan.seconds))
                doing.start_soon(faults.run, plan_others(plan.seed, others, plan.seconds, often=plan.often))
                doing.start_soon(anyio.sleep, plan.seconds)
            load.stop()
        healed = time.monotonic()
        neighbours.answer_everything()
        await _until_quiet(place, evidence, neighbours, plan.settle_seconds)
        settled, ended_at = time.monotonic(), time.time()
        codes = [await instance.end(END_BY_SIGTERM_SECONDS) for instance in place.instances]
    case = await _case(place, evidence)
    case.minutely, case.began, case.ended = plan.minutely, ready_at, ended_at
    case.documents = await place.documents()
    await place.rebuild()
    case.rebuilt = await place.documents()
    case.own_queue = await place.left_in(place.names.queue)
    case.dead_letters = await place.left_in(place.names.dead_letter_queue)
    case.job_queue = await place.left_in(place.names.job_queue)
    findings = check(case)
    findings += [
        Finding(kind="odd", about=str(number), what=f"ended with {code} after SIGTERM")
        for number, code in enumerate(codes)
        if code != 0
    ]
    if any(fault.name == "clock set" for fault in evidence.faults) and not faults.clock_was_set:
        findings.append(Finding(kind="odd", about="clock", what="the clock was never seen to be wrong"))
    report = Report(
        figures=figures(
            case,
            evidence,
            findings,
            form=place.form.name,
            seed=plan.seed,
            seconds=time.monotonic() - began,
            seconds_to_settle=settled - healed,
            kills=sum(instance.kills for instance in place.instances),
            ended_by_themselves=sum(instance.ended_by_itself for instance in place.instances),
        ),
        findings=findings,
        folder=str(folder),
    )
    if findings:
        evidence.write("findings.json", [msgspec.structs.asdict(finding) for finding in findings])
        evidence.write("events.json", case.events)
        evidence.write("documents.json", case.documents)
        evidence.write("rebuilt.json", case.rebuilt)
    return report


async def _until_all_ready(place: World) -> None:
    with anyio.fail_after(READY_SECONDS):
        while not await place.all_ready():
            await anyio.sleep(0.2)


async def _until_quiet(place: World, evidence: Evidence, neighbours: Neighbourhood, seconds: float) -> None:
    """Wait until there is nothing left to find, or until it is too late for that.

    A message that has no effect any more may still wait in the service's hands for a store that was away.
    """
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        await anyio.sleep(0.5)
        left = await _left_to_do(place, evidence, neighbours)
        if left is None and time.monotonic() < began + LONGEST_WAIT_SECONDS + 1:
            left = "messages may be waiting for their next try"
        if left is None:
            return
        evidence.note_waiting(left)


async def _left_to_do(place: World, evidence: Evidence, neighbours: Neighbourhood) -> str | None:
    """What is still not as it must be in the end; the documents are asked last, since that takes its time."""
    if not neighbours.is_idle:
        return "neighbours still speak"
    if not await place.all_ready():
        return "an instance is not ready"
    case = await _case(place, evidence)
    findings = check_log_and_wire(case)
    if not findings:
        case.documents = await place.documents()
        findings = check_documents(case)
    return f"{len(findings)} findings, such as {findings[0]}" if findings else None


async def _case(place: World, evidence: Evidence) -> Case:
    return Case(
        tenants=place.tenants,
        asked=list(evidence.asked),
        sent=list(evidence.sent),
        seen=list(evidence.seen),
        events=await place.events(),
        documents=[],
    )
