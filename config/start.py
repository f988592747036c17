"""Why a command does not start, or fails."""


class CannotStart(Exception):
    """Why the service does not start: a line, or one for each fault if there are several."""


class DemoFailed(Exception):
    """Something that the demo should show did not happen."""


def first_line(error: BaseException | None) -> str:
    """Return an error's text, on one line."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
