"""Each operation alone: every answer to good and bad requests is as the contract says."""

from collections.abc import Callable

import pytest
import schemathesis

from tests.contract.expectations import (
    CHECKS,
    OF_A_NAME,
    OF_A_RUN,
    OF_A_TASK,
    OF_ANOTHER,
    OF_PARKED,
    SELDOM_SUCCESSFUL,
    never_successful,
)
from tests.contract.exploration import configuration, explore

pytestmark = pytest.mark.timeout(600)


def test_every_answer_to_good_and_bad_requests_is_as_the_contract_says(
    signed_in: Callable[[schemathesis.Config], schemathesis.BaseSchema],
) -> None:
    phases = ("examples", "coverage", "fuzzing")
    findings = explore(signed_in(configuration(*phases, examples=10)))
    assert not findings.faults, findings.told
    assert findings.phases == set(phases)
    assert findings.checks == CHECKS
    seldom = SELDOM_SUCCESSFUL | OF_A_TASK | OF_A_NAME | OF_A_RUN | OF_PARKED | OF_ANOTHER
    assert never_successful(findings) <= seldom
