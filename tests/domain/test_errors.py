"""The tree of refusals and failures, and what is told of one where there is room for a line."""

import inspect
import re

from domain import errors
from domain.errors import LONGEST_LINE, BadInput, OpportunityRequired, WorkflowNotRunning
from domain.faults import Fault


def test_the_tree_names_every_error() -> None:
    classes = [each for _, each in inspect.getmembers(errors, inspect.isclass)]
    there = {each.__name__ for each in classes if each.__module__ == errors.__name__}
    assert there - {*re.findall(r"\w+", inspect.getdoc(errors) or "")} == set()


def fault(number: int, message: str = "is missing") -> Fault:
    return Fault(f"input.lines[{number}]", message)


def test_every_fault_is_told_by_its_field() -> None:
    refused = BadInput("the input is not valid for order", [fault(0), fault(1, "is not known")])
    told = "the input is not valid for order: input.lines[0]: is missing; input.lines[1]: is not known"
    assert refused.in_a_line == told


def test_of_many_faults_the_rest_are_counted() -> None:
    faults = [fault(number, "x" * 300) for number in range(100)]
    refused = BadInput("the input is not valid for order", faults)
    assert refused.in_a_line.endswith("x (and 97 more)")
    assert len(refused.in_a_line) < LONGEST_LINE + len(" (and 100 more)")


def test_what_the_message_says_already_is_not_told_again() -> None:
    message = "deal-check needs an opportunity"
    refused = OpportunityRequired(message, [Fault("opportunityId", message)])
    assert refused.in_a_line == message


def test_a_refusal_without_faults_is_its_message() -> None:
    assert (
        WorkflowNotRunning("the workflow is failed", {"status": "failed"}).in_a_line
        == "the workflow is failed"
    )
    assert BadInput("the key does not fit").in_a_line == "the key does not fit"
