"""An export proves itself: whatever is done to it is found, with nothing but it and the public key."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from application.audit.chain import leaf_of, linked
from config.start import CannotStart
from infrastructure.signatures import new_key
from tests.audit_trail import (
    AuditedLog,
    approval_id,
    audited_log,
    kinds,
    lines_of,
    stream,
    verify_file,
    write_lines,
)
from tests.builders import LEASE, OTHER_TENANT, TENANT, USER, after

pytestmark = pytest.mark.anyio

Lines = list[dict[str, Any]]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AuditedLog]:
    """A log of two tenants, 36 events each, anchored."""
    url = request.getfixturevalue("postgres_store_url") if request.param == "postgres" else None
    async with audited_log(tmp_path, url) as opened:
        opened.fill(each=12)
        await opened.anchor()
        yield opened


@pytest.fixture
async def exported(tmp_path: Path) -> AsyncIterator[tuple[Lines, AuditedLog, Path]]:
    """The lines of an export, to be changed."""
    async with audited_log(tmp_path) as opened:
        opened.fill(each=12)
        await opened.anchor()
        file = await opened.export()
        yield lines_of(file), opened, file


async def test_an_export_holds_the_stored_bytes_and_proves_itself(log: AuditedLog) -> None:
    file = await log.export()
    header, *events, head = lines_of(file)
    assert (header["from"], header["number"], header["tenantId"]) == (1, 36, TENANT)
    assert [event["number"] for event in events] == list(range(1, 37))
    stored = {(entry.stream, entry.version): entry.state.decode() for entry in await log.entries()}
    assert all(event["state"] == stored[event["stream"], event["version"]] for event in events)
    assert events[0]["event"]["data"] == {
        "approvalId": approval_id(0),
        "by": USER,
        "at": "2026-11-22T22:10:05.123Z",
        "text": "why 1",
    }
    assert head["hash"] == events[-1]["hash"]
    told = verify_file(file, [log.public_key], [log.anchor_file])
    assert (told["sound"], told["events"], told["withheld"], told["anchors"]) == (True, 36, 0, 1)
    assert told["notes"] == []


async def test_another_tenants_events_are_in_no_export(log: AuditedLog) -> None:
    text = (await log.export()).read_text()
    assert OTHER_TENANT not in text
    empty = await log.export(tenant="00000000-0000-4000-8000-000000000000")
    assert [line["kind"] for line in lines_of(empty)] == ["header", "head"]
    assert verify_file(empty, [log.public_key])["sound"]


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ({"topic": "approval.commented"}, 36),
        ({"topic": "approval.approved"}, 0),
        ({"aggregate_id": approval_id(1)}, 12),
        ({"actor": USER}, 18),
        ({"correlation_id": "00000000-0000-0000-0000-0000000003e8"}, 12),
        ({"before": after(seconds=4)}, 9),
        ({"before_position": 7}, 3),
    ],
)
async def test_of_what_is_not_asked_for_the_hashes_alone_are_told(
    log: AuditedLog, wanted: dict[str, Any], shown: int
) -> None:
    file = await log.export(**wanted)
    assert sum(line["kind"] == "event" for line in lines_of(file)) == shown
    told = verify_file(file, [log.public_key], [log.anchor_file])
    assert (told["sound"], told["events"], told["withheld"]) == (True, 36, 36 - shown)


@pytest.mark.parametrize(
    ("wanted", "begins"),
    [({"after": after(seconds=4)}, 13), ({"after_position": 6}, 4), ({"after": after(days=9)}, 37)],
)
async def test_an_export_may_begin_later(log: AuditedLog, wanted: dict[str, Any], begins: int) -> None:
    file = await log.export(**wanted)
    header, *events, _ = lines_of(file)
    assert header["from"] == begins
    assert [event["number"] for event in events] == list(range(begins, 37))
    assert verify_file(file, [log.public_key], [log.anchor_file])["sound"]


async def test_an_event_that_the_log_has_no_more_is_told(log: AuditedLog) -> None:
    log.sql("DELETE FROM EVENTS WHERE originator_id = ? AND originator_version = 5", stream(TENANT, 1))
    told = verify_file(await log.export(), [log.public_key])
    assert kinds(told) == ["deleted"]
    assert f"event 14 ({stream(TENANT, 1)} 5)" in told["findings"][0]["what"]


async def test_bytes_that_are_no_text_are_exported_all_the_same(log: AuditedLog) -> None:
    log.append((f"{TENANT}/9", 1))
    log.sql("UPDATE EVENTS SET state = ? WHERE originator_id = ?", b"\xff\x00not json", stream(TENANT, 9))
    await log.index()
    file = await log.export()
    line = lines_of(file)[-2]
    assert "stateBase64" in line
    assert "event" not in line
    assert verify_file(file, [log.public_key])["sound"]


async def test_an_export_of_before_a_key_was_changed_is_checked_with_the_old_key(
    exported: tuple[Lines, AuditedLog, Path],
) -> None:
    _, log, file = exported
    _, signer = new_key()
    new = file.with_suffix(".pub")
    new.write_bytes(signer.public.pem)
    assert kinds(verify_file(file, [new])) == ["unknown_key"]
    assert verify_file(file, [new, log.public_key])["sound"]
    log.append((f"{TENANT}/7", 1))
    await log.index()
    await log.anchoring(signer).anchor(LEASE)
    told = verify_file(await log.export(), [log.public_key, new], [log.anchor_file])
    assert (told["sound"], told["anchors"]) == (True, 2)
    assert set(kinds(verify_file(file, [log.public_key], [log.anchor_file]))) == {"unknown_key"}


async def test_without_a_key_nothing_is_proved_and_that_is_said(
    exported: tuple[Lines, AuditedLog, Path],
) -> None:
    lines, log, file = exported
    assert "proves nothing" in verify_file(file)["notes"][0]
    for name in ("signature", "keyId", "signedAt"):
        del lines[-1][name]
    unsigned = write_lines(file, lines)
    assert kinds(verify_file(unsigned, [log.public_key])) == ["unsigned"]
    assert verify_file(unsigned)["sound"]


def _edited(lines: Lines) -> None:
    lines[14]["state"] = lines[14]["state"].replace("why 5", "why 6")


def _edited_and_hashed(lines: Lines) -> None:
    lines[14]["leaf"] = "00" * 32
    _edited(lines)


def _moved_to_another_thing(lines: Lines) -> None:
    lines[14]["stream"] = stream(TENANT, 2)


def _deleted(lines: Lines) -> None:
    del lines[14]


def _deleted_and_numbered(lines: Lines) -> None:
    del lines[14]
    for number, line in enumerate(lines[1:-1], start=1):
        line["number"] = number
    lines[-1]["number"] -= 1


def _swapped(lines: Lines) -> None:
    lines[14], lines[20] = lines[20], lines[14]


def _swapped_neighbours(lines: Lines) -> None:
    lines[14], lines[15] = lines[15], lines[14]


def _replaced(lines: Lines) -> None:
    lines[14] = dict(lines[20])


def _inserted(lines: Lines) -> None:
    lines.insert(15, dict(lines[14]))


def _truncated(lines: Lines) -> None:
    del lines[30:]


def _truncated_before_the_head(lines: Lines) -> None:
    del lines[30:-1]


def _truncated_and_said_so(lines: Lines) -> None:
    del lines[30:-1]
    lines[-1] |= {"number": 29, "hash": lines[-2]["hash"]}


def _shown_otherwise(lines: Lines) -> None:
    lines[14]["event"]["data"]["text"] = "something else"


def _shown_by_another(lines: Lines) -> None:
    lines[14]["event"]["actor"] = "somebody else"


def _begun_otherwise(lines: Lines) -> None:
    lines[0]["previous"] = "00" * 32


def _begun_later(lines: Lines) -> None:
    """With an edited event at its beginning, and nothing said of what was before."""
    del lines[1:14]
    lines[0] |= {"from": 14, "previous": ""}
    lines[1]["state"] = lines[1]["state"].replace("why 5", "why 6")
    lines[1]["event"]["data"]["text"] = "why 6"
    line = lines[1]
    line["leaf"] = leaf_of(line["stream"], line["version"], line["topic"], line["state"].encode()).hex()


def _shown_beside_a_hash(lines: Lines) -> None:
    """As of an event that a filter leaves out, or that is archived."""
    kept = {name: lines[14][name] for name in ("number", "leaf", "hash", "event")}
    lines[14] = {"kind": "leaf", **kept}
    _shown_otherwise(lines)


def _shown_too_deep(lines: Lines) -> None:
    for _ in range(900):
        lines[14]["event"]["data"] = [lines[14]["event"]["data"]]


def _no_version(lines: Lines) -> None:
    lines[14]["version"] = -1


def _no_version_that_is_stored(lines: Lines) -> None:
    lines[14]["version"] = 2**64


def _added_behind(lines: Lines) -> None:
    lines.append(dict(lines[14]))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (_edited, ["edited"]),
        (_edited_and_hashed, ["edited"]),
        (_moved_to_another_thing, ["edited"]),
        (_deleted, ["deleted"]),
        (_deleted_and_numbered, ["chain_broken", "shown_otherwise", "bad_signature"]),
        (_swapped, ["reordered", "reordered"]),
        (_swapped_neighbours, ["reordered"]),
        (_replaced, ["reordered", "deleted"]),
        (_inserted, ["reordered"]),
        (_truncated, ["truncated"]),
        (_truncated_before_the_head, ["truncated"]),
        (_truncated_and_said_so, ["shown_otherwise", "bad_signature"]),
        (_shown_otherwise, ["shown_otherwise"]),
        (_shown_by_another, ["shown_otherwise"]),
        (_shown_beside_a_hash, ["shown_otherwise"]),
        (_shown_too_deep, ["shown_otherwise"]),
        (_no_version, ["unreadable", "deleted"]),
        (_no_version_that_is_stored, ["unreadable", "deleted"]),
        (_begun_otherwise, ["chain_broken", "chain_broken"]),
        (_begun_later, ["chain_broken"]),
        (_added_behind, ["inserted"]),
    ],
)
async def test_a_changed_export_is_found_out(
    exported: tuple[Lines, AuditedLog, Path], change: Any, found: list[str]
) -> None:
    lines, log, file = exported
    change(lines)
    told = verify_file(write_lines(file, lines), [log.public_key])
    assert kinds(told) == found
    named = [finding for finding in told["findings"] if "stream" in finding]
    if change in (_edited, _edited_and_hashed, _shown_otherwise, _shown_by_another):
        assert (named[0]["number"], named[0]["stream"], named[0]["version"]) == (14, stream(TENANT, 1), 5)


async def test_an_export_made_to_fit_without_the_key_is_found_out(
    exported: tuple[Lines, AuditedLog, Path],
) -> None:
    """Every hash from the change on is right; the head alone is not to be had."""
    lines, log, file = exported
    _edited(lines)
    chain = bytes.fromhex(lines[13]["hash"])
    for line in lines[14:-1]:
        leaf = leaf_of(line["stream"], line["version"], line["topic"], line["state"].encode())
        chain = linked(chain, leaf)
        line |= {"leaf": leaf.hex(), "hash": chain.hex()}
    lines[14]["event"]["data"]["text"] = "why 6"
    assert kinds(verify_file(write_lines(file, lines), [log.public_key])) == ["chain_broken"]
    lines[-1]["hash"] = chain.hex()
    forged = write_lines(file, lines)
    assert kinds(verify_file(forged, [log.public_key])) == ["bad_signature"]
    told = verify_file(forged, [log.public_key], [log.anchor_file])
    assert kinds(told) == ["bad_signature", "anchor_contradicted"]


async def test_a_torn_or_foreign_file_is_no_sound_export(
    exported: tuple[Lines, AuditedLog, Path],
) -> None:
    _, log, file = exported
    whole = file.read_bytes()
    torn = file.with_suffix(".torn")
    for size in (len(whole) - 1, len(whole) - 50, len(whole) // 2):
        torn.write_bytes(whole[:size])
        told = verify_file(torn, [log.public_key])
        assert told["sound"] is (size == len(whole) - 1), "the last end of line is no part of it"
    for content in (b"", b"{}\n", json.dumps({"kind": "header", "format": "else"}).encode(), b"\xff"):
        torn.write_bytes(content)
        with pytest.raises(CannotStart):
            verify_file(torn, [log.public_key])
