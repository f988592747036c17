"""However the log is cut into batches, and however often they come, the documents are the same."""

from collections.abc import Mapping, Sequence

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from domain.backfill import backfill_stream
from domain.event import Recorded
from domain.workflow import workflow_stream
from projections.approvals import Approvals
from projections.backfills import Backfills
from projections.executions import Executions
from projections.ports import Container, Document, Json
from projections.projection import GAP_TRIES, Materializer, Projection, ProjectionGap, document_of
from projections.workflows import Workflows
from tests.builders import LEASE, OTHER_TENANT, TENANT, recorded
from tests.domain.backfill.asked import completed, failed, plan, requested, started
from tests.projections.memory_documents import Key, MemoryDocuments
from tests.projections.stories import PROJECTIONS, approval_story, logs, workflow_story

Batches = Sequence[Sequence[Recorded]]


def materialized(batches: Batches) -> dict[str, dict[Key, Document]]:
    """Every container after the batches, each projection handling those of its events."""
    documents = MemoryDocuments()

    async def handle() -> None:
        for projection in PROJECTIONS:
            materializer = Materializer(projection, documents)
            for batch in batches:
                await materializer.handle([each for each in batch if materializer.wants(each.event)], LEASE)

    with capture_logs() as said:
        anyio.run(handle)
    assert said == [], "a document was left behind"
    return documents.containers


@given(logs(), st.data())
def test_batches_cut_anywhere_give_the_same_documents(log: list[Recorded], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(log)))))
    batches = [log[start:end] for start, end in zip([0, *cuts], [*cuts, len(log)], strict=True)]
    assert materialized(batches) == materialized([log])


@given(logs(), st.data())
def test_batches_that_overlap_or_come_again_give_the_same_documents(
    log: list[Recorded], data: st.DataObject
) -> None:
    batches, position = [], 0
    while position < len(log):
        back = data.draw(st.integers(0, min(position, 12)))
        forward = data.draw(st.integers(1, 12))
        batches.append(log[position - back : position + forward])
        position += forward
    assert materialized(batches) == materialized([log])


@given(logs(), st.data())
def test_going_over_the_whole_log_once_more_from_anywhere_changes_nothing(
    log: list[Recorded], data: st.DataObject
) -> None:
    again = data.draw(st.integers(0, len(log)))
    assert materialized([log, log[again:], log]) == materialized([log])


@given(logs())
def test_the_fold_of_a_stream_is_the_stored_document_byte_for_byte(log: list[Recorded]) -> None:
    containers = materialized([log])
    for projection in PROJECTIONS:
        for (tenant, id), document in containers.get(projection.container.name, {}).items():
            stream = [
                each
                for each in log
                if each.meta.tenant == tenant and id in set(reads_of_stream(projection, each, log))
            ]
            assert document_of(projection, id, stream) == document.body
            assert document.version == max(
                each.version for each in stream if id in set(changes_of(projection, each))
            )


def reads_of_stream(projection: Projection, recorded: Recorded, log: list[Recorded]) -> Sequence[str]:
    """The ids of all documents of the event's stream."""
    return [id for each in log if each.stream == recorded.stream for id in projection.reads(each.event)]


def changes_of(projection: Projection, recorded: Recorded) -> Sequence[str]:
    """The ids that an event changes: the first that it reads, or all that it makes."""
    ids = projection.reads(recorded.event)
    return ids[:1] if isinstance(projection, Executions) else ids


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_whatever_a_neighbour_answers_is_the_same_bytes_however_the_document_came_about(
    answer: object,
) -> None:
    story = workflow_story(("answer", "forecast"), ("failure", "risk_analysis"), ("retry", ""), result=answer)
    live = materialized([[each] for each in story])
    assert live == materialized([story])
    assert live["workflow_workflows"][TENANT, "w-1"].body == document_of(Workflows(), "w-1", story)


def test_a_document_carries_the_version_of_the_last_event_that_changed_it() -> None:
    story = approval_story("approve")
    assert materialized([story[:1]])["hitl_approvals"][TENANT, "a-1"].version == 1
    assert materialized([story])["hitl_approvals"][TENANT, "a-1"].version == 2


