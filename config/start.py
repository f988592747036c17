"""Why a command does not start."""


class CannotStart(Exception):
    """Why the service does not start: a line, and one for each fault where there are several."""


def first_line(error: BaseException | None) -> str:
    """What an error says, on one line."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
