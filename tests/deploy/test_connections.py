"""How many connections to PostgreSQL an instance has: the code decides, and all who tell it are right."""

from pathlib import Path

import pytest

from application.event_store import OTHER_THREADS
from config import postgres_stores
from config.commands.folding_processes import MOST
from infrastructure.postgres import database, personal_keys
from tests.deploy.files import KUBERNETES, ROOT, config_map
from tests.deploy.test_kubernetes import DEPLOYMENTS, named

LISTENS = 1
BESIDE = database._POOL_SIZE + postgres_stores._AUDIT_CONNECTIONS + personal_keys._SIZE + LISTENS
"""What there is beside the pool of the log."""

OF_ONE = int(config_map()["EVENT_STORE_POOL_SIZE"]) + BESIDE
OF_A_REBUILD = (1 + MOST) * (OTHER_THREADS + 1 + personal_keys._SIZE)
THERE_ARE = 100 - 3
"""Of PostgreSQL as it comes, without those for its superuser."""

PLACES = [
    ROOT / "docs" / "configuration.md",
    ROOT / "deploy" / "README.md",
    ROOT / "docs" / "runbooks" / "store-outage.md",
    KUBERNETES / "base" / "kustomization.yaml",
    KUBERNETES / "optional" / "hpa.yaml",
]


def pods(replicas: dict[str, int], *, in_a_rollout: bool) -> int:
    """How many there are at most."""
    surge = {
        name: named("Deployment", name)["spec"]["strategy"]["rollingUpdate"]["maxSurge"] for name in replicas
    }
    return sum(count + in_a_rollout * surge[name] for name, count in replicas.items())


TWO_EACH = dict.fromkeys(DEPLOYMENTS, 2)


@pytest.mark.parametrize("path", PLACES, ids=[str(path.relative_to(ROOT)) for path in PLACES])
def test_each_place_says_the_same(path: Path) -> None:
    text = " ".join(line.strip("# ") for line in path.read_text().splitlines())
    assert f"up to {BESIDE} more" in text


def test_all_pods_of_a_rollout_and_the_migration_stay_below_what_there_are() -> None:
    taken = pods(TWO_EACH, in_a_rollout=True) * OF_ONE
    assert taken + 1 <= THERE_ARE
    assert f"so up to {taken} with every pod of a rollout" in (ROOT / "deploy" / "README.md").read_text()


def test_a_rebuild_finds_as_many_as_it_takes_but_not_during_a_rollout() -> None:
    assert pods(TWO_EACH, in_a_rollout=False) * OF_ONE + OF_A_REBUILD <= THERE_ARE
    assert pods(TWO_EACH, in_a_rollout=True) * OF_ONE + OF_A_REBUILD > THERE_ARE
    assert f"up to four: {OF_A_REBUILD}, which" in (ROOT / "deploy" / "README.md").read_text()


def test_with_the_most_replicas_of_the_api_there_have_to_be_more() -> None:
    most = named("HorizontalPodAutoscaler", DEPLOYMENTS[0])["spec"]["maxReplicas"]
    there = pods({**TWO_EACH, DEPLOYMENTS[0]: most}, in_a_rollout=True)
    assert there * OF_ONE > THERE_ARE
    said = f"a rollout has {there} pods and up to {there * OF_ONE} connections. PostgreSQL allows {THERE_ARE}"
    lines = (KUBERNETES / "optional" / "hpa.yaml").read_text().splitlines()
    assert said in " ".join(line.strip("# ") for line in lines)