def test_equal_ids_of_two_tenants_are_two_documents() -> None:
    ours, theirs = approval_story("approve"), approval_story("reject", tenant=OTHER_TENANT)
    kept = materialized([[ours[0], theirs[0], ours[1], theirs[1]]])["hitl_approvals"]
    bodies = {tenant: msgspec.json.decode(each.body) for (tenant, _), each in kept.items()}
    assert {tenant: (body["tenantId"], body["status"]) for tenant, body in bodies.items()} == {
        TENANT: (TENANT, "approved"),
        OTHER_TENANT: (OTHER_TENANT, "rejected"),
    }


def test_equal_ids_of_two_tenants_do_not_meet_within_one_batch_of_a_stored_one() -> None:
    ours, theirs = workflow_story(("failure", "forecast")), workflow_story(tenant=OTHER_TENANT)
    kept = materialized([ours, theirs])["workflow_workflows"]
    assert msgspec.json.decode(kept[TENANT, "w-1"].body)["status"] == "failed"
    assert msgspec.json.decode(kept[OTHER_TENANT, "w-1"].body)["status"] == "running"


class CountingDocuments(MemoryDocuments):
    """Counts calls and what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.written = 0

    async def get_many(self, container: Container, keys: Sequence[Key]) -> dict[Key, Document]:
        self.calls.append("get_many")
        return await super().get_many(container, keys)

    async def put(self, container: Container, documents: Sequence[Document]) -> None:
        self.calls.append("put")
        self.written += len(documents)
        await super().put(container, documents)


@pytest.mark.anyio
async def test_a_batch_costs_one_reading_and_one_writing_however_many_its_events() -> None:
    documents = CountingDocuments()
    await Materializer(Workflows(), documents).handle(workflow_story(("answer", "forecast")), LEASE)
    assert documents.calls == ["get_many", "put"]
    assert documents.written == 1


@pytest.mark.anyio
async def test_an_old_version_is_not_even_written_again() -> None:
    documents = CountingDocuments()
    materializer = Materializer(Approvals(), documents)
    story = approval_story("approve")
    await materializer.handle(story, LEASE)
    await materializer.handle(story[:1], LEASE)
    await materializer.handle(story, LEASE)
    assert documents.written == 1


@pytest.mark.anyio
async def test_what_a_backfill_has_behind_it_is_no_reason_to_complain_when_it_comes_again() -> None:
    asked = plan()
    life = [requested(asked), started(asked, 1), failed(asked, 1), started(asked, 2), completed(asked, 2)]
    story = recorded(backfill_stream("b-1"), life)
    documents = MemoryDocuments()
    with capture_logs() as said:
        for batch in (story, story[1:], story):
            await Materializer(Backfills(), documents).handle(batch, LEASE)
    assert said == []


@pytest.mark.anyio
async def test_a_batch_of_nothing_asks_nothing() -> None:
    documents = CountingDocuments()
    await Materializer(Workflows(), documents).handle([], LEASE)
    assert documents.calls == []


@pytest.mark.anyio
async def test_a_slower_process_does_not_take_a_document_back_in_time() -> None:
    documents = MemoryDocuments()
    story = workflow_story(("answer", "forecast"), ("failure", "risk_analysis"))

    class Overtaken(MemoryDocuments):
        """Reads before the other process has written, and writes after it."""

        async def get_many(self, container: Container, keys: Sequence[Key]) -> dict[Key, Document]:
            found = await documents.get_many(container, keys)
            await Materializer(Workflows(), documents).handle(story, LEASE)
            return found

        async def put(self, container: Container, changed: Sequence[Document]) -> None:
            await documents.put(container, changed)

    await Materializer(Workflows(), Overtaken()).handle(story[:5], LEASE)
    assert msgspec.json.decode(documents.of(Workflows().container)[TENANT, "w-1"].body)["status"] == "failed"


@pytest.mark.anyio
async def test_a_document_that_should_be_there_and_is_not_is_a_gap_and_nothing_is_written() -> None:
    documents = CountingDocuments()
    story = workflow_story(("answer", "forecast"))
    with pytest.raises(ProjectionGap):
        await Materializer(Workflows(), documents).handle(story[3:], LEASE)
    assert documents.written == 0


class Breaking(Workflows):
    """A projection that breaks on one workflow, or makes of it what is no JSON."""

    def __init__(self, *, unencodable: bool) -> None:
        super().__init__()
        self._unencodable = unencodable

    def apply(self, documents: Mapping[str, Json], recorded: Recorded) -> Mapping[str, Json]:
        changed = super().apply(documents, recorded)
        if recorded.stream.endswith("w-2"):
            if not self._unencodable:
                raise RecursionError("nested too deep")
            return {id: {**body, "result": object()} for id, body in changed.items()}
        return changed


async def tries_of(materializer: Materializer, batch: Sequence[Recorded]) -> int:
    """How often a batch comes, as a follower brings it."""
    for tries in range(1, 2 * GAP_TRIES):
        try:
            await materializer.handle(batch, LEASE)
        except ProjectionGap:
            continue
        return tries
    raise AssertionError("it came again and again")


class Lagging(MemoryDocuments):
    """Finds nothing at the first look at each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.lags = False

    async def get_many(self, container: Container, keys: Sequence[Key]) -> dict[Key, Document]:
        self.lags = not self.lags
        return {} if self.lags else await super().get_many(container, keys)


