"""The command line of a release whose approvals are folded otherwise: each has a ``shade``."""

from collections.abc import Mapping
from typing import Any

from config import main
from domain.event import Recorded
from projections.approvals import Approvals

_apply = Approvals.apply


def apply(self: Approvals, documents: Mapping[str, Any], recorded: Recorded) -> Mapping[str, Any]:
    """As before, and one field more."""
    return {id: body | {"shade": "blue"} for id, body in _apply(self, documents, recorded).items()}


if __name__ == "__main__":
    Approvals.apply = apply  # type: ignore[method-assign]
    main.main()
