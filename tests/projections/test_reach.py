"""A batch of small events may be about large documents: few of them are in memory at once."""

from collections.abc import Sequence

import msgspec
import pytest

from domain.approval import approval_stream
from domain.event import Recorded
from projections.approvals import Approvals
from projections.ports import Container, Document
from projections.projection import Materializer
from projections.reach import FIRST
from tests.builders import LEASE, TENANT, recorded
from tests.projections.memory_documents import Key, MemoryDocuments
from tests.samples import SAMPLES

pytestmark = pytest.mark.anyio


class AskedDocuments(MemoryDocuments):
    """Tells how many documents were asked for at once."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    async def get_many(self, container: Container, keys: Sequence[Key]) -> dict[Key, Document]:
        self.asked.append(len(keys))
        return await super().get_many(container, keys)


def requests(count: int, size: int) -> list[Recorded]:
    """So many approvals are asked for, with as large a payload each, and commented on."""
    of_all: list[Recorded] = []
    for number in range(count):
        id = f"a-{number}"
        asked, said = SAMPLES["approval.requested"].event, SAMPLES["approval.commented"].event
        events = [
            msgspec.structs.replace(asked, approval_id=id, payload={"rows": "x" * size}),
            msgspec.structs.replace(said, approval_id=id),
        ]
        of_all += recorded(approval_stream(TENANT, id), events)
    return sorted(of_all, key=lambda each: each.version)


async def test_a_batch_about_large_documents_has_few_of_them_in_memory_at_once() -> None:
    log, documents = requests(60, 1024 * 1024), AskedDocuments()
    materializer = Materializer(Approvals(), documents)
    for batch in (log[:60], log[60:]):
        await materializer.handle(batch, LEASE)
    assert documents.asked[0] == FIRST
    assert max(documents.asked[1:]) == 7, "each is a little more than a mebibyte"
    in_one = MemoryDocuments()
    for each in log:
        await Materializer(Approvals(), in_one).handle([each], LEASE)
    assert documents.containers == in_one.containers


async def test_a_batch_about_small_documents_soon_has_all_at_once() -> None:
    log, documents = requests(500, 10), AskedDocuments()
    materializer = Materializer(Approvals(), documents)
    for batch in (log[:500], log[500:]):
        await materializer.handle(batch, LEASE)
    assert documents.asked == [FIRST, 4 * FIRST, 500 - 5 * FIRST, 500]