@pytest.mark.anyio
async def test_a_replica_that_lags_now_and_then_costs_no_event_however_often_it_does() -> None:
    documents = Lagging()
    materializer = Materializer(Workflows(), documents)
    steps = ("forecast", "risk_scoring", "risk_analysis", "recommendation")
    story = workflow_story(*(("answer", step) for step in steps))
    await materializer.handle(story[:1], LEASE)
    documents.lags = False
    with capture_logs() as logs:
        for recorded in story[1:]:
            wanted = materializer.wants(recorded.event)
            assert not wanted or await tries_of(materializer, [recorded]) == 2
    assert len(story) > GAP_TRIES + 1
    assert not [each for each in logs if each["event"] == "document_left_behind"]


@pytest.mark.anyio
@pytest.mark.parametrize("unencodable", [False, True], ids=["it breaks", "it is no JSON"])
async def test_a_document_that_cannot_be_made_keeps_no_other_waiting(unencodable: bool) -> None:
    documents = MemoryDocuments()
    good, bad = workflow_story(("answer", "forecast")), workflow_story(id="w-2")
    materializer = Materializer(Breaking(unencodable=unencodable), documents)
    with capture_logs() as logs:
        first = await tries_of(materializer, [*bad, *good])
        later = await tries_of(materializer, workflow_story(("answer", "forecast"), id="w-2")[-1:])
    assert {first, later} == {1, GAP_TRIES}
    assert set(documents.of(Workflows().container)) == {(TENANT, "w-1")}
    assert {each["event"] for each in logs} == {"document_left_behind"}
    assert logs[0]["log_level"] == "error"


def test_a_materializer_wants_what_its_projection_reads() -> None:
    started, *_ = workflow_story()
    (requested,) = approval_story()
    workflows = Materializer(Workflows(), MemoryDocuments())
    assert workflows.wants(started.event)
    assert not workflows.wants(requested.event)
    assert workflows.name == "workflow_workflows"
    assert recorded(workflow_stream(TENANT, "w-1"), [started.event])[0].stream == started.stream


def test_a_document_tells_the_store_which_one_it_was_made_out_of() -> None:
    put: list[Document] = []

    class Recording(MemoryDocuments):
        async def put(self, container: Container, documents: Sequence[Document]) -> None:
            put.extend(documents)
            await super().put(container, documents)

    async def handle() -> None:
        materializer = Materializer(Workflows(), Recording())
        for batch in (story[:3], story[3:4], story[4:]):
            await materializer.handle([each for each in batch if materializer.wants(each.event)], LEASE)

    story = workflow_story()
    anyio.run(handle)
    versions = [document.version for document in put]
    assert [document.based_on for document in put] == [0, *versions[:-1]]
    assert len(versions) == 3
