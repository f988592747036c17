"""For HEALTHCHECK, in an image without curl: exit code 0 if the service on ``PORT`` answers ``/health``."""

import http.client
import os
import sys

TIMEOUT_SECONDS = 4.0
"""Below HEALTHCHECK's own, so that it is this program that says why."""


def fault(port: int) -> str | None:
    """What is wrong with the service on a port, None if nothing is."""
    # By name: it may listen on IPv4 or on IPv6.
    connection = http.client.HTTPConnection("localhost", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/health")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"/health: {error!r}"
    finally:
        connection.close()
    return None if status == http.client.OK else f"/health: {status}"


if __name__ == "__main__":
    sys.exit(fault(int(os.environ.get("PORT", "3051"))))
