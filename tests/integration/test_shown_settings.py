"""The settings, as the platform's operators are shown them: without a secret."""

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.contract.contract import validate_document
from tests.harness import OTHER_TENANT, SYSTEM_TENANT, TENANT, service, settings_in

pytestmark = pytest.mark.anyio

SECRETS = {
    "JWT_SECRET": "a-secret-of-at-least-thirty-two-bytes!",
    "PRIVACY_MASTER_KEY": base64.b64encode(b"a-master-key-of-thirty-two-bytes").decode(),
}


async def test_settings_are_shown_to_operators_without_their_secrets(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        **SECRETS,
        "AUTH_MODE": "gateway",
        "RABBITMQ_URL": "amqp://someone:their-password@127.0.0.1:1/",
    }
    overlay = {
        "jwt": {"issuer": "${THE_ISSUER:-us}"},
        "server": {"max_requests": 9},
        "service": {"name": "us"},
    }
    settings = settings_in(tmp_path, overlay=overlay, **given)
    async with service(settings) as running:
        operator = {"X-User-ID": "ada", "X-User-Roles": settings.approvals.operator_roles[0]}
        async with running.client(SYSTEM_TENANT, **operator) as client:
            answer = await client.get("/api/v1/system/settings")
        assert answer.status_code == 200, answer.text
        validate_document("ShownSettings", answer.json())
        shown = answer.json()
        assert shown["settings"]["rabbitmq"]["url"] == "amqp://someone:***@127.0.0.1:1/"
        assert shown["sources"]["rabbitmq.url"] == {"from": "environment", "variables": ["RABBITMQ_URL"]}
        assert shown["sources"]["jwt.secret"] == {"from": "environment", "variables": ["JWT_SECRET"]}
        assert shown["sources"]["jwt.issuer"] == shown["sources"]["server.max_requests"] == {"from": "file"}
        assert shown["sources"]["server.port"] == {"from": "default"}
        assert {"workflow-orchestrator", "python", "starlette"} <= shown["versions"].keys()
        for secret in (*SECRETS.values(), "their-password"):
            assert secret not in answer.text
        for tenant, headers in (
            (TENANT, operator),
            (OTHER_TENANT, operator),
            (SYSTEM_TENANT, {"X-User-ID": "ann"}),
        ):
            async with running.client(tenant, **headers) as client:
                answer = await client.get("/api/v1/system/settings")
            assert answer.status_code == 403
            assert "amqp" not in answer.text
