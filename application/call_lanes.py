"""Which call is next, so that neither a hanging service nor a flooding tenant holds up the others."""

from collections import deque
from collections.abc import Collection, Iterator, Sequence

from application.ports import StepCall


class Lanes:
    """Calls that wait, in a lane for each service and tenant, and those under way.

    Up to ``at_once`` calls are under way per service. A tenant has no more of them than places are left:
    alone it gets half, the next tenant half of the rest, and there is always a place for a new one.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._waiting: dict[str, dict[str, deque[StepCall]]] = {}
        self._under_way: dict[str, StepCall] = {}
        self._counts: dict[str, dict[str, int]] = {}
        self._may_have_more: set[tuple[str, str]] = set()
        self.runs_dry = False
        """Whether a lane is empty here that may have more in the store."""

    @property
    def each(self) -> int:
        """How many calls of a lane are worth having at hand."""
        return max(2, self._at_once)

    @property
    def under_way(self) -> Collection[str]:
        """The ids of the calls under way."""
        return self._under_way.keys()

    def refill(self, calls: Sequence[StepCall]) -> None:
        """Replace the waiting calls by those that the store has, up to ``each`` of every lane."""
        self._waiting.clear()
        for call in calls:
            if call.id not in self._under_way:
                lanes = self._waiting.setdefault(call.service, {})
                lanes.setdefault(call.meta.tenant, deque()).append(call)
        self._may_have_more = {
            (service, tenant)
            for service, lanes in self._waiting.items()
            for tenant, lane in lanes.items()
            if len(lane) >= self.each
        }
        self.runs_dry = False

    def strike_out(self, ids: Collection[str]) -> None:
        """Forget calls that must not be made any more."""
        for lanes in self._waiting.values():
            for tenant, lane in lanes.items():
                if any(call.id in ids for call in lane):
                    lanes[tenant] = deque(call for call in lane if call.id not in ids)

    def startable(self) -> Iterator[StepCall]:
        """Yield the calls that may begin now. Each counts as under way once it is yielded."""
        for service in list(self._waiting):
            while (call := self._next_to(service)) is not None:
                yield call

    def end(self, call: StepCall) -> None:
        """Note that a call is no longer under way."""
        del self._under_way[call.id]
        counts = self._counts[call.service]
        counts[call.meta.tenant] -= 1
        if not counts[call.meta.tenant]:
            del counts[call.meta.tenant]

    def _next_to(self, service: str) -> StepCall | None:
        """Return the next call of the tenant that has the fewest under way, and among these has waited
        longest."""
        lanes, counts = self._waiting[service], self._counts.setdefault(service, {})
        free = self._at_once - sum(counts.values())
        waiting = (tenant for tenant, lane in lanes.items() if lane)
        tenant = min(waiting, key=lambda tenant: counts.get(tenant, 0), default=None)
        if tenant is None or counts.get(tenant, 0) >= free:
            return None
        lane = lanes.pop(tenant)
        call = lane.popleft()
        if lane:
            lanes[tenant] = lane
        elif (service, tenant) in self._may_have_more:
            self.runs_dry = True
        counts[tenant] = counts.get(tenant, 0) + 1
        self._under_way[call.id] = call
        return call
