"""The system's clock."""

from datetime import UTC, datetime, timedelta

from infrastructure.clock import SystemClock


def test_the_time_is_utc_in_whole_milliseconds_as_documents_and_messages_show_it() -> None:
    before = datetime.now(UTC)
    moments = [SystemClock().now() for _ in range(1000)]
    after = datetime.now(UTC)
    assert all(moment.tzinfo is UTC and moment.microsecond % 1000 == 0 for moment in moments)
    assert before - timedelta(milliseconds=1) < moments[0] <= moments[-1] <= after
