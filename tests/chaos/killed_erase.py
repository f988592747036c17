"""``erase`` in a process that ends as by kill -9 at a given moment.

``python -m tests.chaos.killed_erase <moment> --tenant <tenant> …``
"""

import os
import signal
import sys
from typing import Any

from application.privacy.erasing import Erasing
from config import main
from config.commands.erased_documents import ErasedDocuments
from infrastructure.sqlite.personal_keys import SqlitePersonalKeys

BEFORE: dict[str, tuple[Any, str, int]] = {
    "destroyed": (SqlitePersonalKeys, "untold", 1),
    "waited": (Erasing, "_streams", 1),
    "found": (Erasing, "_record", 1),
    "told": (ErasedDocuments, "remake", 1),
    "remade": (SqlitePersonalKeys, "note_told", 1),
    "noted": (Erasing, "_streams", 2),
    "told of the second": (ErasedDocuments, "remake", 2),
}
"""Before which call of what the process dies, by the moment."""


def die_before(owner: Any, name: str, call: int) -> None:
    """No cleaning up."""
    found, seen = getattr(owner, name), [0]

    def dies(*arguments: Any) -> Any:
        seen[0] += 1
        if seen[0] == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return found(*arguments)

    setattr(owner, name, dies)


if __name__ == "__main__":
    die_before(*BEFORE[sys.argv.pop(1)])
    sys.argv.insert(1, "erase")
    main.main()
