"""The contract behind a gateway, and over a port."""

from pathlib import Path

import pytest
import schemathesis

from tests.contract.expectations import (
    BY_LUCK,
    CHECKS,
    OF_A_RUN,
    OF_A_TASK,
    OF_ANOTHER,
    OF_PARKED,
    SELDOM_SUCCESSFUL,
    STREAM_SECONDS,
    never_successful,
)
from tests.contract.exploration import PHASES, configuration, explore
from tests.harness import service_process

pytestmark = pytest.mark.timeout(600)


def test_behind_a_gateway_and_on_a_port_every_answer_is_as_the_contract_says(tmp_path: Path) -> None:
    with service_process(tmp_path, AUTH_MODE="gateway", MAX_STREAM_SECONDS=STREAM_SECONDS) as process:
        trusting = configuration(*PHASES, examples=5, without_checks=("ignored_auth",))
        schema = schemathesis.openapi.from_url(f"{process.url}/openapi.yaml", config=trusting)
        schema.config.update(base_url=process.url)
        findings = explore(schema)
    assert not findings.faults, findings.told
    assert findings.phases == set(PHASES)
    assert findings.checks == CHECKS - {"ignored_auth"}
    assert (
        never_successful(findings)
        <= SELDOM_SUCCESSFUL | OF_A_TASK | OF_A_RUN | OF_PARKED | OF_ANOTHER | BY_LUCK
    )
