"""A test that hangs is ended within its event loop (``tests/conftest.py``)."""

import anyio
import pytest


@pytest.mark.anyio
@pytest.mark.timeout(5.5)
@pytest.mark.xfail(raises=TimeoutError, strict=True, reason="it hangs")
async def test_an_asynchronous_test_that_hangs_ends_by_a_timeout_of_its_loop() -> None:
    await anyio.sleep_forever()
