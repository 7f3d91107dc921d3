"""When a request is given up: what counts as a sign of life, in an answer made by hand. Times in seconds."""

import pytest

from perbench_bench.engine.exchange import last_sign

EVENT = b'data: {"choices": [{"text": "a"}]}\n\n'
COMMENT = b":\n\n"


@pytest.mark.parametrize(
    ("pieces", "sign"),
    [
        ([], None),
        ([COMMENT, COMMENT], None),
        ([EVENT], 0),
        ([EVENT, COMMENT, COMMENT], 0),
        ([EVENT, COMMENT, EVENT, COMMENT], 2),
        ([b": keep-alive\r\n\r\n", COMMENT + EVENT], 1),  # both in one read
        ([EVENT[:20], EVENT[20:]], 1),  # half an event is one too
        ([EVENT, b":\n\n:\n\n"], 0),
        ([b'{"an": "answer"}'], 0),
    ],
)
def test_comments_are_no_sign_of_life(pieces: list[bytes], sign: int | None) -> None:
    assert last_sign(list(enumerate(pieces))) == sign
