"""What an agreement is about: a digest of the facts that a person has seen when they decided.

The amount, the risk and the deal always count; of the payload, the places that the policy binds to, or all
of it. The form that is digested never changes: the digests stand in the log as proof.
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
    """``sha256:`` and the digest, in hexadecimal digits, of the facts that matter."""
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
    """What stands at a place such as ``terms.discount``; what is not there is as good as ``null``.

    Where it leads into a list it is the whole list: nothing of that is left open.
    """
    found: Any = payload
    for name in place.split("."):
        if isinstance(found, list | tuple):
            break
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
