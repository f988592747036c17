"""The folder of a process's data."""

import os
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from config.folders import claim

pytestmark = pytest.mark.anyio


async def test_a_folder_that_is_made_is_for_its_own_user(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        async with AsyncExitStack() as stack:
            claim(tmp_path / "data", "storage.data_dir", stack)
            assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)
