"""New ids: random UUIDs, made where a request or a message comes in."""

import os

_BYTES = 16
_POOL_BYTES = 4096

_pool = memoryview(b"")


def new_id() -> str:
    """A UUIDv4 from the system's randomness, of which a page is asked for at a time.

    ``uuid4()`` asks for each id, and gives the interpreter's lock away for it: with a store's thread at work
    that takes as long as all the rest of a short request. To be called on the event loop's thread alone.
    """
    global _pool
    if not _pool:
        _pool = memoryview(os.urandom(_POOL_BYTES))
    taken, _pool = _pool[:_BYTES], _pool[_BYTES:]
    digits = taken.hex()
    variant = "89ab"[taken[8] >> 6]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
