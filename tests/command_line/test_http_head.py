"""What a connection may send before it has said what it wants."""

import json
import socket
import struct
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from interfaces.rest.http_protocol import MAX_HEAD_BYTES
from tests.contract.contract import validate_document
from tests.harness import TENANT, service_process
from tests.plain_http import NO_TLS


def test_a_head_without_end_is_cut_off_and_others_are_served(tmp_path: Path) -> None:
    with service_process(tmp_path) as service:
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: ")
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


def test_a_url_that_is_too_long_is_told_as_what_it_is(tmp_path: Path) -> None:
    too_long = b"GET /%b HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"x" * (MAX_HEAD_BYTES - 1))
    with service_process(tmp_path) as service:
        head, error = _told(service.port, too_long)
        assert head.startswith(b"HTTP/1.1 431 ")
        assert error["code"] == "HEADERS_TOO_LARGE"
        validate_document("Error", {"error": error})
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            first = connection.recv(65536)
            connection.sendall(too_long)
            later = connection.makefile("rb").read()
        assert first.startswith(b"HTTP/1.1 200 ")
        assert b"HTTP/1.1 431 " in later


def test_what_is_no_http_is_refused_in_the_contracts_shape(tmp_path: Path) -> None:
    with service_process(tmp_path) as service:
        for sent in (
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n",
            b"hello\r\n\r\n",
        ):
            head, error = _told(service.port, sent)
            assert head.startswith(b"HTTP/1.1 400 ")
            assert (error["code"], error["message"]) == ("VALIDATION_ERROR", "this is not an HTTP request")
            assert f"x-request-id: {error['requestId']}".encode() in head


def test_who_asks_for_more_without_waiting_may_hang_up_at_any_time(tmp_path: Path) -> None:
    """No error of ours is in the log."""
    asked = b"GET /api/v1/hitl/approvals HTTP/1.1\r\nHost: localhost\r\nX-Tenant-ID: %b\r\n\r\n"
    with service_process(tmp_path) as service:
        for _ in range(100):
            with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.sendall(asked % TENANT.encode() * 30)
                assert connection.recv(1) == b"H"
        assert httpx.get(f"{service.url}/health", verify=NO_TLS).status_code == 200
        assert service.terminate() == 0
        assert "Traceback" not in service.log


def _told(port: int, sent: bytes) -> tuple[bytes, dict[str, str]]:
    """The head of the answer to what is sent, and the error in its body."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(sent)
        head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
    return head, json.loads(body)["error"]


CHUNKED = b"Host: localhost\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n"
ENOUGH_BYTES = 16 * 2**20


@pytest.mark.parametrize("piece", [b"a: b\r\n" * 10_000, b"x" * 65_536], ids=["many", "a long one"])
@pytest.mark.parametrize("path", [b"/health", b"/api/v1/hitl/approvals"], ids=["answered", "refused"])
def test_trailers_without_end_are_cut_off(tmp_path: Path, path: bytes, piece: bytes) -> None:
    with (
        service_process(tmp_path) as service,
        socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection,
    ):
        connection.sendall(b"GET %b HTTP/1.1\r\n%b\r\n2\r\n{}\r\n0\r\nlong: " % (path, CHUNKED))
        sent = 0
        with suppress(OSError):
            while sent < ENOUGH_BYTES:
                connection.sendall(piece)
                sent += len(piece)
        assert sent < ENOUGH_BYTES
        assert httpx.get(f"{service.url}/health", verify=NO_TLS).status_code == 200


@pytest.mark.parametrize("pause", [False, True], ids=["with the head", "later"])
def test_trailers_say_nothing_of_who_the_caller_is(tmp_path: Path, pause: bool) -> None:
    """A gateway that passes them on lets none of a client's own headers through."""
    told = f"X-Tenant-ID: {TENANT}\r\nX-User-ID: mallory\r\nX-User-Roles: admin\r\n".encode()
    with (
        service_process(tmp_path) as service,
        socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection,
    ):
        connection.sendall(
            b"GET /api/v1/hitl/approvals HTTP/1.1\r\n%b\r\n%b"
            % (CHUNKED, b"" if pause else b"2\r\n{}\r\n0\r\n%b\r\n" % told)
        )
        if pause:
            connection.sendall(b"2\r\n{}\r\n0\r\n%b\r\n" % told)
        assert connection.recv(65536).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 401 "))


def test_trailers_are_no_part_of_the_request(tmp_path: Path) -> None:
    body = b'{"opportunityId": "o", "riskScore": 1, "amount": 1}'
    with (
        service_process(tmp_path) as service,
        socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection,
    ):
        connection.sendall(
            b"POST /api/v1/hitl/approvals HTTP/1.1\r\n%bX-Tenant-ID: %b\r\nX-User-ID: ada\r\n"
            b"Connection: close\r\n\r\n%x\r\n%b\r\n0\r\nX-User-ID: mallory\r\nX-Checksum: 1\r\n\r\n"
            % (CHUNKED, TENANT.encode(), len(body), body)
        )
        head, _, answer = connection.makefile("rb").read().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 201 ")
        assert json.loads(answer)["requestedBy"] == "ada"
