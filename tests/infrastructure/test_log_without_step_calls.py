"""A log of a release that knew no steps' calls."""

from pathlib import Path

import pytest

from tests.moved_logs import filled, held, reading, run

pytestmark = pytest.mark.anyio


async def test_a_log_without_the_table_is_read_as_one_without_calls(tmp_path: Path) -> None:
    source = f"sqlite:///{tmp_path / 'events.db'}"
    await filled(source, batches=1, size=10)
    assert len(held(source).step_calls) == 600
    run(source, "DROP TABLE step_calls", beside=True)
    async with reading(source) as log:
        assert [batch async for batch in log.step_calls()] == []
