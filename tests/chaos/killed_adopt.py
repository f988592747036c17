"""``adopt`` in a process that ends as by kill -9 at a given moment.

``python -m tests.chaos.killed_adopt <moment>``
"""

import sys
from typing import Any

from application.approvals import ApprovalHandlers
from application.event_store import EventStore
from config import main
from config.commands.adopt import TakingOver
from tests.chaos.killed_erase import die_before

BEFORE: dict[str, tuple[Any, str, int]] = {
    "nothing": (ApprovalHandlers, "request_approval", 1),
    "two and before the third": (ApprovalHandlers, "request_approval", 3),
    "two and an answer to the second": (EventStore, "_note_answers", 2),
    "all and told": (TakingOver, "told", 1),
}
"""What was done by then, and before which call of what the process dies."""


if __name__ == "__main__":
    die_before(*BEFORE[sys.argv.pop(1)])
    sys.argv.insert(1, "adopt")
    main.main()
