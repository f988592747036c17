"""Embedded services, one for each way of knowing the caller."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.harness import Service, service, settings_in

SECRET = "a secret of at least thirty-two bytes"


@pytest.fixture
async def behind_gateway(tmp_path: Path) -> AsyncIterator[Service]:
    """A service that believes its gateway."""
    async with service(settings_in(tmp_path, BATCH_JOBS_ENABLED="false")) as running:
        yield running


@pytest.fixture
async def with_tokens(tmp_path: Path) -> AsyncIterator[Service]:
    """A service that checks tokens itself."""
    async with service(settings_in(tmp_path, JWT_SECRET=SECRET, BATCH_JOBS_ENABLED="false")) as running:
        yield running
