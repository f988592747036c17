"""Common fixtures; the order of tests, their time limit, and which tests are repeated after a failure."""

import gc
import logging
from collections.abc import Iterator, Sequence
from functools import wraps
from inspect import iscoroutinefunction
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest
import structlog
from hypothesis import settings

from infrastructure.postgres.schema import migrate
from tests import services
from tests.cosmos import Account, cosmos_account, own_emulator
from tests.postgres import fresh_database

settings.register_profile("service", deadline=None)
settings.load_profile("service")

T = TypeVar("T")

_BESIDE_REAL_PROCESSES = {"browser", "chaos", "command_line", "infrastructure", "integration"}
"""Tests with real processes, which share two cores and a disk with the tests and may fail if they are
delayed."""

_MOST_SECOND_TURNS = 5

_BEFORE_PYTEST_SECONDS = 5.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Repeat a failed test with real processes once, because it may have been delayed.

    Faults of the code fail again, except rare races: these are visible in the list of tests that failed at
    first.

    Files whose tests mostly wait are distributed evenly among the others, so that both cores are used.
    """
    for item in items:
        if _folder(item) in _BESIDE_REAL_PROCESSES:
            item.add_marker(pytest.mark.flaky(reruns=1))
    files = [list(of_file) for _, of_file in groupby(items, key=lambda item: item.path)]
    waiting = [each for each in files if _folder(each[0]) == "chaos"]
    computing = [each for each in files if _folder(each[0]) != "chaos"]
    items[:] = chain.from_iterable(_evenly_mixed(waiting, computing))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """End an asynchronous test that hangs, a little before pytest-timeout does.

    pytest-timeout raises within the event loop. The test itself would continue, and the teardown of its
    fixtures would wait for it forever.
    """
    test = pyfuncitem.obj
    if not iscoroutinefunction(test) or hasattr(test, "hypothesis"):
        return
    marker = pyfuncitem.get_closest_marker("timeout")
    most = float(marker.args[0] if marker else pyfuncitem.config.getini("timeout"))

    @wraps(test)
    async def in_time(**given: Any) -> None:
        with anyio.fail_after(most - _BEFORE_PYTEST_SECONDS):
            await test(**given)

    pyfuncitem.obj = in_time


def _evenly_mixed(some: Sequence[T], others: Sequence[T]) -> list[T]:
    """Return both sequences merged, each in its order and evenly distributed."""
    placed = [(number / len(those), each) for those in (some, others) for number, each in enumerate(those)]
    return [each for _, each in sorted(placed, key=itemgetter(0))]


def _folder(item: pytest.Item) -> str:
    return item.path.relative_to(Path(__file__).parent).parts[0]


def pytest_collection_finish() -> None:
    """Exclude imported modules and collected tests from garbage collection, because they are never freed."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show which tests failed at first, and their errors."""
    for report in _failed_at_first(terminalreporter):
        terminalreporter.section(f"FAILED AT FIRST: {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if too many tests failed at first: not all of them can have been delayed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and len(_failed_at_first(reporter)) > _MOST_SECOND_TURNS:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _failed_at_first(reporter: pytest.TerminalReporter) -> Sequence[pytest.TestReport]:
    reports: Sequence[pytest.TestReport] = reporter.getreports("rerun")
    return reports


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Select asyncio, on which the service runs."""
    return "asyncio"


@pytest.fixture(scope="session")
def rabbitmq_url() -> Iterator[str]:
    """A real RabbitMQ server."""
    with services.rabbitmq() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A real PostgreSQL server."""
    with services.postgresql() as url:
        yield url


@pytest.fixture(scope="session")
def cosmos() -> Iterator[Account]:
    """A Cosmos DB server: a real account, the official emulator, or the one in the tests."""
    with cosmos_account() as account:
        yield account


@pytest.fixture(scope="session")
def plain_cosmos() -> Iterator[Account]:
    """The emulator of the tests over plain HTTP, so that a gate can be placed before it."""
    with own_emulator() as account:
        yield account


@pytest.fixture
def real_cosmos(cosmos: Account) -> Account:
    """A real account, which may be billed: only a real one throttles, signs and splits partitions."""
    if not cosmos.is_real:
        pytest.skip("a REAL COSMOS DB ACCOUNT is needed: COSMOS_TEST_ENDPOINT and COSMOS_TEST_KEY")
    return cosmos


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """An empty database, which is dropped afterwards."""
    with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture
def postgres_store_url(postgres_url: str) -> str:
    """A database with the event store's tables."""
    migrate(postgres_url)
    return postgres_url


@pytest.fixture
def other_postgres_store_url(postgres_server: str) -> Iterator[str]:
    """Another database with the event store's tables."""
    with fresh_database(postgres_server) as url:
        migrate(url)
        yield url


@pytest.fixture(autouse=True)
def _quiet_logs() -> None:
    """Log only warnings and errors, without the context of the previous test."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    structlog.contextvars.clear_contextvars()
