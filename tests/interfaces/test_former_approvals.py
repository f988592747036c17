"""What a document of the platform's former service has to hold, and the command that it stands for."""

from datetime import UTC, datetime
from typing import Any

import pytest

from domain.values import derived_id
from interfaces.former_approvals import former_approval, not_kept, status_of
from interfaces.messaging.envelope import Unreadable
from tests.former_service import former_approval as left
from tests.harness import TENANT


def test_it_is_asked_for_under_its_id_with_all_that_the_contract_names() -> None:
    document = left()
    command = former_approval(document).command()
    assert (command.approval_id, command.meta.tenant) == (document["id"], TENANT)
    assert (command.meta.actor, command.requested_by) == ("system:adopt", None)
    assert command.meta.command_id == derived_id("adopt", TENANT, document["id"])
    assert command.meta.correlation_id == document["correlationId"]
    assert command.requested_at == datetime(2026, 8, 3, 9, 15, tzinfo=UTC)
    assert (command.opportunity_id, command.risk_score, command.amount) == ("opp-1", 0.87, 250_000)
    assert (command.owner_id, command.approver_id, command.recipient_id) == ("otto", "ada", "rita")
    assert command.approval_url == document["approvalUrl"]
    assert command.must_open


def test_who_names_no_correlation_that_is_a_uuid_belongs_to_the_taking_over() -> None:
    command = former_approval(left(correlationId="CRM 17")).command()
    assert command.correlation_id == "CRM 17"
    assert command.meta.correlation_id == command.meta.command_id


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "approval-17"),
        ("id", "0ED29C45-944A-4643-BE42-BBCBA0CD1684"),
        ("tenantId", "acme"),
        ("status", None),
        ("opportunityId", None),
        ("opportunityId", ""),
        ("riskScore", "0.9"),
        ("riskScore", float("nan")),
        ("amount", True),
        ("amount", 1e16),
        ("requestedAt", None),
        ("requestedAt", "yesterday"),
        ("ownerId", "a\x00b"),
        ("approverId", {"id": "ada"}),
        ("recipientId", "a\ud800b"),
    ],
)
def test_what_is_wrong_is_told_by_its_field_and_not_by_its_value(field: str, value: Any) -> None:
    with pytest.raises(Unreadable) as refused:
        former_approval(left(**{field: value}))
    assert str(refused.value).startswith(f"{field}: ")
    assert "; " not in str(refused.value)
    assert not isinstance(value, str) or not value or value not in str(refused.value)


@pytest.mark.parametrize(
    ("field", "value", "taken"),
    [
        ("owner_id", "", None),
        ("owner_id", 7, "7"),
        ("opportunity_id", 17.0, "17"),
        ("approval_url", "/approvals/1", None),
        ("requested_at", 1_785_748_500_000, datetime(2026, 8, 3, 9, 15, tzinfo=UTC)),
        ("requested_at", "2026-08-03T11:15:00+02:00", datetime(2026, 8, 3, 9, 15, tzinfo=UTC)),
    ],
)
def test_it_is_read_as_liberally_as_a_message(field: str, value: Any, taken: Any) -> None:
    first, _, second = field.partition("_")
    document = left() | {f"{first}{second.capitalize()}": value}
    assert getattr(former_approval(document).command(), field) == taken


def test_what_is_null_is_as_good_as_left_out() -> None:
    document = left() | dict.fromkeys(("ownerId", "approverId", "recipientId", "correlationId"))
    assert former_approval(document).command().owner_id is None


@pytest.mark.parametrize(("status", "told"), [("approved", "approved"), (None, None), (7, None), ("", None)])
def test_its_status_is_told_where_it_has_one(status: Any, told: str | None) -> None:
    assert status_of({"status": status}) == told


def test_members_that_the_contract_does_not_name_are_told() -> None:
    assert not_kept(left(createdAt="2026-08-03T09:15:00.000Z", dealName="Acme")) == {"createdAt", "dealName"}
