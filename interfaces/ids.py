"""New IDs for requests and messages: random UUIDs."""

import os

_BYTES = 16
_POOL_BYTES = 4096

_pool = memoryview(b"")


def new_id() -> str:
    """Return a UUIDv4. Call this only in the event loop's thread.

    Random bytes are read from the system a page at a time. ``uuid4()`` reads them for each ID and releases
    the interpreter's lock: if a store's thread is running, that takes as long as the rest of a short request.
    """
    global _pool
    if not _pool:
        _pool = memoryview(os.urandom(_POOL_BYTES))
    taken, _pool = _pool[:_BYTES], _pool[_BYTES:]
    digits = taken.hex()
    variant = "89ab"[taken[8] >> 6]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
