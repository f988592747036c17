"""Files that commands write: as they were before, or entirely new."""

import io
import os
from pathlib import Path

import pytest

from config.commands.whole_file import whole_file


def test_a_file_is_replaced_when_it_is_whole_and_not_before(tmp_path: Path) -> None:
    file = tmp_path / "export.ndjson"
    file.write_bytes(b"before")
    with whole_file(file) as written:
        written.write(b"after")
        assert file.read_bytes() == b"before"
    assert file.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("was_there", [True, False])
def test_what_fails_leaves_nothing_behind(tmp_path: Path, was_there: bool) -> None:
    file = tmp_path / "export.ndjson"
    if was_there:
        file.write_bytes(b"before")
    with pytest.raises(io.UnsupportedOperation), whole_file(file) as written:
        written.read()
    assert [each.read_bytes() for each in tmp_path.iterdir()] == ([b"before"] if was_there else [])


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "target").touch()
    (tmp_path / "link").symlink_to("target")
    with whole_file(tmp_path / "link") as written:
        written.write(b"whole")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"whole"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with whole_file(pipe) as written:
            written.write(b"whole")
        assert os.read(reader, 100) == b"whole"
    finally:
        os.close(reader)
    assert list(tmp_path.iterdir()) == [pipe]
