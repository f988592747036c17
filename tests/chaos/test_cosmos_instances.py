"""Instances that have their log in Cosmos DB, and no store but that, do each thing once, whoever dies."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from config.cosmos_beside import SHARES
from config.roles import POLICIES, PROJECTOR, PUBLISHER, TIMERS
from domain.share import shares
from tests.chaos import instances
from tests.chaos import test_instances as cases
from tests.chaos.campaign.instances import FAKETIME, Clock
from tests.chaos.conftest import Launch, LaunchOn
from tests.chaos.decisions import Answered, all_published, decide_a_bit_of_everything, in_thread, until_ready
from tests.cosmos import Account, dropped_afterwards, fresh_database
from tests.harness import TENANT, ServiceProcess, eventually, run_command
from tests.neighbours import Neighbour
from tests.services import missing

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq, pytest.mark.cosmos, pytest.mark.timeout(300)]

KEY = "YS1tYXN0ZXIta2V5LW9mLXRoaXJ0eS10d28tYnl0ZXM="


ROLES = (PROJECTOR, PUBLISHER, POLICIES, TIMERS)
SHARES_OF = {role: {share.lease(role) for share in shares(SHARES)} for role in ROLES}


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done for tenants is done in shares; nobody makes an index of the log: it is one itself."""
    for module in (cases, instances):
        monkeypatch.setattr(module, "PARTS", {"scheduler", "erasures"}.union(*SHARES_OF.values()))


async def until_divided(services: Sequence[ServiceProcess]) -> None:
    """Wait until each part is done by one of them, and the shares of each role are divided evenly."""

    async def are_even() -> bool:
        held = [await instances.parts_of(service) for service in services]
        counts = [[len(each & names) for each in held] for names in SHARES_OF.values()]
        return sum(map(len, held)) == len(set().union(*held)) == len(instances.PARTS) and all(
            max(count) - min(count) <= 1 for count in counts
        )

    await eventually(are_even, seconds=30, every=0.2)


@pytest.fixture
async def launch(
    processes: Launch, tmp_path: Path, rabbitmq_url: str, cosmos: Account
) -> AsyncIterator[LaunchOn]:
    """Makes instances on the same account and broker, each with a folder of its own; of a tenant's log some
    ten events are in one partition."""
    database, made = fresh_database(), 0

    def make(**environ: str) -> ServiceProcess:
        nonlocal made
        made += 1
        shared = {"RABBITMQ_URL": rabbitmq_url, "EVENT_STORE_URL": "cosmos://", "PRIVACY_MASTER_KEY": KEY}
        own = {"DATA_DIR": str(tmp_path / f"data-{made}"), "COSMOS_DB_LOG_SEGMENT_BYTES": "10000"}
        return processes(**{**shared, **cosmos.environ(database), **own, **environ})

    async with dropped_afterwards(cosmos, database):
        yield make


async def test_three_instances_serve_side_by_side_and_say_everything_once(
    launch: LaunchOn, crm: Neighbour
) -> None:
    await cases.side_by_side(launch, crm, until_divided)


async def test_what_a_killed_instance_did_another_does_and_nothing_is_lost(
    launch: LaunchOn, crm: Neighbour
) -> None:
    await until_divided(await cases.killed_and_back(launch, crm, until_divided))


async def test_fifty_decisions_over_three_instances_have_one_outcome(
    launch: LaunchOn, crm: Neighbour
) -> None:
    await cases.test_fifty_decisions_over_three_instances_have_one_outcome(launch, crm)


async def test_the_commands_beside_a_service_find_the_log_there(
    launch: LaunchOn, crm: Neighbour, tmp_path: Path
) -> None:
    service = launch()
    await in_thread(service.start)
    answered = Answered()
    await decide_a_bit_of_everything(service, answered, count=3)
    await all_published(crm, answered)
    await until_ready(service)

    async def told(*arguments: str) -> str:
        environ: dict[str, Any] = service.environ
        ran = await in_thread(lambda: run_command(*arguments, **environ))
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return str(ran.stdout)

    assert "no difference from the log" in await told("rebuild", "--verify")
    assert "rebuilt from" in await told("rebuild")
    assert "SOUND" in await told("audit", "verify")
    assert "workflow_steps" in await told("projections")
    assert "nothing to migrate" in await told("migrate")
    out = tmp_path / "export.ndjson"
    await told("audit", "export", "--tenant", TENANT, "--out", str(out))
    assert out.stat().st_size > 1_000
    await told("erase", "--tenant", TENANT, "--subject", "nobody", "--reason", "tried")
    await in_thread(service.kill)
    await in_thread(service.start)
    await cases.seen_everywhere([service], answered)
    assert "no difference from the log" in await told("rebuild", "--verify")


async def test_whose_clock_differs_from_the_accounts_has_no_share_in_what_goes_by_it(
    launch: LaunchOn, tmp_path: Path
) -> None:
    if not FAKETIME.exists():
        missing("libfaketime")
    clock, by_the_clock = Clock(tmp_path / "clock"), {"scheduler", *SHARES_OF[TIMERS], *SHARES_OF[PUBLISHER]}
    clock.set("-3h")
    wrong, right = launch(**clock.environ()), launch()
    await in_thread(wrong.start)

    async def holds_the_rest() -> bool:
        return await instances.parts_of(wrong) == instances.PARTS - by_the_clock

    await eventually(holds_the_rest, seconds=30)
    await in_thread(right.start)

    async def is_divided() -> bool:
        held, others = await instances.parts_of(right), await instances.parts_of(wrong)
        return by_the_clock <= held and others | held == instances.PARTS and bool(others - held)

    await eventually(is_divided, seconds=30)
    clock.set("+0")
    await until_divided([wrong, right])
    assert "clock_agrees" in wrong.log
