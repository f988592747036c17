"""What a vote is about: a digest of the facts that a person saw when they decided.

The amount, the risk and the deal always count; of the payload, the places to which the policy binds, or all
of it. The form that is digested never changes, because the digests stand in the log as proof.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from domain.values import canonical

Payload = Mapping[str, Any]

MOST_PAYLOAD_BYTES = 64 * 1024

LONGEST_SUBJECT = 500


def digest_of(
    *,
    opportunity_id: str,
    amount: float,
    risk_score: float,
    payload: Payload | None,
    bound_to: Sequence[str] | None,
) -> str:
    """Return ``sha256:`` and the digest of the facts that matter, in hexadecimal digits."""
    matters: Any = payload
    if bound_to is not None:
        matters = {place: _at(payload, place) for place in bound_to}
    facts = {
        "opportunityId": opportunity_id,
        "amount": amount,
        "riskScore": risk_score,
        "payload": matters,
    }
    return f"sha256:{sha256(canonical(facts)).hexdigest()}"


def _at(payload: Payload | None, place: str) -> Any:
    """Return the value at a place such as ``terms.discount``. A missing value counts as ``null``.

    If the place leads into a list, the value is the whole list, so that no part of it is left out.
    """
    found: Any = payload
    for name in place.split("."):
        if isinstance(found, list | tuple):
            break
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
