"""Anchors in a file that others may write to as well."""

from pathlib import Path

import pytest

from infrastructure.anchor_file import NdjsonAnchorFile

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("line", [b"no anchor", b"{}", b'{"tenantId": "\xff"}', b'"\xff'])
async def test_what_is_no_anchor_is_passed_over(tmp_path: Path, line: bytes) -> None:
    file = tmp_path / "anchors.ndjson"
    file.write_bytes(line + b"\n")
    assert list(await NdjsonAnchorFile(file).last()) == []
