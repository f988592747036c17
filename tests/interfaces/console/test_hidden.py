"""What nobody sees in a text of somebody else is shown, wherever a page has it, and is kept as it was."""

import html
import re
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from markupsafe import Markup

from interfaces.console.hidden import shown, typed
from tests.harness import Service, service, settings_in

pytestmark = pytest.mark.anyio

HIDDEN = "\u202e\u2066\u200b\u200d\u0085\ufeff\u2028\u3164"
DEAL = "opp\u202e\u200b-1"
NAME = f"Acme {HIDDEN}gpj.exe"
TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI", "BN")
UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff]"
)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    """A service that believes its gateway."""
    async with service(settings_in(tmp_path, BATCH_JOBS_ENABLED="false")) as running:
        yield running


def test_every_control_and_direction_is_marked_and_read_back() -> None:
    for number in (*range(0x20000), *range(0xE0000, 0xE1000)):
        character = chr(number)
        kind = unicodedata.category(character)
        is_marked = shown(character) != character
        if kind in ("Cc", "Zl", "Zp") or unicodedata.bidirectional(character) in TURNING:
            assert is_marked or character in "\t\n\r", hex(number)
        if is_marked:
            assert shown(character) == f"⟦U+{number:04X}⟧"
            assert typed(f"a⟦U+{number:04X}⟧") == f"a{character}"
            assert kind in ("Cc", "Cf", "Cn", "Zl", "Zp", "Mn", "Lo"), hex(number)


@pytest.mark.parametrize(
    "text",
    ["a\tb\r\nc", "Ünïted שלום مرحبا 李", "👩\u200d💻 ❤\ufe0f\u200d🔥", "⟦U+0041⟧", "⟦U+110000⟧", "⟦⟧"],
)
def test_what_is_seen_is_left_as_it_is(text: str) -> None:
    assert shown(text) == typed(text) == text


def test_markup_stays_markup_and_what_is_no_text_stays_what_it_is() -> None:
    assert isinstance(shown(Markup("<b>é</b>")), Markup)
    assert shown(7) == 7
    assert shown("pay\u200dpal") == "pay⟦U+200D⟧pal"


async def test_no_page_has_one_and_forms_give_back_what_there_was(running: Service) -> None:
    deal = {"opportunityId": DEAL, "riskScore": 0.5, "amount": 10, "subject": NAME, "payload": {NAME: NAME}}
    told = {"X-User-ID": "ada", "Origin": "http://localhost"}
    async with running.client(**told) as ada:
        made = (await ada.post("/api/v1/hitl/approvals", json=deal)).json()
        assert "id" in made, made
        one = f"/console/approvals/{made['id']}"
        comment = {"do": "comments", "comment": f"\a{NAME}", "key": "c"}
        assert (await ada.post(one, data=comment)).status_code == 303
        await running.caught_up()
        trail = f"/console/audit/approval/{made['id']}"
        found = {
            path: (await ada.get(path)).text for path in ("/console?status=any", one, "/console/audit", trail)
        }
        for path, text in found.items():
            assert UNSEEN.search(text) is None, path
            assert "⟦U+202E⟧" in text, path
        fields = dict(re.findall(r'name="(seen|subject)" value="([^"]*)"', found[one]))
        amounts = {"amount": "10", "riskScore": "0.5", "payload": html.unescape(payload_in(found[one]))}
        form = {name: html.unescape(value) for name, value in fields.items()} | amounts
        again = await ada.post(one, data={**form, "do": "revise", "key": "r"})
        assert "No fact was changed." in again.text
        filtered = await ada.get("/console", params={"opportunityId": "⟦U+0020⟧", "status": "any"})
        assert "No approvals match." in filtered.text
        marked = str(shown(DEAL))
        filtered = await ada.get("/console", params={"opportunityId": marked, "status": "any"})
        assert filtered.text.count(f'href="{one}"') == 1
        kept = (await ada.get(f"/api/v1/hitl/approvals/{made['id']}")).json()
    assert (kept["subject"], kept["comments"][0]["text"]) == (NAME, f"\a{NAME}")


def payload_in(page: str) -> str:
    """What stands in the field of the payload."""
    found = re.search(r'<textarea name="payload"[^>]*>(.*?)</textarea>', page, re.DOTALL)
    assert found is not None
    return found[1]
