"""What comes with a request is held against its schema, and nobody waits who asks for something else."""

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from application.command import Command
from application.inputs import first_faults
from application.job_commands import TriggerJob
from domain.errors import BadInput
from domain.json_schema import QUICK_STEPS
from domain.values import SYSTEM_TENANT
from tests.application.backfilling import backfilling
from tests.builders import metadata
from tests.domain.backfill.asked import JOB

pytestmark = pytest.mark.anyio

NAMES = {"properties": {"tenantIds": {"items": {"type": "string"}}}}


class Watched(list[Any]):
    """Counts what is read of it, by the thread that reads."""

    def __init__(self, *elements: Any) -> None:
        super().__init__(elements)
        self.read = Counter[int]()

    def __getitem__(self, index: Any) -> Any:
        self.read[threading.get_ident()] += 1
        return super().__getitem__(index)

    def is_read_here_at_most(self, most: int) -> bool:
        """Whether this thread read so much of it, and another went to its end."""
        return self.read.pop(threading.get_ident(), 0) <= most and sum(self.read.values()) >= len(self)


def trigger(tenants: Watched) -> Command:
    meta = metadata(tenant=SYSTEM_TENANT)
    return TriggerJob(meta=meta, job=JOB, run_id="r-1", metadata={"tenantIds": tenants})


async def test_a_trigger_s_long_metadata_keep_nobody_waiting(tmp_path: Path) -> None:
    tenants = Watched(*["t"] * (5 * QUICK_STEPS), 7)
    async with backfilling(tmp_path, metadata_schema=NAMES) as running:
        with pytest.raises(BadInput):
            await running.dispatch(trigger(tenants))
    assert tenants.is_read_here_at_most(QUICK_STEPS)


async def test_a_backfill_s_many_windows_keep_nobody_waiting(tmp_path: Path) -> None:
    tenants = Watched(*["t"] * QUICK_STEPS)
    schema = {"properties": {**NAMES["properties"], "to": {"not": {"pattern": "^2026-01-05"}}}}
    async with backfilling(tmp_path, metadata_schema=schema) as running:
        with pytest.raises(BadInput) as caught:
            await running.request(metadata={"tenantIds": tenants})
    assert [fault["field"] for fault in caught.value.details] == ["metadata.to"]
    assert tenants.is_read_here_at_most(0)


async def test_of_several_values_the_first_with_faults_is_told() -> None:
    values = [{"tenantIds": each} for each in (["a"], ["a", 7], [8])]
    assert [tuple(fault) for fault in await first_faults(SYSTEM_TENANT, NAMES, values, "metadata")] == [
        ("metadata.tenantIds[1]", "is not of type 'string'")
    ]
    assert await first_faults(SYSTEM_TENANT, NAMES, values[:1], "metadata") == []
