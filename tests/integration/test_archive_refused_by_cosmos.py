"""Archives of a log in Cosmos DB that refuses batches, or does them unheard: nothing is lost or doubled."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Mapping
from pathlib import Path

import pytest
from anyio.to_thread import run_sync

from application.archived_state import is_archived
from config.commands.archives import restore
from config.settings import Settings
from config.start import CannotStart
from tests.archives import signing_settings
from tests.audit_trail import kinds, verified_store, verify_file
from tests.cosmos import Account
from tests.cosmos_gate import Gate, Refusal, gate_before
from tests.infrastructure.cosmos_places import Place, place_with_leases
from tests.integration.test_archive_in_cosmos import (
    append,
    archived,
    environ_of,
    lost,
    opened,
    refuses,
    stored,
)

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos, pytest.mark.timeout(300)]

SOON = {"x-ms-retry-after-ms": "10"}

REFUSALS = {
    "429": Refusal(429, SOON),
    "429 of an operation": Refusal(429, SOON, is_of_an_operation=True),
    "503": Refusal(503, SOON),
    "408": Refusal(408, SOON),
    "503 and done": Refusal(503, SOON, is_done=True),
    "408 and done": Refusal(408, SOON, is_done=True),
}

LONG = 250


class Faulty:
    """A log behind a gate that refuses batches alone: each of some archives and restores takes several."""

    def __init__(self, gate: Gate, settings: Settings, direct: Settings) -> None:
        self.gate = gate
        self.settings = settings
        self.direct = direct
        self.batches = 0
        self.refused = 0

    def refuse_each_once(self, refusal: Refusal) -> None:
        """Each batch is refused, and let through when it is sent again."""
        self.batches = self.refused = 0

        def refuses(headers: Mapping[str, str]) -> Refusal | None:
            if not is_batch(headers):
                return None
            self.batches += 1
            if self.batches % 2 == 0:
                return None
            self.refused += 1
            return refusal

        self.gate.refuses = refuses

    def refuse_after(self, passing: int, refusal: Refusal) -> None:
        """So many batches pass, and none after these; if ``is_done``, the first of these has its effect."""
        self.batches = self.refused = 0
        never = Refusal(refusal.status, SOON)

        def refuses(headers: Mapping[str, str]) -> Refusal | None:
            if not is_batch(headers):
                return None
            self.batches += 1
            if self.batches <= passing:
                return None
            self.refused += 1
            return refusal if self.refused == 1 else never

        self.gate.refuses = refuses


def is_batch(headers: Mapping[str, str]) -> bool:
    return headers.get("x-ms-cosmos-is-batch-request", "").lower() == "true"


@pytest.fixture
async def place(plain_cosmos: Account) -> AsyncIterator[Place]:
    async with place_with_leases(plain_cosmos) as place:
        yield place


@pytest.fixture
async def faulty(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Faulty]:
    monkeypatch.setattr("infrastructure.cosmos.patience._PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr("infrastructure.cosmos.database._PATIENCE_SECONDS", 0.5)
    async with gate_before(place.account) as (gate, account):
        direct = signing_settings(tmp_path, **environ_of(place))
        behind = signing_settings(tmp_path, **environ_of(Place(account, place.name)))
        yield Faulty(gate, behind, direct)


async def is_given_up(work: Awaitable[None], words: str) -> bool:
    """Whether a command could not come to its end, and said so."""
    try:
        await work
    except CannotStart as error:
        said = str(error)
    else:
        return False
    assert words in said
    return True


@pytest.mark.parametrize("kind", REFUSALS)
async def test_each_batch_is_refused_once_and_the_archive_is_complete_and_comes_back(
    faulty: Faulty, place: Place, tmp_path: Path, kind: str
) -> None:
    log, out = await run_sync(opened, place), tmp_path / "archives"
    long = await run_sync(append, log, 1, LONG)
    short = await run_sync(append, log, 2)
    before = await stored(faulty.direct)

    faulty.refuse_each_once(REFUSALS[kind])
    await archived(faulty.settings, out)
    assert faulty.refused >= 3
    (file,) = out.iterdir()
    after = await stored(faulty.direct)
    assert all(is_archived(each.state) for each in after)
    assert lost(before, after, out) == []
    for stream, last in ((long, LONG + 2), (short, 2)):
        assert await run_sync(refuses, log, stream, last)
    assert verify_file(file, [tmp_path / "key.pub"])["sound"]
    assert kinds(await verified_store(faulty.direct, tmp_path / "key.pub")) == []

    faulty.refuse_each_once(REFUSALS[kind])
    await restore(faulty.settings, [file], [tmp_path / "key.pub"])
    assert faulty.refused >= 3
    assert await stored(faulty.direct) == before
    log.close()


@pytest.mark.parametrize("kind", sorted(REFUSALS.keys() - {"429", "408"}))
async def test_one_that_is_given_up_at_any_batch_is_finished_by_the_next(
    faulty: Faulty, place: Place, tmp_path: Path, kind: str
) -> None:
    """At any batch of all; with those refusals that are unlike the others, since each takes ten seconds."""
    log, out = await run_sync(opened, place), tmp_path / "archives"
    streams = {await run_sync(append, log, 1, LONG): LONG + 2, await run_sync(append, log, 2): 2}
    before = await stored(faulty.direct)
    seen = Counter[str]()

    async def holds() -> None:
        """Nothing is lost, and nothing can be appended to what may be archived only in part."""
        now = await stored(faulty.direct)
        seen[f"{sum(is_archived(each.state) for each in now)} archived"] += 1
        assert lost(before, now, out) == []
        begun = {each.stream for each in now if is_archived(each.state)}
        for stream in begun:
            assert await run_sync(refuses, log, stream, streams[stream])
        assert kinds(await verified_store(faulty.direct, tmp_path / "key.pub")) == []

    runs = 0
    faulty.refuse_after(runs, REFUSALS[kind])
    while await is_given_up(archived(faulty.settings, out), "archive again"):
        await holds()
        runs += 1
        faulty.refuse_after(min(runs, 1), REFUSALS[kind])
    assert runs >= 2
    (file,) = out.iterdir()
    assert all(is_archived(each.state) for each in await stored(faulty.direct))
    await holds()

    runs = 0
    faulty.refuse_after(runs, REFUSALS[kind])
    while await is_given_up(restore(faulty.settings, [file], ()), "what was restored stays"):
        await holds()
        runs += 1
        faulty.refuse_after(min(runs, 1), REFUSALS[kind])
    assert runs >= 2
    assert await stored(faulty.direct) == before
    assert len(seen) > 3, seen
    log.close()
