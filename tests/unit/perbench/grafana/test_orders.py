from datetime import UTC, datetime

import pytest

from perbench.grafana.orders import LONGEST_PAUSE_SECONDS, retry_after

NOW = datetime(2026, 4, 2, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("70", 70),
        (" 0 ", 0),
        ("99999999999999999999", LONGEST_PAUSE_SECONDS),
        ("Thu, 02 Apr 2026 09:01:30 GMT", 90),
        ("Thu, 02 Apr 2026 08:00:00 GMT", 0),
        ("Thu, 02 Apr 2026 09:01:30", None),
    ],
)
def test_when_to_come_back(header: str | None, seconds: int | None) -> None:
    assert retry_after(header, NOW) == seconds
