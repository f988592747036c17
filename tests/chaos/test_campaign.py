"""The chaos test in its short form, on each combination of stores; ``make chaos`` is the long one."""

import gc
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.campaign.run import Plan, campaign
from tests.chaos.campaign.world import FORMS, Servers, servers

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.rabbitmq,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("default"),  # connections that a frozen broker leaves behind
]

FAULTS = {
    "sqlite": ("disk full", "clock set"),
    "sqlite-cosmos": ("cosmos frozen", "cosmos cut", "broker frozen"),
    "postgres": ("postgres stopped", "postgres connections ended", "instance restarted"),
    "postgres-cosmos-2": ("instance frozen", "broker restarted"),
    "cosmos-2": ("cosmos cut", "instance frozen"),
}


@pytest.fixture(scope="module")
def ground() -> Iterator[Servers]:
    with servers() as ground:
        yield ground


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    """aiormq says much about a broker that is away, and all of it is meant to happen here.

    The connections that it gives up unclosed are collected here too: in a later test they would be an error.
    """
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


@pytest.mark.postgres
@pytest.mark.cosmos
@pytest.mark.parametrize("form", FAULTS)
async def test_nothing_is_lost_doubled_stuck_or_crossed_under_load_kills_and_faults(
    form: str, ground: Servers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan(
        seed="short",
        kills=2,
        seconds=8,
        rate=12,
        message_rate=1,
        others=FAULTS[form],
        settle_seconds=120,
    )
    report = await campaign(FORMS[form], ground, tmp_path / form, plan)
    with capsys.disabled():
        print(f"\n{report.text()}")
    assert report.findings == []
    assert report.figures.kills >= plan.kills
    assert report.figures.acknowledged > 0
