"""What is shown in an export beside what is hashed is proved too, or said to be proved by nothing."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from domain.event import event_id
from tests.audit_trail import AuditedLog, audited_log, kinds, lines_of, stream, verify_file, write_lines
from tests.builders import TENANT

pytestmark = pytest.mark.anyio


class Exported:
    """An export of twelve events, to be changed line by line."""

    def __init__(self, log: AuditedLog, file: Path) -> None:
        self._log = log
        self._file = file
        self.lines = lines_of(file)

    def verified(self) -> dict[str, Any]:
        """What is found once its lines are changed."""
        return verify_file(write_lines(self._file, self.lines), [self._log.public_key])

    def verified_with(self, number: int, change: bytes, to: bytes) -> dict[str, Any]:
        """The same with other bytes in one line."""
        texts = self._file.read_bytes().splitlines(keepends=True)
        assert change in texts[number]
        texts[number] = texts[number].replace(change, to, 1)
        changed = self._file.with_suffix(".changed")
        changed.write_bytes(b"".join(texts))
        return verify_file(changed, [self._log.public_key])


@pytest.fixture
async def exported(tmp_path: Path) -> AsyncIterator[Exported]:
    async with audited_log(tmp_path) as log:
        log.append((f"{TENANT}/1", 12))
        await log.index()
        yield Exported(log, await log.export())


@pytest.mark.parametrize(
    ("number", "change", "to", "what"),
    [
        (5, b'"state":', b'"state":"{}","state":', "'state' more than once"),
        (5, b'"actor":', b'"actor":"eve","\\u0061ctor":', "'actor' more than once"),
        (5, b'"state":', b'"State":"{}","state":', "'State', which no line"),
        (5, b'"leaf":', b'"stateBase64":"e30=","leaf":', "both 'state' and 'stateBase64'"),
        (5, b'"leaf":', b'"note":' + b"[" * 900 + b"9" * 5000 + b"]" * 900 + b',"leaf":', "read as a whole"),
        (0, b'"from":', b'"from":7,"from":', "the header has the member 'from' more than once"),
        (0, b'"from":', b'"by":"eve","from":', "the header has the member 'by'"),
        (-1, b'"number":', b'"number":7,"number":', "the head has the member 'number' more than once"),
    ],
)
async def test_a_member_that_a_reader_may_see_and_the_check_does_not_is_refused(
    exported: Exported, number: int, change: bytes, to: bytes, what: str
) -> None:
    told = exported.verified_with(number, change, to)
    assert set(kinds(told)) == {"shown_otherwise"}
    assert any(what in finding["what"] for finding in told["findings"])
    if number == 5:
        assert all(f"event 5 ({stream(TENANT, 1)} 5)" in finding["what"] for finding in told["findings"])


async def test_a_line_with_a_hash_alone_shows_nothing_else(exported: Exported) -> None:
    line = exported.lines[5]
    exported.lines[5] = {"kind": "leaf", **{name: line[name] for name in ("number", "leaf", "hash", "topic")}}
    told = exported.verified()
    assert kinds(told) == ["shown_otherwise"]
    assert "event 5 has the member 'topic'" in told["findings"][0]["what"]


async def test_an_export_that_was_written_anew_with_other_spaces_is_as_sound(exported: Exported) -> None:
    assert exported.verified_with(5, b'"kind":"event"', b' "kind" : "event" ')["sound"]


def _version(version: object) -> Any:
    def change(line: dict[str, Any]) -> None:
        line["event"]["schemaVersion"] = version

    return change


def _another_position(line: dict[str, Any]) -> None:
    line["position"] = f"log-{int(line['position'].split('-')[1]) + 1}-000000000000"


def _an_earlier_position(line: dict[str, Any]) -> None:
    _, _, event = line["position"].split("-")
    line["position"] = f"log-1-{event}"


def _a_later_position(line: dict[str, Any]) -> None:
    _, _, event = line["position"].split("-")
    line["position"] = f"log-99-{event}"


def _true_for_one(line: dict[str, Any]) -> None:
    line["event"]["version"] = float(line["event"]["version"])


@pytest.mark.parametrize(
    "change",
    [
        *(_version(version) for version in (0, -1, True, "1", None, 1.0)),
        *(_another_position, _an_earlier_position, _a_later_position, _true_for_one),
    ],
)
async def test_what_is_shown_beside_what_is_hashed_is_held_against_it(
    exported: Exported, change: Any
) -> None:
    change(exported.lines[5])
    assert set(kinds(exported.verified())) == {"shown_otherwise"}


async def test_a_header_that_tells_of_more_events_than_the_head_is_found(exported: Exported) -> None:
    exported.lines[0]["number"] += 1
    assert kinds(exported.verified()) == ["shown_otherwise"]


async def test_data_in_the_form_of_another_release_are_not_said_to_be_proved(exported: Exported) -> None:
    event = exported.lines[5]["event"]
    event["schemaVersion"] = 99
    event["data"] |= {"text": "something else", "more": 1}
    told = exported.verified()
    assert told["sound"]
    assert told["unproven"] == [f"event 5 ({stream(TENANT, 1)} 5): data.more, data.text, schemaVersion"]
    event["actor"] = "eve"
    assert kinds(exported.verified()) == ["shown_otherwise"]


async def test_an_event_that_this_release_does_not_know_is_proved_but_for_its_data(
    tmp_path: Path,
) -> None:
    async with audited_log(tmp_path) as log:
        log.append((f"{TENANT}/1", 2))
        log.sql("UPDATE EVENTS SET state = replace(state, '\"v\":1', '\"v\":9') WHERE originator_version = 2")
        await log.index()
        it = Exported(log, await log.export())
        it.lines[2]["event"] = dict(it.lines[1]["event"], version=2, schemaVersion=9)
        assert kinds(it.verified()) == ["shown_otherwise"], "its id, time and actor are another's"
        around = {"eventId": "", "timestamp": "2026-11-22T22:10:07.123Z", "actor": "service:crm"}
        it.lines[2]["event"] |= around | {"commandId": "c-1-2"}
        assert kinds(it.verified()) == ["shown_otherwise"], "its id is none"
        it.lines[2]["event"]["eventId"] = event_id(stream(TENANT, 1), 2)
        told = it.verified()
        assert told["sound"], told
        assert told["unproven"] == [f"event 2 ({stream(TENANT, 1)} 2): data, schemaVersion"]


async def test_what_is_shown_and_is_no_text_is_found(exported: Exported) -> None:
    told = exported.verified_with(5, b'"actor":"', b'"actor":"\xff')
    assert "shown_otherwise" in kinds(told)


async def test_a_number_that_is_far_too_large_is_found_at_once(exported: Exported) -> None:
    for ahead, line in enumerate(exported.lines[6:8]):
        line["number"] = 10**12 + ahead
    told = exported.verified()
    assert any(f"event 6 to {10**12 - 1} is missing" in each["what"] for each in told["findings"])
