"""One operation after another, along the contract's links."""

from collections.abc import Callable

import pytest
import schemathesis

from tests.contract.expectations import CHECKS
from tests.contract.exploration import configuration, explore

pytestmark = pytest.mark.timeout(600)


def test_every_answer_along_the_links_is_as_the_contract_says(
    signed_in: Callable[[schemathesis.Config], schemathesis.BaseSchema],
) -> None:
    findings = explore(signed_in(configuration("stateful", examples=80)))
    assert not findings.faults, findings.told
    assert findings.checks == CHECKS
    assert len(findings.links) >= 3, "by luck; test_links.py follows each"
