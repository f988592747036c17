"""Documents by what their lists hold: the cases of every store, which those of documents inherit."""

import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from projections.ports import Document, Documents, Query
from tests.builders import OTHER_TENANT, TENANT
from tests.infrastructure.things import THINGS, all_pages, ids, thing
from tests.projections.memory_documents import MemoryDocuments

PEOPLE = ["ada", "bob", "cyd", "dan"]


class ListCases:
    """What every store of documents finds by lists."""

    async def found(self, documents: Documents, tenant: str = TENANT, **asked: Any) -> list[str]:
        page = await documents.query(THINGS, tenant, Query(**asked))
        assert page.total == len(page.documents)
        return ids(page)

    async def test_a_list_holds_at_least_one_of_the_texts(self, documents: Documents) -> None:
        await documents.put(
            THINGS,
            [
                thing("a", asked=["user:ada"]),
                thing("b", asked=["group:x", "user:ada"]),
                thing("c", asked=["user:bob"], done=["user:ada"]),
                thing("d", asked=[]),
                thing("e"),
            ],
        )
        assert await self.found(documents, any_of={"asked": ["user:ada"]}) == ["b", "a"]
        assert await self.found(documents, any_of={"asked": ["user:ada", "group:x"]}) == ["b", "a"]
        assert await self.found(documents, any_of={"asked": ["user:bob", "group:x", "zoe"]}) == ["c", "b"]
        assert await self.found(documents, any_of={"asked": ["user:ada", "user:ada"]}) == ["b", "a"]
        assert await self.found(documents, any_of={"asked": ["user"]}) == []
        assert await self.found(documents, any_of={"asked": []}) == []
        both = {"asked": ["user:ada", "user:bob"], "done": ["user:ada", "user:bob"]}
        assert await self.found(documents, any_of=both) == ["c"]

    @pytest.mark.parametrize("asked", [{}, {"any_of": {"asked": ["ada", "bob"]}}], ids=["all", "by a list"])
    @pytest.mark.parametrize("oldest_first", [False, True])
    async def test_a_page_is_full_with_the_document_that_brings_it_to_its_bytes(
        self, documents: Documents, asked: dict[str, Any], oldest_first: bool
    ) -> None:
        rows = [
            thing(f"t{number}", at=f"2026-01-0{number}", asked=["ada"], text="x" * 1_000)
            for number in range(1, 8)
        ]
        await documents.put(THINGS, rows)
        wanted = [row.id for row in rows] if oldest_first else [row.id for row in reversed(rows)]
        how = {**asked, "oldest_first": oldest_first}
        for room, sizes in ((2_000, [2, 2, 2, 1]), (1, [1] * 7), (3_000, [3, 3, 1]), (100_000, [7])):
            pages = await all_pages(documents, limit=50, room=room, **how)
            assert [len(page.documents) for page in pages] == sizes
            assert [id for page in pages for id in ids(page)] == wanted
            assert {page.total for page in pages} == {7}
        assert [len(page.documents) for page in await all_pages(documents, limit=3, room=100_000, **how)] == [
            3,
            3,
            1,
        ]
        whole = await documents.query(THINGS, TENANT, Query(limit=7, room=1_000_000, **how))
        assert whole.next_after is None

    async def test_a_list_does_not_hold_a_text_and_one_that_is_missing_holds_nothing(
        self, documents: Documents
    ) -> None:
        await documents.put(
            THINGS,
            [
                thing("a", asked=["x"], done=["ada"]),
                thing("b", asked=["x"], done=["bob", "cyd"]),
                thing("c", asked=["x"], done=[]),
                thing("d", asked=["x"]),
                thing("e", done=["ada"]),
            ],
        )
        assert await self.found(documents, none_of={"done": "ada"}) == ["d", "c", "b"]
        assert await self.found(documents, any_of={"asked": ["x"]}, none_of={"done": "cyd"}) == [
            "d",
            "c",
            "a",
        ]
        assert await self.found(documents, none_of={"asked": "x", "done": "bob"}) == ["e"]
        assert await self.found(documents, any_of={"done": ["bob", "ada"]}, none_of={"done": "cyd"}) == [
            "e",
            "a",
        ]

    async def test_a_field_is_there_and_less_than_a_text(self, documents: Documents) -> None:
        await documents.put(
            THINGS, [thing(f"{n}", due=f"2026-01-0{n}", kind="xy"[n % 2]) for n in range(1, 6)]
        )
        await documents.put(THINGS, [thing("none", kind="x"), thing("null", due=None, kind="y")])
        assert await self.found(documents, below={"due": "2026-01-03"}) == ["2", "1"]
        assert await self.found(documents, below={"due": "2026-01-03T00"}) == ["3", "2", "1"]
        assert await self.found(documents, below={"due": "2027"}, equal={"kind": "y"}) == ["5", "3", "1"]
        assert await self.found(documents, below={"due": "2027", "createdAt": "2026"}) == []

    async def test_what_is_no_list_holds_nothing(self, documents: Documents) -> None:
        odd: list[Any] = [
            "ada",
            None,
            7,
            {"ada": "ada"},
            ["ada"],
            [["ada"]],
            [{"a": "ada"}],
            [7, None, "bob"],
        ]
        await documents.put(THINGS, [thing(f"{n}", asked=asked) for n, asked in enumerate(odd)])
        assert await self.found(documents, any_of={"asked": ["ada"]}) == ["4"]
        assert await self.found(documents, any_of={"asked": ["bob", "7", ""]}) == ["7"]
        assert await self.found(documents, none_of={"asked": "ada"}) == ["7", "6", "5", "3", "2", "1", "0"]

    async def test_texts_are_compared_as_they_are(self, documents: Documents) -> None:
        texts = ["Ada", "ada", "äda", "“𝄞” \\ / \n", "' OR 1=1 --", '"', "", "%", "7", "@any0_0"]
        await documents.put(THINGS, [thing(f"{n}", asked=[text]) for n, text in enumerate(texts)])
        for n, text in enumerate(texts):
            assert await self.found(documents, any_of={"asked": [text]}) == [f"{n}"]
            assert len(await self.found(documents, none_of={"asked": text})) == len(texts) - 1

    async def test_two_hundred_texts_can_be_asked_for(self, documents: Documents) -> None:
        many = [f"role:{n}" for n in range(200)]
        await documents.put(THINGS, [thing(f"{n:03}", asked=[many[n], many[-n]]) for n in range(0, 200, 4)])
        await documents.put(THINGS, [thing("other", asked=["role:200"])])
        page = await documents.query(THINGS, TENANT, Query(any_of={"asked": many}, none_of={"done": "x"}))
        assert (ids(page), page.total) == ([f"{n:03}" for n in range(196, -1, -4)], 50)

    async def test_a_list_that_changes_is_found_by_what_it_holds_now(self, documents: Documents) -> None:
        await documents.put(THINGS, [thing("a", asked=["ada", "bob"], kind="x"), thing("b", asked=["ada"])])
        await documents.put(THINGS, [thing("a", version=2, asked=["bob", "cyd"], kind="x")])
        await documents.put(THINGS, [thing("a", version=1, asked=["late"])])
        assert await self.found(documents, any_of={"asked": ["ada"]}) == ["b"]
        assert await self.found(documents, any_of={"asked": ["bob", "cyd", "late"]}) == ["a"]
        await documents.put(THINGS, [thing("a", version=3, asked=["bob", "cyd"], kind="y", at="2025-01-01")])
        assert await self.found(documents, any_of={"asked": ["ada", "bob"]}) == ["b", "a"]
        assert await self.found(documents, any_of={"asked": ["bob", "cyd"]}, equal={"kind": "y"}) == ["a"]
        assert await self.found(documents, any_of={"asked": ["bob", "cyd"]}, equal={"kind": "x"}) == []
        await documents.put(THINGS, [thing("a", version=4, asked=[None, "cyd"], kind="y", at="2025-01-01")])
        assert await self.found(documents, any_of={"asked": ["bob"]}) == []
        assert await self.found(documents, any_of={"asked": ["bob", "cyd"]}) == ["a"]
        await documents.put(THINGS, [thing("a", version=5, kind="y")])
        assert await self.found(documents, any_of={"asked": ["bob", "cyd"]}) == []
        await documents.clear(THINGS)
        assert await self.found(documents, any_of={"asked": ["ada"]}) == []
        await documents.put(THINGS, [thing("b", asked=["bob"])])
        assert await self.found(documents, any_of={"asked": ["ada", "bob"]}) == ["b"]

    async def test_a_tenants_lists_show_nothing_of_anothers(self, documents: Documents) -> None:
        await documents.put(THINGS, [thing("a", asked=["ada"]), thing("b", asked=["ada"], done=["bob"])])
        await documents.put(THINGS, [thing("a", tenant=OTHER_TENANT, asked=["ada"], done=["ada", "bob"])])
        await documents.put(THINGS, [thing("c", tenant=OTHER_TENANT, asked=["bob"])])
        everyone = {"asked": ["ada", "bob"]}
        assert await self.found(documents, any_of=everyone) == ["b", "a"]
        assert await self.found(documents, any_of=everyone, none_of={"done": "bob"}) == ["a"]
        assert await self.found(documents, OTHER_TENANT, any_of=everyone) == ["c", "a"]
        assert await self.found(documents, OTHER_TENANT, none_of={"done": "ada"}) == ["c"]
        await documents.put(THINGS, [thing("a", version=2, asked=["cyd"])])
        assert await self.found(documents, any_of=everyone) == ["b"]
        assert await self.found(documents, OTHER_TENANT, any_of=everyone) == ["c", "a"]

    async def test_pages_by_lists_show_each_once_whatever_the_limit(self, documents: Documents) -> None:
        many = some_things(random.Random(5), 40)
        await documents.put(THINGS, many)
        asked: dict[str, Any] = {"any_of": {"asked": ["ada", "bob"]}, "none_of": {"done": "cyd"}}
        whole = await self.found(documents, limit=200, **asked)
        assert 10 < len(whole) < 30
        for oldest_first in (False, True):
            for limit in (1, 3, len(whole), 200):
                pages = await all_pages(documents, limit=limit, oldest_first=oldest_first, **asked)
                shown = [id for page in pages for id in ids(page)]
                assert shown == (whole[::-1] if oldest_first else whole)
                assert {page.total for page in pages} == {len(whole)}

    async def test_what_nearly_all_hold_is_counted_once_with_what_few_hold(
        self, documents: Documents
    ) -> None:
        many = [thing(f"{n:02}", asked=["all", *["some", "few"][: 2 - n]], done=["ada"]) for n in range(2)]
        many += [thing(f"{n:02}", asked=["all"], done=["ada"]) for n in range(2, 20)]
        await documents.put(THINGS, [*many, thing("20", asked=["few"]), thing("21", asked=["some", "few"])])
        everyone = [f"{n:02}" for n in range(21, -1, -1)]
        assert await self.found(documents, any_of={"asked": ["all"]}) == everyone[2:]
        for texts in (["all", "few"], ["all", "some", "few"]):
            assert await self.found(documents, any_of={"asked": texts}) == everyone
            assert await self.found(documents, any_of={"asked": texts, "done": ["ada", "x"]}) == everyone[2:]
            assert (
                await self.found(documents, any_of={"asked": texts}, none_of={"done": "ada"}) == everyone[:2]
            )

    async def test_what_lists_hold_is_not_counted_if_nobody_asks(self, documents: Documents) -> None:
        await documents.put(THINGS, [thing(f"{n}", asked=["ada", "bob"]) for n in range(5)])
        query = Query(any_of={"asked": ["ada", "bob"]}, limit=2, counted=False)
        page = await documents.query(THINGS, TENANT, query)
        assert (ids(page), page.total, page.next_after) == (["4", "3"], 2, ("2026-01-01", "3"))


