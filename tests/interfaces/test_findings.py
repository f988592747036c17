"""What pydantic finds, as senders of JSON are told of it."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from domain.suggestions import did_you_mean
from interfaces.approvals.file import ApprovalsDocument
from interfaces.definitions.document import DefinitionDocument
from interfaces.findings import findings
from interfaces.rest.approval_models import CreateApprovalRequest, DecisionsRequest
from interfaces.rest.models import BulkRequest, WorkflowFilters


def told(model: type[BaseModel], document: Any) -> dict[str, str]:
    """The messages of those findings that name something, by their places."""
    with pytest.raises(ValidationError) as refused:
        model.model_validate(document)
    return {"/".join(map(str, place)): message for place, message in findings(refused.value, model)}


@pytest.mark.parametrize(
    ("model", "document", "place", "meant"),
    [
        (WorkflowFilters, {"opportunity": "x"}, "opportunity", "opportunityId"),
        (CreateApprovalRequest, {"AMOUNT": 5}, "AMOUNT", "amount"),
        (BulkRequest, {"filter": {"opportunityID": "x"}}, "filter/opportunityID", "opportunityId"),
        (DecisionsRequest, {"decisions": [{"aprovalId": "x"}]}, "decisions/0/aprovalId", "approvalId"),
        (
            CreateApprovalRequest,
            {"policy": {"stages": [{"approvers": [{"group": "g", "cuont": 1}]}]}},
            "policy/stages/0/approvers/0/cuont",
            "count",
        ),
        (
            DefinitionDocument,
            {"steps": [{"stepType": "x", "map": {"each": {"retry": {"attemts": 2}}}}]},
            "steps/0/map/each/retry/attemts",
            "attempts",
        ),
        (DefinitionDocument, {"steps": [{"dependsOn": ["b"]}]}, "steps/0/dependsOn", "after"),
        (DefinitionDocument, {"steps": [{"retries": 3}]}, "steps/0/retries", "retry"),
        (DefinitionDocument, {"steps": [{"map": {"each": {"with": {}}}}]}, "steps/0/map/each/with", "input"),
        (
            ApprovalsDocument,
            {"tenants": {"*": {"policies": {"stages": {"stagse": []}}}}},
            "tenants/*/policies/stages/stagse",
            "stages",
        ),
    ],
)
def test_of_an_unknown_member_the_nearest_in_its_place_may_have_been_meant(
    model: type[BaseModel], document: Any, place: str, meant: str
) -> None:
    assert told(model, document)[place] == f"is not known; did you mean {meant}?"


def test_what_is_near_nothing_is_just_not_known() -> None:
    assert told(WorkflowFilters, {"colour": "red"}) == {"colour": "is not known"}
    assert did_you_mean("definition" * 3, ["definition"]) == ""
    assert did_you_mean("x", []) == ""


@pytest.mark.parametrize(
    ("model", "document", "message"),
    [
        (DecisionsRequest, [], "Input should be an object"),
        (DecisionsRequest, {"decisions": {}}, "Input should be an array"),
        (DecisionsRequest, {"decisions": [5]}, "Input should be an object"),
        (DecisionsRequest, {"decisions": []}, "Array should have at least 1 item after validation, not 0"),
        (
            DefinitionDocument,
            {"name": "a", "steps": [{"stepType": "x", "input": {str(n): "@" for n in range(101)}}]},
            "Object should have at most 100 items after validation, not more",
        ),
    ],
)
def test_types_have_the_names_that_json_gives_them(
    model: type[BaseModel], document: Any, message: str
) -> None:
    assert message in told(model, document).values()
