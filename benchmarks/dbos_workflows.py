"""The reference for workflows: DBOS on PostgreSQL, with workflows of four steps that do nothing.

    /tmp/dbos-venv/bin/python benchmarks/dbos_workflows.py DATABASE_URL WORKFLOWS AT_ONCE

``benchmarks.workflows`` runs this in its own virtual environment, to keep DBOS' dependencies out of the
service's. It prints one JSON object: workflows per second as functions on threads, and as coroutines. The
better figure is the reference.
"""

import asyncio
import importlib
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

STEPS = 4


def main() -> None:
    """Measure both ways after a warm-up, and print the figures."""
    url, workflows, at_once = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    dbos: Any = importlib.import_module("dbos")
    config = {
        "name": "reference",
        "system_database_url": url,
        "sys_db_pool_size": 20,
        "log_level": "ERROR",
        "max_executor_threads": at_once,
    }
    dbos.DBOS(config=config)

    def nothing(number: int) -> int:
        return number

    async def nothing_async(number: int) -> int:
        return number

    step = dbos.DBOS.step()(nothing)
    step_async = dbos.DBOS.step()(nothing_async)

    def on_threads(number: int) -> int:
        for each in range(STEPS):
            step(each)
        return number

    async def in_coroutines(number: int) -> int:
        for each in range(STEPS):
            await step_async(each)
        return number

    workflow = dbos.DBOS.workflow()(on_threads)
    workflow_async = dbos.DBOS.workflow()(in_coroutines)
    dbos.DBOS.launch()

    def threads_a_second(count: int) -> float:
        with ThreadPoolExecutor(at_once) as threads:
            began = time.perf_counter()
            list(threads.map(workflow, range(count)))
            return count / (time.perf_counter() - began)

    async def coroutines_a_second(count: int) -> float:
        turn = asyncio.Semaphore(at_once)

        async def one(number: int) -> None:
            async with turn:
                await workflow_async(number)

        began = time.perf_counter()
        await asyncio.gather(*(one(number) for number in range(count)))
        return count / (time.perf_counter() - began)

    threads_a_second(at_once)
    asyncio.run(coroutines_a_second(at_once))
    found = {
        "threads": threads_a_second(workflows),
        "coroutines": asyncio.run(coroutines_a_second(workflows)),
    }
    dbos.DBOS.destroy()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
