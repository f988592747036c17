"""For a process under libfaketime alone, found through PYTHONPATH.

libfaketime 0.9.10 fails ``clock_nanosleep`` with EINVAL where it leaves the monotonic clock alone, and that
is how Python 3.11 sleeps. Waiting for an event that never comes takes as long.
"""

import threading
import time
from typing import SupportsIndex


def _sleep(seconds: float | SupportsIndex) -> None:
    threading.Event().wait(float(seconds))


time.sleep = _sleep