class LastingListCases(ListCases):
    """What a store that is not in memory finds by lists: the same as the one that looks at every document."""

    async def test_whatever_is_asked_together_is_what_each_document_answers(
        self, documents: Documents
    ) -> None:
        randomness, memory = random.Random(3), MemoryDocuments()
        many = some_things(randomness, 90)
        newer = [msgspec.structs.replace(each, version=2) for each in some_things(randomness, 30)]
        for store in (documents, memory):
            await store.put(THINGS, many)
            await store.put(THINGS, newer)
        totals = set()
        for query in some_queries(randomness, 60):
            page = await documents.query(THINGS, TENANT, query)
            assert page == await memory.query(THINGS, TENANT, query), query
            totals.add(page.total)
        assert len(totals) > 15


def some_things(randomness: random.Random, number: int) -> list[Document]:
    things = []
    for n in range(number):
        people = {
            name: randomness.sample(PEOPLE, randomness.choice([0, 1, 1, 2, 3])) for name in ("asked", "done")
        }
        more = people | {
            "kind": randomness.choice("xy"),
            "status": randomness.choice(["open", "done"]),
            "due": f"2026-02-{randomness.randrange(10, 28)}",
            "size": randomness.choice("sm"),
            "until": f"2026-03-{randomness.randrange(10, 28)}",
        }
        kept: dict[str, Any] = {name: value for name, value in more.items() if randomness.random() < 0.9}
        things.append(thing(f"{n:02}", at=f"2026-01-{randomness.randrange(10, 20)}", **kept))
    return things


def some_queries(randomness: random.Random, number: int) -> Iterator[Query]:
    def perhaps(share: float, **asked: Any) -> dict[str, Any]:
        return asked if randomness.random() < share else {}

    for _ in range(number):
        fields = randomness.choice([["asked"], ["asked"], ["done"], ["asked", "done"], []])
        yield Query(
            any_of={name: randomness.sample([*PEOPLE, "zoe"], randomness.randrange(1, 5)) for name in fields},
            none_of={
                name: randomness.choice(PEOPLE) for name in ("asked", "done") if randomness.random() < 0.4
            },
            equal=perhaps(0.3, kind="x") | perhaps(0.3, status="open") | perhaps(0.1, size="s"),
            below=perhaps(0.3, due="2026-02-20") | perhaps(0.1, until="2026-03-24"),
            **perhaps(0.3, sort_from="2026-01-12"),
            **perhaps(0.3, sort_before="2026-01-17"),
            **perhaps(0.3, after=(f"2026-01-{randomness.randrange(10, 20)}", "50")),
            limit=randomness.choice([3, 10, 200]),
            oldest_first=randomness.random() < 0.5,
            counted=randomness.random() < 0.8,
        )
