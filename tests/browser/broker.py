"""A broker's names for a test with a browser, whose own event loop nothing else may run in."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import anyio

from tests.neighbours import Names, forget


@contextmanager
def forgotten(url: str, names: Names) -> Iterator[None]:
    """What bears the names on the broker is deleted at the end."""
    try:
        yield
    finally:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(anyio.run, forget, url, names).result()
