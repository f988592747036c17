"""Erasures against archives and their way back, killed at random: nothing erased is readable, none is lost.

``CHAOS_ERASE_SECONDS`` says how long, ``CHAOS_SEED`` how the dice fall.
"""

import gzip
import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest

from application.archived_state import archived_leaf
from application.audit.chain import leaf_of_entry
from application.log_copy import Entry
from application.privacy.ports import PersonalKeys
from config.privacy import open_personal
from domain.approval import ApprovalRejected, ApprovalRequested, approval_stream
from domain.event import Event, Recorded
from infrastructure.signatures import signer_from
from tests.application.logs import UNVERIFIED
from tests.archives import signing_settings
from tests.audit_trail import AuditedLog, approval_id, audited_log, verified_store, verify_file
from tests.builders import NOW, TENANT, metadata
from tests.cosmos import administrator
from tests.forked import ForkedProcess, fork_server
from tests.harness import clean_environment, run_command
from tests.infrastructure.cosmos_places import Place, place_in
from tests.integration.test_archive_in_cosmos import environ_of

SECONDS = float(os.environ.get("CHAOS_ERASE_SECONDS", "6"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or time.time_ns()

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(SECONDS + 120)]

PEOPLE, APPROVALS = 40, 80
KEPT = {"person-0", "person-1"}
"""Nobody asks for them to be erased."""

LIVES = {"erase": 1.2, "archive": 0.3, "restore": 0.25}
"""How long each lives at most, if it is killed, in seconds: an erasure waits for 0.6."""

LIVES_BESIDE_COSMOS = {"erase": 4.0, "archive": 2.0, "restore": 1.5}
"""A second goes by until it is connected."""

CONFIG = "privacy: {fresh_seconds: 0.1}\n"


def person(number: int) -> str:
    return f"person-{number % PEOPLE}"


def words_of(who: str) -> bytes:
    """What stands in each of their comments."""
    return f"said-by-{who}-alone".encode()


def append(log: AuditedLog, number: int) -> None:
    """An approval that somebody has rejected with a comment."""
    id, who = approval_id(number), person(number)
    events: list[Event] = [
        ApprovalRequested(approval_id=id, opportunity_id="opp-1", risk_score=0.5, amount=3, requested_at=NOW),
        ApprovalRejected(
            approval_id=id,
            opportunity_id="opp-1",
            decided_by=who,
            decided_at=NOW,
            comment=words_of(who).decode(),
        ),
    ]
    stream = approval_stream(TENANT, id)
    log.log.recorder.insert_events(
        [
            log.log.stored(
                Recorded(
                    stream=stream,
                    version=version,
                    timestamp=NOW,
                    meta=metadata(tenant=TENANT, actor=who),
                    event=event,
                )
            )
            for version, event in enumerate(events, start=1)
        ]
    )


class Case:
    """A store with documents, its archives, and what was there in the beginning."""

    def __init__(
        self,
        folder: Path,
        log: AuditedLog,
        keys: PersonalKeys,
        environ: dict[str, str],
        before: Sequence[Entry],
        place: Place | None,
    ) -> None:
        self.folder = folder
        self.log = log
        self.keys = keys
        self.environ = environ
        self.config = ("--config", str(folder / "settings.yaml"))
        self.before = before
        self.place = place
        self.lives = LIVES_BESIDE_COSMOS if place else LIVES
        self.archives = folder / "archives"
        self.dice = Random(SEED)
        self.left = [who for who in map(person, range(PEOPLE)) if who not in KEPT]
        self.asked: list[str] = []
        self.killed = Counter[str]()
        self.done = Counter[str]()

    def begin(self, *argv: str) -> ForkedProcess:
        with (self.folder / "said").open("ab") as said:
            environ = clean_environment() | self.environ
            return fork_server().begin(
                "config.main", *argv, *self.config, environ=environ, output=said, errors=said
            )

    def order(self, kind: str) -> ForkedProcess | None:
        if kind == "erase":
            if self.left and (not self.asked or self.dice.random() < 0.6):
                self.asked.append(self.left.pop())
            who = self.dice.choice(self.asked)
            return self.begin("erase", "--tenant", TENANT, "--subject", who)
        if kind == "archive":
            return self.begin("archive", "--out", str(self.archives), "--older-than", "0s")
        files = sorted(map(str, self.archives.glob("*.gz")))
        return self.begin("archive-restore", *files) if files else None

    def round(self) -> None:
        """Some at once, each killed at some moment, unless it has ended by then."""
        kinds = ["erase", self.dice.choice(["archive", "archive", "restore"])][: self.dice.choice([1, 2, 2])]
        begun = [(kind, command) for kind in kinds if (command := self.order(kind)) is not None]
        for kind, command in self.dice.sample(begun, len(begun)):
            if command.ended_within(self.dice.uniform(0, self.lives[kind])) is None:
                command.kill()
            if command.returncode == -signal.SIGKILL:
                self.killed[kind] += 1
            else:
                self.done[kind] += 1

    def completed(self, *argv: str) -> str:
        done = run_command(*argv, *self.config, timeout=60, **self.environ)
        assert done.returncode == 0, (SEED, argv, done.stderr)
        return done.stdout

    async def telling(self, whom: Sequence[str]) -> set[str]:
        """The files and items in which somebody's words stand, packed or not.

        Another process looks: if this one opened and closed a file of SQLite, that would lose its locks.
        """
        items = await items_with(whom, self.place) if self.place else set()
        words = [word for who in whom for word in ("-e", words_of(who).decode())]
        looked = subprocess.run(["grep", "-rlaF", *words, self.folder], capture_output=True, text=True)
        assert looked.returncode in (0, 1), looked.stderr
        packed = [each for each in self.archives.glob("*.gz*") if not each.name.endswith(".part")]
        told = {
            str(each)
            for each in packed
            if any(words_of(who) in gzip.decompress(each.read_bytes()) for who in whom)
        }
        return {*items, *looked.stdout.splitlines(), *told}


async def items_with(whom: Sequence[str], place: Place) -> set[str]:
    """The items of all containers in which somebody's words stand."""
    words, found = [words_of(who).decode() for who in whom], set[str]()
    async with administrator(place.account) as client:
        database = client.get_database_client(place.name)
        async for container in database.list_containers():
            items = database.get_container_client(container["id"]).read_all_items()
            async for item in items:
                text = json.dumps(item)
                if any(word in text for word in words):
                    found.add(f"{container['id']} {item['id']}")
    return found


@pytest.fixture(params=["sqlite", pytest.param("cosmos", marks=[pytest.mark.cosmos, UNVERIFIED])])
async def case(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Case]:
    (tmp_path / "settings.yaml").write_text(CONFIG)
    async with AsyncExitStack() as stack:
        place, elsewhere = None, dict[str, Any]()
        if request.param == "cosmos":
            place = await stack.enter_async_context(place_in(request.getfixturevalue("plain_cosmos")))
            elsewhere = environ_of(place) | {"COSMOS_DB_LOG_SEGMENT_BYTES": "20000"}
        settings = signing_settings(tmp_path, **elsewhere)
        settings.storage.data_dir.mkdir(parents=True)
        signer = signer_from((tmp_path / "key.pem").read_bytes())
        personal = await open_personal(settings, stack)
        log = await stack.enter_async_context(
            audited_log(tmp_path, signer=signer, sealing=personal.sealing, cosmos=place, segment_bytes=20_000)
        )
        log.settings = settings
        for number in range(APPROVALS):
            append(log, number)
        await log.index(batch_size=500)
        environ = {
            "DATA_DIR": str(settings.storage.data_dir),
            "AUDIT_SIGNING_KEY_FILE": f"{tmp_path}/key.pem",
            **elsewhere,
        }
        it = Case(tmp_path, log, personal.keys, environ, await log.entries(), place)
        it.completed("rebuild")
        yield it


def merged(entries: Sequence[Entry]) -> Iterator[tuple[Entry, bytes]]:
    """Each with its hash, also of one that is in an archive."""
    for entry in entries:
        leaf = leaf_of_entry(entry)
        yield entry, archived_leaf(entry.state) or leaf


async def test_nothing_erased_is_readable_and_nothing_is_lost(case: Case) -> None:
    assert await case.telling([*KEPT, "person-7"]), "the words are there to be found"
    until = time.monotonic() + SECONDS
    while time.monotonic() < until or not case.killed:
        case.round()
        await case.log.index(batch_size=500)
        told = await verified_store(case.log.settings, case.log.public_key)
        assert told["sound"], (SEED, told)

    for who in [*(each for each in case.asked if case.keys.of(TENANT, each)), case.asked[0]]:
        case.completed("erase", "--tenant", TENANT, "--subject", who)
    case.completed("archive", "--out", str(case.archives), "--older-than", "0s")
    await case.log.index(batch_size=500)
    export = await case.log.export()
    print(f"killed {case.killed}, not killed {case.done}, {len(case.asked)} erased")
    assert await case.telling(case.asked) == set(), SEED
    assert await case.telling(sorted(KEPT)), "nobody else was erased"
    assert verify_file(export, [case.log.public_key])["sound"]
    assert not list(case.archives.glob("*.pending")), SEED

    first = {(entry.id, entry.stream, entry.version): leaf for entry, leaf in merged(case.before)}
    now = {(entry.id, entry.stream, entry.version): leaf for entry, leaf in merged(await case.log.entries())}
    assert first.items() <= now.items(), SEED
    assert {stream.split("/")[1] for _, stream, _ in now.keys() - first.keys()} <= {"erasure"}
    erasures = [stream for _, stream, _ in now.keys() - first.keys()]
    assert len(erasures) == len(set(erasures)) == len(set(case.asked)), SEED

    files = sorted(case.archives.glob("*.gz"))
    for file in files:
        assert verify_file(file, [case.log.public_key])["sound"], (SEED, file)
    case.completed("archive-restore", *map(str, files))
    assert [entry for entry in await case.log.entries() if "/erasure/" not in entry.stream] == case.before
    assert (await verified_store(case.log.settings, case.log.public_key))["sound"], SEED
    case.completed("rebuild")
    case.completed("rebuild", "--verify")
    assert await case.telling(case.asked) == set(), SEED
