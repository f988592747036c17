"""The events of an approval in words."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from interfaces.console.api import Document

_Data = Mapping[str, Any]

_WORDS: Mapping[str, Callable[[_Data], str]] = {
    "approval.requested": lambda data: "requested it",
    "approval.revised": lambda data: (
        "changed the facts" + ("; everybody is asked again" if data["voids"] else "")
    ),
    "approval.agreed": lambda data: f"agreed{_for(data)}",
    "approval.objected": lambda data: f"objected{_for(data)}",
    "approval.stage_opened": lambda data: f"opened stage {data['opening']['name']}",
    "approval.approved": lambda data: f"approved it{_for(data)}",
    "approval.rejected": lambda data: f"rejected it{_for(data)}",
    "approval.withdrawn": lambda data: "withdrew it",
    "approval.expired": lambda data: "let it expire",
    "approval.reassigned": lambda data: f"reassigned it to {_whom(data['to'])}{_instead(data)}",
    "approval.escalated": lambda data: f"also asked {', '.join(map(_whom, data['to']))}, automatically",
    "approval.reminded": lambda data: "reminded those who are asked, automatically",
    "approval.claimed": lambda data: "claimed it",
    "approval.released": lambda data: "released it",
    "approval.commented": lambda data: "commented",
    "approval.became_undecidable": lambda data: "found too few people left who could agree",
    "approval.became_decidable": lambda data: "found enough people again who could agree",
}


def told(event: Mapping[str, Any], stages: Sequence[str]) -> Document:
    """Return one event: when, who, what they did in which stage, and their comment or reason."""
    data, type = Document(event["data"] or {}), str(event["type"])
    words = _WORDS.get(type)
    number = data["stage"]
    return Document(
        version=event["version"],
        at=event["timestamp"],
        who=event["actor"],
        what=words(data) if words and data else type,
        stage=stages[number] if isinstance(number, int) and number < len(stages) else None,
        said=data["comment"] or data["reason"] or data["text"],
    )


def _for(data: _Data) -> str:
    return f" for {data['onBehalfOf']}" if data["onBehalfOf"] else ""


def _instead(data: _Data) -> str:
    return f" instead of {data['insteadOf']}" if data["insteadOf"] else ""


def _whom(approver: _Data) -> str:
    if approver["user"]:
        return str(approver["user"])
    return f"group {approver['group']}" if approver["group"] else f"role {approver['role']}"
