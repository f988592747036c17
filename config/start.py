"""Why a command does not start, or comes to no good end."""


class CannotStart(Exception):
    """Why the service does not start: a line, and one for each fault where there are several."""


class DemoFailed(Exception):
    """Something that the demo was to show did not happen."""


def first_line(error: BaseException | None) -> str:
    """What an error says, on one line."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
