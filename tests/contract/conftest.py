"""The contract over a service in this process, each request with its token."""

import logging
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import pytest
import schemathesis
import structlog
from schemathesis.python import asgi

from tests.contract.contract import DOCUMENT
from tests.contract.expectations import STREAM_SECONDS
from tests.contract.service import EmbeddedService
from tests.contract.tokens import SECRET, TokenForTheRequest
from tests.harness import settings_in

Schema = schemathesis.BaseSchema


@pytest.fixture
def quiet() -> Iterator[None]:
    """Thousands of requests: only what fails is logged."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.configure(**before)


@pytest.fixture
def signed_in(tmp_path: Path, quiet: None) -> Iterator[Callable[[schemathesis.Config], Schema]]:
    """The contract over the service in this process, each request with its token."""
    embedded = EmbeddedService(settings_in(tmp_path, JWT_SECRET=SECRET, MAX_STREAM_SECONDS=STREAM_SECONDS))

    def load(config: schemathesis.Config) -> Schema:
        schema = schemathesis.openapi.from_dict(deepcopy(DOCUMENT), config=config)
        schema.app = embedded
        schema.auth(refresh_interval=None)(TokenForTheRequest)
        return schema

    yield load
    asgi.shutdown_lifespans()
