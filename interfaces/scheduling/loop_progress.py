"""How far a loop has come, in the form of a follower's status."""

from projections.follower_status import FollowerStatus, State


class LoopProgress:
    """What a loop notes of itself: ``done`` counts what it has handled."""

    def __init__(self, name: str) -> None:
        self.done = 0
        self._name = name
        self._state: State = "standby"
        self._failures = 0
        self._error: str | None = None

    def status(self, *, is_over: bool) -> FollowerStatus:
        """Return the status. A loop that ``is_over`` has stopped for good."""
        state: State = "stopped" if is_over else self._state
        return FollowerStatus(self._name, state, 0.0, self.done, self._failures, self._error)

    def note_begun(self) -> None:
        """Note that the loop begins, or begins again."""
        self._state = "starting"

    def note_success(self) -> None:
        """Note that a round of the loop has worked."""
        self._state, self._error = "running", None

    def note_failure(self, error: Exception) -> None:
        """Note that a round of the loop has failed."""
        self._failures += 1
        self._state, self._error = "failing", f"{type(error).__name__}: {error}"

    def note_ended(self) -> None:
        """Note that another instance runs the loop, or none."""
        self._state, self._error = "standby", None
