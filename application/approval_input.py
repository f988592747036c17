"""What the input of an approval step may hold: the same as a request over REST."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from domain.approval import LONGEST_SUBJECT
from domain.faults import Fault
from domain.values import LONGEST_ID, MAX_NUMBER, is_amount, is_id

NAMES = (
    "opportunityId",
    "riskScore",
    "amount",
    "ownerId",
    "approverId",
    "recipientId",
    "approvalUrl",
    "requestedBy",
    "subject",
    "payload",
    "policy",
    "dueAt",
)
"""The names that mean something for the approval."""

_WEB_ADDRESS = re.compile(r"https?://[^\x00-\x20\x7f]{1,2040}")


def input_faults(input: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield a fault for each value that an approval cannot have. ``None`` counts as absent."""
    given = {name: input[name] for name in NAMES if input.get(name) is not None}
    for name, value in given.items():
        if (expected := _expected(name, value)) is not None:
            yield Fault(name, f"must be {expected}")


def _expected(name: str, value: Any) -> str | None:
    """Return what a value should have been, or None if it is that."""
    match name:
        case "riskScore" | "amount":
            return None if is_amount(value) else f"a number between {-MAX_NUMBER} and {MAX_NUMBER}"
        case "dueAt":
            return None if _is_moment(value) else "an ISO 8601 time with an offset"
        case "payload":
            return None if isinstance(value, dict) else "an object"
        case "subject":
            is_one = isinstance(value, str) and 0 < len(value) <= LONGEST_SUBJECT
            return None if is_one else f"a string of 1 to {LONGEST_SUBJECT} characters"
        case "approvalUrl":
            is_one = isinstance(value, str) and _WEB_ADDRESS.fullmatch(value) is not None
            return None if is_one else "a web address of at most 2048 characters"
    return None if is_id(value) else f"a string of 1 to {LONGEST_ID} characters, without control characters"


def _is_moment(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False
