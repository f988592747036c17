"""A worker in its own process: ``python -m tests.task_worker <url> <tenant> <queue> <name> [--hang]``.

It prints each task that it has claimed, and each that it has completed. With ``--hang`` it claims three tasks
and then does nothing, as if it had died, until it is killed.
"""

import sys
import time
from collections.abc import Mapping

import httpx

from tests.plain_http import NO_TLS

LEASE_SECONDS = 2


def main(url: str, tenant: str, queue: str, name: str, *options: str) -> None:
    """Work until killed."""
    hangs = "--hang" in options
    wanted = {
        "queue": queue,
        "workerId": name,
        "max": 3 if hangs else 2,
        "leaseSeconds": LEASE_SECONDS,
        "waitSeconds": 5,
    }
    with httpx.Client(base_url=url, headers={"X-Tenant-ID": tenant}, timeout=30, verify=NO_TLS) as client:
        while True:
            answer = _post(client, "claim", wanted)
            for task in answer.json()["tasks"]:
                print("claimed", task["taskId"], flush=True)
                if not hangs:
                    _do(client, task, name)
            while hangs and answer.json()["tasks"]:
                time.sleep(60)


def _do(client: httpx.Client, task: dict[str, str], name: str) -> None:
    time.sleep(0.01)
    told = {"leaseToken": task["leaseToken"], "output": {"by": name}}
    done = _post(client, f"{task['taskId']}/complete", told)
    print(
        "done" if done.is_success else f"refused-{done.json()['error']['code']}", task["taskId"], flush=True
    )


def _post(client: httpx.Client, what: str, body: Mapping[str, object]) -> httpx.Response:
    """Send a request, and retry it until the service responds."""
    while True:
        try:
            answer = client.post(f"/api/v1/tasks/{what}", json=body)
        except httpx.TransportError:
            time.sleep(0.1)
            continue
        if answer.status_code < 500:
            return answer
        time.sleep(0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])
