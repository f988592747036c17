"""Live documents held against the log, and made right: what is found, and what is left alone."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import cast

import msgspec
import pytest

from domain.errors import StoreUnavailable
from domain.event import Recorded
from infrastructure.sqlite.scratch import SqliteScratch
from projections.building import Builder
from projections.comparing import Comparison, same
from projections.folding import StreamedLog
from projections.mending import Mender
from projections.ports import Container, Document, Replacement
from projections.projection import Materializer
from tests.builders import LEASE, NOW, TENANT
from tests.projections.memory_documents import Key, MemoryDocuments
from tests.projections.stories import PROJECTIONS, approval_story, workflow_story
from tests.projections.test_building import ListLog

pytestmark = pytest.mark.anyio

LOG = [
    *workflow_story(("answer", "forecast"), ("failure", "risk_analysis"), ("retry", "")),
    *approval_story("approve"),
    *approval_story(id="a-2"),
]
(APPROVALS_CONTAINER,) = (each.container for each in PROJECTIONS if each.container.name == "hitl_approvals")
APPROVALS = APPROVALS_CONTAINER.name


class Mendable(MemoryDocuments):
    """Documents that can be replaced."""

    async def replace(self, container: Container, replacements: Mapping[Key, Replacement]) -> set[Key]:
        kept, left = self.of(container), set()
        for key, (found, right) in replacements.items():
            if kept.get(key) != found:
                left.add(key)
            elif right is None:
                del kept[key]
            else:
                kept[key] = right
        return left


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[SqliteScratch]:
    scratch = SqliteScratch(tmp_path / "scratch.db")
    yield scratch
    scratch.close()


async def materialize(documents: MemoryDocuments, log: list[Recorded]) -> None:
    for projection in PROJECTIONS:
        one = Materializer(projection, documents)
        await one.handle([each for each in log if one.wants(each.event)], LEASE)


async def begun(
    scratch: SqliteScratch, log: ListLog, *, up_to: int, live: MemoryDocuments | None = None
) -> Builder:
    await scratch.begin([each.container for each in PROJECTIONS], "a test")
    live = live or MemoryDocuments()
    builder = Builder(PROJECTIONS, cast(StreamedLog, log), scratch, begun=None, live=live, now=lambda: NOW)
    await builder.catch_up(until={"log": up_to})
    return builder


async def differences(
    documents: MemoryDocuments, scratch: SqliteScratch, *, up_to: int = len(LOG)
) -> dict[tuple[str, str], str]:
    builder = await begun(scratch, ListLog(LOG), up_to=up_to)
    comparison = Comparison(PROJECTIONS, documents, scratch, builder)
    return {(each.container, each.id): each.what async for each in comparison.differences()}


def there(documents: MemoryDocuments) -> dict[str, dict[Key, Document]]:
    return {name: dict(kept) for name, kept in documents.containers.items() if kept}


def change(documents: MemoryDocuments, id: str, *, version: int | None = None, **fields: object) -> None:
    key, kept = (TENANT, id), documents.containers[APPROVALS]
    body = msgspec.json.decode(kept[key].body, type=dict) | fields
    kept[key] = Document(*key, version or kept[key].version, msgspec.json.encode(body))


@pytest.mark.parametrize("reached", range(len(LOG) + 1))
@pytest.mark.parametrize("ahead", [0, 3])
async def test_documents_at_or_beyond_the_position_are_as_they_should_be(
    scratch: SqliteScratch, reached: int, ahead: int
) -> None:
    documents = MemoryDocuments()
    await materialize(documents, LOG[: reached + ahead])
    assert await differences(documents, scratch, up_to=reached) == {}


async def test_what_was_edited_deleted_added_or_set_back_is_named(scratch: SqliteScratch) -> None:
    documents = MemoryDocuments()
    await materialize(documents, LOG)
    kept = documents.containers
    change(documents, "a-1", status="rejected", amount=5)
    change(documents, "a-2", version=7)
    kept[APPROVALS][TENANT, "a-3"] = Document(TENANT, "a-3", 1, b'{"id":"a-3"}')
    (workflow,) = [key for key in kept["workflow_workflows"] if key[0] == TENANT]
    kept["workflow_workflows"][workflow] = Document(*workflow, 1, b"{}")
    step, *_ = sorted(kept["workflow_steps"])
    del kept["workflow_steps"][step]
    found = await differences(documents, scratch)
    assert found[APPROVALS, "a-1"] == "differs in amount, status"
    assert found[APPROVALS, "a-2"] == "is at version 7; by the log it is at 1"
    assert found[APPROVALS, "a-3"] == "is there at version 1; the log makes none"
    assert found["workflow_workflows", workflow[1]].startswith("is at version 1; by the log it is at ")
    assert found["workflow_steps", step[1]].startswith("is missing; the log makes it, at version ")
    assert len(found) == 5


async def test_what_another_service_has_put_there_is_counted_and_not_named(scratch: SqliteScratch) -> None:
    documents = MemoryDocuments()
    await materialize(documents, LOG)
    kept = documents.containers[APPROVALS]
    for id in ("x", "y"):
        kept[TENANT, id] = Document(TENANT, id, 0, b"{}")
    kept[TENANT, "a-2"] = Document(TENANT, "a-2", 0, b"{}")
    comparison = Comparison(
        PROJECTIONS, documents, scratch, await begun(scratch, ListLog(LOG), up_to=len(LOG))
    )
    found = [(each.container, each.id, each.what) async for each in comparison.differences()]
    assert found == [(APPROVALS, "a-2", "is at version 0; by the log it is at 1")]
    assert +comparison.left_alone == {APPROVALS: 2}


async def test_what_was_edited_beyond_the_position_is_named_too(scratch: SqliteScratch) -> None:
    documents = MemoryDocuments()
    await materialize(documents, LOG)
    change(documents, "a-1", status="rejected")
    found = await differences(documents, scratch, up_to=0)
    assert found == {(APPROVALS, "a-1"): "differs in status"}


async def test_another_text_of_the_same_content_is_a_difference_where_texts_are_kept(
    scratch: SqliteScratch,
) -> None:
    documents = MemoryDocuments()
    await materialize(documents, LOG)
    key = (TENANT, "a-1")
    there = documents.containers[APPROVALS][key]
    documents.containers[APPROVALS][key] = msgspec.structs.replace(there, body=there.body + b" ")
    assert await differences(documents, scratch) == {
        (APPROVALS, "a-1"): "has the same content in another text"
    }
    documents.keeps_text = False
    assert await differences(documents, scratch) == {}


def test_parts_that_were_left_out_are_not_compared() -> None:
    def document(**fields: object) -> Document:
        return Document(TENANT, "w", 3, msgspec.json.encode({"id": "w", **fields}))

    built = document(input={"omittedBytes": 5}, steps=[{"stepId": "s", "result": 1}], status="running")
    found = document(input=1, steps=[{"stepId": "s", "result": {"omittedBytes": 9}}], status="running")
    assert same(built, found, True)
    assert not same(built, document(input=1, steps=[{"stepId": "t"}], status="running"), True)
    assert not same(document(input=1), document(input={"omittedBytes": 5}), True)


async def nothing() -> None:
    """Nobody follows."""


async def mended(
    documents: Mendable,
    scratch: SqliteScratch,
    log: ListLog,
    *,
    up_to: int,
    meanwhile: Callable[[], Awaitable[None]] = nothing,
) -> int:
    builder = await begun(scratch, log, up_to=up_to)
    mender = Mender(PROJECTIONS, documents, scratch, builder, until_followed=meanwhile)
    await mender.mend()
    return mender.mended


async def test_what_is_wrong_is_made_right_and_nothing_else_is_written(scratch: SqliteScratch) -> None:
    right, documents = MemoryDocuments(), Mendable()
    await materialize(right, LOG)
    await materialize(documents, LOG)
    change(documents, "a-1", status="rejected")
    change(documents, "a-2", version=7)
    documents.containers[APPROVALS][TENANT, "a-3"] = Document(TENANT, "a-3", 1, b'{"id":"a-3"}')
    del documents.containers["workflow_steps"][min(documents.containers["workflow_steps"])]
    assert await mended(documents, scratch, ListLog(LOG), up_to=len(LOG)) == 4
    assert there(documents) == there(right)


async def test_what_the_log_has_made_since_is_left_alone(scratch: SqliteScratch) -> None:
    documents = Mendable()
    await materialize(documents, LOG)
    before = there(documents)
    assert await mended(documents, scratch, ListLog(LOG), up_to=3) == 0
    assert there(documents) == before


async def test_a_wrong_document_that_a_follower_had_in_its_hands_is_made_right_again(
    scratch: SqliteScratch,
) -> None:
    """It has read version 1, which was wrong, and writes what it makes of it after that was mended."""
    log = ListLog([each for each in LOG if each is not LOG[-2]])
    right, documents = MemoryDocuments(), Mendable()
    await materialize(right, LOG)
    await materialize(documents, log.events)
    change(documents, "a-1", opportunityId="wrong")
    made_of_it = msgspec.json.decode(right.containers[APPROVALS][TENANT, "a-1"].body, type=dict)
    wrong = Document(TENANT, "a-1", 2, msgspec.json.encode(made_of_it | {"opportunityId": "wrong"}))

    async def write_what_is_in_hand() -> None:
        if len(log.events) < len(LOG):
            log.events.append(LOG[-2])
            await documents.put(APPROVALS_CONTAINER, [wrong])

    written = await mended(documents, scratch, log, up_to=len(LOG), meanwhile=write_what_is_in_hand)
    assert written == 2
    assert there(documents) == there(right)


async def test_a_mender_whom_somebody_works_against_gives_up(scratch: SqliteScratch) -> None:
    documents = Mendable()
    await materialize(documents, LOG)

    class Stubborn(Mendable):
        async def replace(self, container: Container, replacements: Mapping[Key, Replacement]) -> set[Key]:
            return set()

    stubborn = Stubborn()
    stubborn.containers = documents.containers
    change(stubborn, "a-1", status="rejected")
    with pytest.raises(StoreUnavailable, match="wrong again"):
        await mended(stubborn, scratch, ListLog(LOG), up_to=len(LOG))
