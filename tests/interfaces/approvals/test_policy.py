"""Policies as people write them: what they stand for, and every fault at its place."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.approval import Approver, Escalation, Policy, Stage
from interfaces.approvals.policy import ChosenPolicy, PolicyDocument
from interfaces.fields import Silent
from interfaces.rest.models import ApiModel, faults

Json = dict[str, Any]


class Body(ApiModel):
    """As a request carries a policy."""

    policy: Silent[ChosenPolicy] = None


def read(document: Json) -> Policy:
    return PolicyDocument.model_validate(document).policy()


def stage(*approvers: Json, **parts: Any) -> Json:
    return {"name": "finance", "approvers": list(approvers) or [{"user": "ada"}], **parts}


def policy(*stages: Json, **parts: Any) -> Json:
    return {"stages": list(stages) or [stage()], **parts}


def told(document: Any) -> dict[str, str]:
    """The faults of a policy in a request, by their places."""
    with pytest.raises(ValidationError) as refused:
        Body.model_validate({"policy": document})
    return {each.field: each.message for each in faults(refused.value, Body)}


def test_all_that_a_policy_may_say() -> None:
    document = {
        "stages": [
            {
                "name": "review",
                "approvers": [{"user": "ada"}, {"group": "finance", "count": 2}, {"role": "cfo", "count": 3}],
                "agree": 4,
                "rejections": 2,
                "remindAfter": ["4h", 90],
                "escalate": [{"after": "2d", "to": [{"group": "executives"}, {"user": "edna"}]}],
            },
            {"name": "all of legal", "approvers": [{"group": "legal", "count": "all"}], "agree": "all"},
        ],
        "due": "16h",
        "grace": "30m",
        "boundTo": ["discount", "terms.days"],
        "reasonOnRejection": True,
    }
    assert read(document) == Policy(
        stages=(
            Stage(
                name="review",
                approvers=(
                    Approver(user="ada"),
                    Approver(group="finance", count=2),
                    Approver(role="cfo", count=3),
                ),
                agree=4,
                rejections=2,
                remind_after_seconds=(14_400.0, 90.0),
                escalations=(
                    Escalation(
                        after_seconds=172_800.0, to=(Approver(group="executives"), Approver(user="edna"))
                    ),
                ),
            ),
            Stage(name="all of legal", approvers=(Approver(group="legal", count=None),)),
        ),
        due_after_seconds=57_600.0,
        grace_seconds=1_800.0,
        bound_to=("discount", "terms.days"),
        reason_on_rejection=True,
    )


def test_what_a_policy_does_not_say_is_as_the_domain_has_it() -> None:
    (shown,) = read(policy(stage({"user": "ada"}, {"group": "finance"}, {"role": "cfo"}))).stages
    approvers = (Approver(user="ada"), Approver(group="finance"), Approver(role="cfo"))
    assert shown == Stage(name="finance", approvers=approvers)
    assert read(policy()) == Policy(stages=(Stage(name="finance", approvers=(Approver(user="ada"),)),))


@pytest.mark.parametrize(
    ("agree", "needed"), [("any", 1), ("all", "all"), (1, 1), (2, 2), (2.0, 2)], ids=lambda value: str(value)
)
def test_any_is_one_and_a_number_is_a_number(agree: Any, needed: Any) -> None:
    (shown,) = read(policy(stage({"group": "finance", "count": 2}, agree=agree))).stages
    assert shown.agree == needed


def test_nothing_of_the_payload_may_matter_or_all_of_it() -> None:
    assert read(policy(boundTo=[])).bound_to == ()
    assert read(policy()).bound_to is None


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "stages"),
        ({"stages": []}, "stages"),
        (policy(*(stage(name=str(n)) for n in range(11))), "stages"),
        (policy(colour="red"), "colour"),
        (policy(due="1 week"), "due"),
        (policy(due="367d"), "due"),
        (policy(due=None), "due"),
        (policy(grace=-1), "grace"),
        (policy(boundTo="discount"), "boundTo"),
        (policy(boundTo=["a"] * 51), "boundTo"),
        (policy(boundTo=["a", "a..b"]), "boundTo.1"),
        (policy(boundTo=[".a"]), "boundTo.0"),
        (policy(boundTo=["a\n"]), "boundTo.0"),
        (policy(boundTo=["x" * 256]), "boundTo.0"),
        (policy(reasonOnRejection="yes"), "reasonOnRejection"),
        (policy(stage(name="")), "stages.0.name"),
        (policy(stage(approvers=[])), "stages.0.approvers"),
        (policy(stage(*({"user": str(n)} for n in range(21)))), "stages.0.approvers"),
        (policy(stage("ada")), "stages.0.approvers.0"),  # type: ignore[arg-type]
        (policy(stage({})), "stages.0.approvers.0"),
        (policy(stage({"users": "ada"})), "stages.0.approvers.0"),
        (policy(stage({"user": "ada", "group": "finance"})), "stages.0.approvers.0"),
        (policy(stage({"user": "ada", "count": 2})), "stages.0.approvers.0.count"),
        (policy(stage({"user": ""})), "stages.0.approvers.0.user"),
        (policy(stage({"user": None})), "stages.0.approvers.0.user"),
        (policy(stage({"group": "finance", "count": 0})), "stages.0.approvers.0.count"),
        (policy(stage({"group": "finance", "count": 51})), "stages.0.approvers.0.count"),
        (policy(stage({"group": "finance", "count": "some"})), "stages.0.approvers.0.count"),
        (policy(stage({"group": "finance", "count": True})), "stages.0.approvers.0.count"),
        (policy(stage({"role": "cfo", "count": "all"})), "stages.0.approvers.0.count"),
        (policy(stage({"role": "cfo", "count": 1.5})), "stages.0.approvers.0.count"),
        (policy(stage(agree="most")), "stages.0.agree"),
        (policy(stage(agree=0)), "stages.0.agree"),
        (policy(stage(agree=True)), "stages.0.agree"),
        (policy(stage(agree=None)), "stages.0.agree"),
        (policy(stage(rejections=0)), "stages.0.rejections"),
        (policy(stage(remindAfter=["1h"] * 11)), "stages.0.remindAfter"),
        (policy(stage(remindAfter=["1h", "soon"])), "stages.0.remindAfter.1"),
        (policy(stage(escalate=[{"after": "1h", "to": [{"user": "a"}]}] * 6)), "stages.0.escalate"),
        (policy(stage(escalate=[{"after": "1h", "to": []}])), "stages.0.escalate.0.to"),
        (policy(stage(escalate=[{"to": [{"user": "a"}]}])), "stages.0.escalate.0.after"),
    ],
)
def test_what_no_policy_may_say_is_one_fault_at_its_place(document: Json, field: str) -> None:
    assert list(told(document)) == [f"policy.{field}"]


def test_what_does_not_go_together_is_told_at_its_place_as_well() -> None:
    assert told(
        policy(
            stage({"user": "ada"}, {"user": "ada"}, agree=3),
            stage({"group": "finance", "count": 30}, {"group": "legal", "count": 21}, name="many"),
        )
    ) == {
        "policy.stages.0.approvers.1": "user:ada is named twice; use count",
        "policy.stages.0.agree": "must be at most 2, the number of seats",
        "policy.stages.1.approvers": "must have at most 50 seats, not 51",
    }
    twice = {"policy.stages.1.name": "another stage is already named finance"}
    assert told(policy(stage(), stage())) == twice


def test_a_fault_of_one_stage_hides_none_of_another() -> None:
    found = told(policy(stage(agree=5), stage({"user": ""}, name="legal"), due="soon"))
    assert set(found) == {"policy.stages.0.agree", "policy.stages.1.approvers.0.user", "policy.due"}


def test_a_policy_is_named_or_described() -> None:
    assert Body.model_validate({"policy": "two-eyes"}).policy == "two-eyes"
    described = Body.model_validate({"policy": policy()}).policy
    assert isinstance(described, PolicyDocument)
    assert Body.model_validate({}).policy is None
    assert list(told("x" * 129)) == list(told(5)) == list(told([])) == list(told(None)) == ["policy"]


def test_the_schema_of_an_approver_is_one_of_three_that_are_closed() -> None:
    schema = PolicyDocument.model_json_schema()["$defs"]
    items = schema["StageDocument"]["properties"]["approvers"]["items"]
    names = [each["$ref"].rpartition("/")[2] for each in items["anyOf"]]
    assert names == ["UserApprover", "GroupApprover", "RoleApprover"]
    assert all(schema[name]["additionalProperties"] is False for name in names)


_ids = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f"), min_size=1)
_counts = st.integers(1, 50)
_approvers = st.one_of(
    st.fixed_dictionaries({"user": _ids}),
    st.fixed_dictionaries({"group": _ids}, optional={"count": _counts | st.just("all")}),
    st.fixed_dictionaries({"role": _ids}, optional={"count": _counts}),
)
_durations = st.integers(0, 1_000_000) | st.sampled_from(["15m", "2h", "1d", "1.5h"])
_stages = st.fixed_dictionaries(
    {"name": _ids, "approvers": st.lists(_approvers, min_size=1, max_size=4)},
    optional={
        "agree": st.sampled_from(["any", "all"]) | _counts,
        "rejections": _counts,
        "remindAfter": st.lists(_durations, max_size=3),
        "escalate": st.lists(
            st.fixed_dictionaries({"after": _durations, "to": st.lists(_approvers, min_size=1, max_size=2)}),
            max_size=2,
        ),
    },
)
_policies = st.fixed_dictionaries(
    {"stages": st.lists(_stages, min_size=1, max_size=3)}, optional={"due": _durations, "grace": _durations}
)


def kinds_of_faults(document: Json) -> set[str]:
    try:
        read(document)
    except ValidationError as refused:
        return {each["type"] for each in refused.errors()}
    return set()


@given(_policies)
def test_what_is_read_has_no_fault_in_the_domain_and_survives_being_stored(document: Json) -> None:
    kinds = kinds_of_faults(document)
    assert kinds <= {"rule"}
    if not kinds:
        found = read(document)
        assert list(found.faults()) == []
        assert msgspec.json.decode(msgspec.json.encode(found), type=Policy) == found
