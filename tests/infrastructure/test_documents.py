"""What every store of documents does. Another adapter inherits the cases and says how it is opened."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.ports import Document, Documents, Page, Query
from tests.builders import OTHER_TENANT, TENANT
from tests.infrastructure.list_cases import LastingListCases, ListCases
from tests.infrastructure.things import OTHERS, THINGS, all_pages, ids, thing
from tests.projections.memory_documents import MemoryDocuments

pytestmark = pytest.mark.anyio


class DocumentsCases(ListCases):
    """What every store of documents does."""

    def opened(self, folder: Path) -> AbstractAsyncContextManager[Documents]:
        """The store with both containers; the same folder, the same documents."""
        raise NotImplementedError

    @pytest.fixture
    async def documents(self, tmp_path: Path) -> AsyncIterator[Documents]:
        async with self.opened(tmp_path) as documents:
            yield documents

    async def test_what_was_put_is_given_back_byte_for_byte(self, documents: Documents) -> None:
        odd = thing("a", version=7, at="2026-01-02", n=[-1, 1.5, 1e-9, 2**53], t='ü\0 "“𝄞', e={}, no=None)
        await documents.put(THINGS, [odd, thing("b")])
        assert await documents.get(THINGS, TENANT, "a") == odd
        assert await documents.get_many(THINGS, [(TENANT, "a")]) == {(TENANT, "a"): odd}
        assert (await documents.query(THINGS, TENANT, Query())).documents == (odd, thing("b"))

    async def test_what_is_not_there_is_none_and_no_error(self, documents: Documents) -> None:
        assert await documents.get(THINGS, TENANT, "a") is None
        assert await documents.get_many(THINGS, [(TENANT, "a")]) == {}
        assert await documents.get_many(THINGS, []) == {}
        assert await documents.query(THINGS, TENANT, Query()) == Page((), 0, None)

    async def test_a_scan_shows_every_document_of_the_tenants_once(self, documents: Documents) -> None:
        many = [
            thing(f"t-{number:04}", tenant=TENANT if number % 2 else OTHER_TENANT) for number in range(601)
        ]
        await documents.put(THINGS, many)
        await documents.put(OTHERS, [thing("other")])
        seen = [each async for page in documents.scan(THINGS, [TENANT, OTHER_TENANT]) for each in page]
        assert sorted(seen, key=lambda each: each.id) == many

    async def test_putting_nothing_is_nothing(self, documents: Documents) -> None:
        await documents.put(THINGS, [])
        assert (await documents.query(THINGS, TENANT, Query())).total == 0

    async def test_many_documents_are_got_and_put_at_once(self, documents: Documents) -> None:
        many = [thing(f"t-{number}", tenant=TENANT if number % 2 else OTHER_TENANT) for number in range(1001)]
        await documents.put(THINGS, many)
        keys = [(each.tenant, each.id) for each in many]
        missing = [(TENANT, "t-0"), (OTHER_TENANT, "t-1"), (TENANT, "none")]
        assert await documents.get_many(THINGS, [*missing, *keys]) == dict(zip(keys, many, strict=True))

    async def test_only_a_newer_version_replaces_a_document(self, documents: Documents) -> None:
        await documents.put(THINGS, [thing("a", version=3, is_="third")])
        for version, kept in ((2, "third"), (3, "third"), (4, "4"), (5, "5"), (1, "5")):
            await documents.put(THINGS, [thing("a", version=version, is_=str(version))])
            found = await documents.get(THINGS, TENANT, "a")
            assert found is not None
            assert msgspec.json.decode(found.body)["is_"] == kept

    async def test_an_old_version_does_not_keep_the_others_of_its_batch_out(
        self, documents: Documents
    ) -> None:
        await documents.put(THINGS, [thing("a", version=5)])
        await documents.put(THINGS, [thing("a", version=4), thing("b"), thing("c")])
        assert (await documents.query(THINGS, TENANT, Query())).total == 3

    async def test_the_newest_come_first_and_equal_times_are_ordered_by_id(
        self, documents: Documents
    ) -> None:
        await documents.put(
            THINGS,
            [
                thing("b", at="2026-01-02"),
                thing("a", at="2026-01-02"),
                thing("c"),
                thing("d", at="2026-01-03"),
            ],
        )
        assert ids(await documents.query(THINGS, TENANT, Query())) == ["d", "b", "a", "c"]

    async def test_a_list_is_filtered_by_equality(self, documents: Documents) -> None:
        await documents.put(
            THINGS,
            [
                thing("a", kind="x", status="open"),
                thing("b", kind="x", status="done"),
                thing("c", kind="y", status="open"),
                thing("d"),
            ],
        )
        by_kind = await documents.query(THINGS, TENANT, Query(equal={"kind": "x"}))
        assert (ids(by_kind), by_kind.total) == (["b", "a"], 2)
        by_both = await documents.query(THINGS, TENANT, Query(equal={"kind": "x", "status": "open"}))
        assert (ids(by_both), by_both.total) == (["a"], 1)
        assert ids(await documents.query(THINGS, TENANT, Query(equal={"kind": "' OR 1=1 --"}))) == []
        by_id = await documents.query(THINGS, TENANT, Query(equal={"id": "d"}))
        assert (ids(by_id), by_id.total) == (["d"], 1)

    async def test_a_list_is_cut_by_time_from_inclusive_to_exclusive(self, documents: Documents) -> None:
        await documents.put(THINGS, [thing(day, at=f"2026-01-{day}") for day in ("01", "02", "03", "04")])
        page = await documents.query(THINGS, TENANT, Query(sort_from="2026-01-02", sort_before="2026-01-04"))
        assert (ids(page), page.total) == (["03", "02"], 2)

    async def test_a_list_tells_how_many_there_are_whatever_they_became(self, documents: Documents) -> None:
        await documents.put(THINGS, [thing(str(n), kind="a", status="new") for n in range(5)])
        await documents.put(THINGS, [thing("b", kind="b", status="new"), thing("none")])
        await documents.put(THINGS, [thing("x", tenant=OTHER_TENANT, kind="a", status="new")])
        await documents.put(THINGS, [thing("0", version=2, kind="a", status="old")])
        await documents.put(THINGS, [thing("1", version=2, kind="b", status="new")])
        await documents.put(THINGS, [thing("2", version=2)])
        await documents.put(THINGS, [thing("3", version=1, kind="late", status="late")])

        async def total(tenant: str = TENANT, **equal: str) -> int:
            return (await documents.query(THINGS, tenant, Query(equal=equal, limit=1))).total

        assert await total() == 7
        assert await total(kind="a") == 3
        assert await total(kind="b") == 2
        assert await total(kind="late") == 0
        assert await total(status="new") == 4
        assert await total(status="old") == 1
        assert await total(kind="a", status="new") == 2
        assert await total(OTHER_TENANT) == await total(OTHER_TENANT, kind="a") == 1
        await documents.clear(THINGS)
        assert await total() == await total(kind="a") == 0
        await documents.put(THINGS, [thing("again", kind="a")])
        assert await total() == await total(kind="a") == 1

    async def test_pages_show_everything_once_whatever_the_limit(self, documents: Documents) -> None:
        await documents.put(
            THINGS, [thing(f"{number:02}", at=f"2026-01-0{number % 3 + 1}") for number in range(20)]
        )
        whole = ids(await documents.query(THINGS, TENANT, Query(limit=200)))
        assert len(whole) == 20
        for limit in (1, 3, 10, 19, 20, 21):
            pages = await all_pages(documents, limit=limit)
            assert [id for page in pages for id in ids(page)] == whole
            assert {page.total for page in pages} == {20}
            assert all(len(page.documents) == limit for page in pages[:-1])
            assert 0 < len(pages[-1].documents) <= limit

    @pytest.mark.parametrize("equal", [{}, {"kind": "x"}, {"kind": "x", "status": "open"}])
    async def test_the_oldest_come_first_if_asked_and_pages_show_each_once(
        self, documents: Documents, equal: dict[str, str]
    ) -> None:
        await documents.put(
            THINGS,
            [
                thing(
                    f"{n:02}",
                    at=f"2026-01-0{n % 3 + 1}",
                    kind="xy"[n % 2],
                    status=["open", "done"][n % 5 == 0],
                )
                for n in range(24)
            ],
        )
        whole = ids(await documents.query(THINGS, TENANT, Query(equal=equal, limit=200)))
        assert len(whole) == {0: 24, 1: 12, 2: 9}[len(equal)]
        for limit in (1, 4, 200):
            pages = await all_pages(documents, limit=limit, equal=equal, oldest_first=True)
            assert [id for page in pages for id in ids(page)] == whole[::-1]
            assert {page.total for page in pages} == {len(whole)}

    async def test_what_is_not_to_be_counted_tells_of_what_it_shows(self, documents: Documents) -> None:
        await documents.put(THINGS, [thing(f"{n:02}", kind="x", status="open") for n in range(5)])
        query = Query(equal={"kind": "x", "status": "open"}, limit=2, oldest_first=True, counted=False)
        page = await documents.query(THINGS, TENANT, query)
        assert (ids(page), page.total, page.next_after) == (["00", "01"], 2, ("2026-01-01", "01"))
        last = await documents.query(THINGS, TENANT, Query(limit=9, counted=False))
        assert (last.total, last.next_after) == (5, None)

    async def test_new_documents_neither_repeat_nor_hide_any_on_the_pages_that_follow(
        self, documents: Documents
    ) -> None:
        old = [thing(f"{number:02}", at="2026-01-05") for number in range(12)]
        await documents.put(THINGS, old)
        seen: list[str] = []
        query = Query(limit=5)
        for number in range(10):
            page = await documents.query(THINGS, TENANT, query)
            seen += ids(page)
            if page.next_after is None:
                break
            query = Query(limit=5, after=page.next_after)
            newer = [
                thing(f"new-{number}", at="2026-01-06"),
                thing(f"{number:02}", version=2, at="2026-01-05"),
            ]
            await documents.put(THINGS, newer)
        assert seen == sorted((each.id for each in old), reverse=True)

    async def test_a_page_goes_on_with_the_same_filter(self, documents: Documents) -> None:
        await documents.put(THINGS, [thing(f"{number:02}", kind="xy"[number % 2]) for number in range(10)])
        pages = await all_pages(documents, limit=2, equal={"kind": "y"})
        assert [ids(page) for page in pages] == [["09", "07"], ["05", "03"], ["01"]]
        assert {page.total for page in pages} == {5}

    async def test_a_tenant_sees_nothing_of_another(self, documents: Documents) -> None:
        await documents.put(THINGS, [thing("a", whose="ours"), thing("b")])
        await documents.put(THINGS, [thing("a", tenant=OTHER_TENANT, version=9, whose="theirs")])
        ours, theirs = [await documents.get(THINGS, tenant, "a") for tenant in (TENANT, OTHER_TENANT)]
        assert ours == thing("a", whose="ours")
        assert theirs == thing("a", tenant=OTHER_TENANT, version=9, whose="theirs")
        assert await documents.get(THINGS, OTHER_TENANT, "b") is None
        assert ids(await documents.query(THINGS, TENANT, Query())) == ["b", "a"]
        page = await documents.query(THINGS, OTHER_TENANT, Query())
        assert ([(each.tenant, each.id) for each in page.documents], page.total) == ([(OTHER_TENANT, "a")], 1)
        assert await documents.get_many(THINGS, [(OTHER_TENANT, "b")]) == {}

    async def test_a_container_is_cleared_for_every_tenant_and_the_others_are_left_alone(
        self, documents: Documents
    ) -> None:
        await documents.put(THINGS, [thing("a", version=5), thing("a", tenant=OTHER_TENANT)])
        await documents.put(OTHERS, [thing("a")])
        await documents.clear(THINGS)
        assert await documents.get_many(THINGS, [(TENANT, "a"), (OTHER_TENANT, "a")]) == {}
        assert await documents.get(OTHERS, TENANT, "a") == thing("a")
        await documents.put(THINGS, [thing("a", version=1)])
        assert await documents.get(THINGS, TENANT, "a") == thing("a", version=1)

    async def test_it_answers_when_asked_whether_it_is_there(self, documents: Documents) -> None:
        await documents.ping()


class LastingDocumentsCases(LastingListCases, DocumentsCases):
    """What a store does that outlives the process."""

    async def test_documents_are_there_after_a_restart(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as documents:
            await documents.put(THINGS, [thing("a", version=4)])
        async with self.opened(tmp_path) as documents:
            assert await documents.get(THINGS, TENANT, "a") == thing("a", version=4)
            await documents.put(THINGS, [thing("a", version=3)])
            assert await documents.get(THINGS, TENANT, "a") == thing("a", version=4)


class TestMemoryDocuments(DocumentsCases):
    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[Documents]:
        yield MemoryDocuments()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5)), max_size=12))
def test_whatever_order_versions_arrive_in_the_highest_stays(versions: list[tuple[str, int]]) -> None:
    async def put_all() -> dict[tuple[str, str], Document]:
        documents = MemoryDocuments()
        for id, version in versions:
            await documents.put(THINGS, [thing(id, version=version)])
        return documents.of(THINGS)

    kept = anyio.run(put_all)
    assert {id: document.version for (_, id), document in kept.items()} == {
        id: max(version for other, version in versions if other == id) for id, _ in versions
    }
