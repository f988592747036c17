"""What a connection may send before it has said what it wants."""

import json
import socket
from contextlib import suppress
from pathlib import Path

import httpx

from tests.harness import TENANT, service_process
from tests.plain_http import NO_TLS


def test_a_head_without_end_is_cut_off_and_others_are_served(tmp_path: Path) -> None:
    with service_process(tmp_path) as service:
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ")
            sent = 0
            answer = b""
            with suppress(OSError):
                while sent < 16 * 2**20:
                    connection.sendall(b"x" * 65536)
                    sent += 65536
            with suppress(OSError):
                answer = connection.recv(65536)
        assert sent < 16 * 2**20
        assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")
        assert httpx.get(f"{service.url}/health", verify=NO_TLS).status_code == 200
        with httpx.Client(base_url=service.url, headers={"X-Tenant-ID": TENANT}, verify=NO_TLS) as client:
            for size in (500_000, 65_536, 900_000, 1):
                body = {"opportunityId": "o", "riskScore": 1, "amount": 1, "approvalUrl": "x" * size}
                assert client.post("/api/v1/hitl/approvals", json=body).status_code == 400


def test_what_is_no_http_is_refused_in_the_contracts_shape(tmp_path: Path) -> None:
    with service_process(tmp_path) as service:
        for sent in (b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", b"hello\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
                connection.sendall(sent)
                head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 400 ")
            error = json.loads(body)["error"]
            assert (error["code"], error["message"]) == ("VALIDATION_ERROR", "this is no HTTP request")
            assert f"x-request-id: {error['requestId']}".encode() in head
