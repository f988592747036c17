"""One service with tokens for the tests of a file, and one Chromium: one without a window if there is one."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.visitor import SECRET, go_home, leave
from tests.harness import PATIENCE_SECONDS, ServiceProcess, service_process
from tests.services import missing


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder: Path = tmp_path_factory.mktemp("console")
    with service_process(folder, JWT_SECRET=SECRET, BATCH_JOBS_ENABLED="false") as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if path is None:
        missing("chromium")
    expect.set_options(timeout=PATIENCE_SECONDS * 1000)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        go_home(launched)
        launched.close()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """With nothing open but what a test opens."""
    yield chromium
    leave(chromium)
