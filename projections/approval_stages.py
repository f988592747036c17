"""The stages of an approval, as its document shows them: who is asked, who has said what, who is missing."""

from collections.abc import Mapping, Sequence

from domain.approval import ApprovalAgreed, ApprovalObjected, Approver, Opening, Policy
from domain.values import timestamp
from projections.ports import Json


def stages_of(policy: Policy, opening: Opening) -> list[Json]:
    """Every stage of a policy, of which one opens."""
    stages: list[Json] = [
        {
            "name": stage.name,
            "status": "waiting",
            "agree": stage.agree,
            "rejections": stage.rejections,
            "approvers": [_approver(approver) for approver in stage.approvers],
            "votes": [],
        }
        for stage in policy.stages
    ]
    return opened_stage(stages, opening)


def opened_stage(stages: Sequence[Json], opening: Opening, *, anew: bool = False) -> list[Json]:
    """The stages after one has opened; ``anew``, where what was said before counts no more."""
    after = []
    for number, stage in enumerate(stages):
        status = "waiting" if number > opening.stage else "agreed"
        votes = [] if anew else stage["votes"]
        if number == opening.stage:
            status = "open"
        unmissed = {name: value for name, value in stage.items() if name != "missing"}
        after.append({**unmissed, "status": status, "votes": votes})
    return after


def voted(stages: Sequence[Json], vote: ApprovalAgreed | ApprovalObjected) -> list[Json]:
    """The stages after somebody has said something."""
    said = {
        "by": vote.by,
        "onBehalfOf": vote.on_behalf_of,
        "decision": "approve" if isinstance(vote, ApprovalAgreed) else "reject",
        "at": timestamp(vote.at),
        "payloadDigest": vote.digest,
        "comment": vote.comment,
    }
    given = {name: value for name, value in said.items() if value is not None}
    return _with(stages, vote.stage, {"votes": [*stages[vote.stage]["votes"], given]})


def agreed_stage(stages: Sequence[Json], vote: ApprovalAgreed) -> list[Json]:
    """The stages after somebody has agreed."""
    changes = {"missing": vote.missing} if vote.missing else {"missing": 0, "status": "agreed"}
    return _with(voted(stages, vote), vote.stage, changes)


def _with(stages: Sequence[Json], number: int, changes: Mapping[str, object]) -> list[Json]:
    return [{**stage, **changes} if each == number else stage for each, stage in enumerate(stages)]


def _approver(approver: Approver) -> Json:
    if approver.user is not None:
        return {"user": approver.user}
    kind = "group" if approver.group is not None else "role"
    return {kind: approver.name, "count": "all" if approver.count is None else approver.count}
