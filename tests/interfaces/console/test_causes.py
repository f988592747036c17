"""Cause and effect, so much of a tree at a time."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from interfaces.console import causes
from interfaces.console.api import Document, Refused
from interfaces.console.pages import Pages
from interfaces.console.visit import frame_of

pytestmark = pytest.mark.anyio


def event(name: str, *children: Mapping[str, Any], **more: Any) -> Document:
    """One of an answer of the API's."""
    at = "2026-11-27T10:00:00.000Z"
    told = {"type": f"a.{name}", "version": 1, "timestamp": at, "aggregate": "task", "aggregateId": name}
    return Document(told, intact=True, children=list(children) or None, **more)


class Trail:
    """Answers with a root that led to 300 events, the first of which led to one more, and another root."""

    def __init__(self, total: int = 303) -> None:
        self._total = total

    async def get(self, path: str) -> Document:
        """The tree."""
        children = [event("c0", event("grandchild")), *(event(f"c{number}") for number in range(1, 300))]
        roots = [event("root", *children), event("other")]
        return Document(correlationId="it", total=self._total, shown=303, roots=roots)


async def shown(first: str | None = None, *, total: int = 303) -> str:
    """The page."""
    query = {"correlationId": "it", **({} if first is None else {"from": first})}
    context = await causes.tree(Trail(total), query)  # type: ignore[arg-type]
    frame = frame_of("ada", signs_in=False, path="/console/audit/causes")
    return bytes(Pages().page("audit/tree.html", {**frame, **context}).body).decode()


async def test_a_page_has_two_hundred_and_leads_on_and_says_so() -> None:
    page = await shown()
    assert page.count("<li>") == 200
    assert re.findall("<b>a.([a-z0-9]+)</b>", page)[:4] == ["root", "c0", "grandchild", "c1"]
    assert "Events 1 to 200 of 303" in page
    assert 'href="/console/audit/causes?correlationId=it&amp;from=201">Next events' in page
    assert "Previous events" not in page


async def test_the_next_page_goes_on_below_what_led_to_it() -> None:
    page = await shown("201")
    assert "Events 201 to 303 of 303" in page
    names = re.findall("<b>a.([a-z0-9]+)</b>", page)
    assert (names[:2], names[-1], len(names)) == (["root", "c198"], "other", 104)
    assert page.count('<li class="above">') == 1
    assert 'href="/console/audit/causes?correlationId=it">Previous events' in page
    assert "Next events" not in page


async def test_more_than_a_tree_has_is_in_the_list() -> None:
    page = await shown(total=5000)
    assert "Events 1 to 200 of 5000" in page
    assert "no more than 303" in page


@pytest.mark.parametrize("first", ["0", "304", "x", "", "-1", "1" * 9, "²"])
async def test_a_place_that_there_is_not_is_refused(first: str) -> None:
    with pytest.raises(Refused, match="must be from 1 to 303"):
        await shown(first)
