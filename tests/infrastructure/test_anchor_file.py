"""Anchors in a file that others may write to as well."""

from pathlib import Path

import pytest

from application.bounded_lines import lines_in
from domain.errors import AnchorFileUnavailable
from infrastructure.anchor_file import NdjsonAnchorFile

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("line", [b"no anchor", b"{}", b'{"tenantId": "\xff"}', b'"\xff'])
async def test_what_is_no_anchor_is_passed_over(tmp_path: Path, line: bytes) -> None:
    file = tmp_path / "anchors.ndjson"
    file.write_bytes(line + b"\n")
    assert list(await NdjsonAnchorFile(file).last()) == []


async def test_a_line_without_an_end_is_told_and_not_read_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infrastructure.anchor_file.lines_in", lambda opened: lines_in(opened, 100))
    file = tmp_path / "anchors.ndjson"
    file.write_bytes(b"a" * 1000)
    with pytest.raises(AnchorFileUnavailable, match="line 1 is longer than 100 bytes"):
        await NdjsonAnchorFile(file).last()
