"""``python -m tests.chaos.campaign``: the long form. It prints its figures, and ends with 1 if one is wrong.

By the environment: CHAOS_FORMS (which stores), CHAOS_KILLS, CHAOS_SECONDS, CHAOS_RATE (requests a second),
CHAOS_SEED (which plan), CHAOS_FAULTS (beside kills; all that are possible), CHAOS_MINUTELY (jobs that cron
fires each minute; leave the clock alone then), CHAOS_SEGMENT_BYTES (of a log in Cosmos DB), CHAOS_FOLDER
(keeps the evidence in any case).
"""

import logging
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

import anyio

from tests.chaos.campaign.run import Plan, Report, campaign
from tests.chaos.campaign.world import FORMS, servers

SECONDS_A_KILL = 6.0


def main() -> int:
    """Run the forms one after the other; 0 where nothing was found."""
    chosen = os.environ.get("CHAOS_FORMS", "sqlite,postgres-cosmos-2").split(",")
    kills = int(os.environ.get("CHAOS_KILLS", "50"))
    seconds = float(os.environ.get("CHAOS_SECONDS", kills * SECONDS_A_KILL))
    seed = os.environ.get("CHAOS_SEED") or str(random.randrange(10**6))
    folder = Path(os.environ.get("CHAOS_FOLDER") or tempfile.mkdtemp(prefix="chaos-"))
    plan = Plan(
        seed=seed,
        kills=kills,
        seconds=seconds,
        rate=float(os.environ.get("CHAOS_RATE", "20")),
        often=True,
        megabytes=1024,
        settle_seconds=180,
        others=_listed("CHAOS_FAULTS"),
        minutely=_listed("CHAOS_MINUTELY") or (),
    )
    print(f"CHAOS_SEED={seed} CHAOS_KILLS={kills} CHAOS_SECONDS={seconds:g} CHAOS_FORMS={','.join(chosen)}")
    logging.disable(logging.ERROR)  # aiormq says much about a broker that is away
    findings = 0
    with servers() as ground:
        for name in chosen:
            place = folder / name

            async def one(name: str = name, place: Path = place) -> Report:
                return await campaign(FORMS[name], ground, place, plan)

            report = anyio.run(one)
            print(report.text(), flush=True)
            findings += len(report.findings)
            if not report.findings and "CHAOS_FOLDER" not in os.environ:
                shutil.rmtree(place)
    return 1 if findings else 0


def _listed(variable: str) -> list[str] | None:
    """What a variable lists; None where it is not set."""
    given = os.environ.get(variable)
    return None if given is None else [name for name in given.split(",") if name]


if __name__ == "__main__":
    sys.exit(main())
