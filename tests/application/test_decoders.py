"""msgspec 0.22 crashes the process when threads meet a struct type for the first time together."""

import subprocess
import sys

PROGRAM = """
import sys, threading
sys.setswitchinterval(1e-6)
from datetime import UTC, datetime
from eventsourcing.persistence import JSONTranscoder
from application import event_mapper
from domain.approval import ApprovalRequested
from domain.event import Metadata, Recorded

now = datetime.now(UTC)
event = ApprovalRequested(approval_id="a", opportunity_id="o", risk_score=1, amount=2, requested_at=now)
meta = Metadata(tenant="t", actor="a", correlation_id="c", command_id="d")
mapper = event_mapper.EventMapper(transcoder=JSONTranscoder())
recorded = Recorded(stream="t/approval/a", version=1, timestamp=now, meta=meta, event=event)
stored = mapper.to_stored_event(recorded)
for _ in range(200):
    event_mapper._decoders.clear()
    start = threading.Barrier(8)

    def load():
        start.wait()
        assert mapper.to_domain_event(stored).event == event

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("survived")
"""


def test_threads_that_load_the_first_event_of_a_type_together_survive() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert ended.stdout.strip() == "survived", ended.stderr
