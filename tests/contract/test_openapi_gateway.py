"""The contract behind a gateway, and over a port: who asks is in headers. What else an operation may be asked
is looked at where each request has its token (``test_openapi_answers.py``).
"""

from copy import deepcopy
from pathlib import Path

import pytest
import schemathesis

from tests.contract.contract import DOCUMENT, operations
from tests.contract.expectations import CHECKS, STREAM_SECONDS, never_successful
from tests.contract.exploration import configuration, explore
from tests.harness import service_process

pytestmark = pytest.mark.timeout(600)

PHASES = ("examples", "fuzzing", "stateful")


def test_behind_a_gateway_and_on_a_port_every_answer_is_as_the_contract_says(tmp_path: Path) -> None:
    with service_process(tmp_path, AUTH_MODE="gateway", MAX_STREAM_SECONDS=STREAM_SECONDS) as process:
        trusting = configuration(*PHASES, examples=5, without_checks=("ignored_auth",))
        schema = schemathesis.openapi.from_dict(deepcopy(DOCUMENT), config=trusting)
        schema.config.update(base_url=process.url)
        findings = explore(schema)
    assert not findings.faults, findings.told
    assert findings.phases == set(PHASES)
    assert findings.checks == CHECKS - {"ignored_auth"}
    assert len(never_successful(findings)) < len(operations()) / 2
