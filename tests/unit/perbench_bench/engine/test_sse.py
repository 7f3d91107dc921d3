from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perbench_bench.engine.sse import events


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data:a\r\n\r\ndata:b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b":\n\ndata: a\n\n: keep-alive\n\n", [b"a"]),
        (b"event: message\nid: 1\ndata: a\ndata: b\nretry: 5\n\n", [b"a\nb"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data\n\n", [b""]),
        (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
        (b"data:  two spaces\n\n", [b" two spaces"]),
        ("data: Zürich \U0001f642\u2028x\n\n".encode(), ["Zürich \U0001f642\u2028x".encode()]),
    ],
)
def test_streams_as_the_standard_allows_them(body: bytes, data: list[bytes]) -> None:
    assert [value for _, value in events([(7, body)], flush=False)] == data


def test_an_event_without_its_blank_line_counts_only_when_the_body_is_whole() -> None:
    pieces = [(1, b"data: a\n\ndata: b\n")]
    assert events(pieces, flush=False) == [(1, b"a")]
    assert [value for _, value in events(pieces, flush=True)] == [b"a", b"b"]


def test_an_event_carries_the_stamp_of_the_read_that_completed_it() -> None:
    pieces = [(10, b"data: a\n"), (20, b"\ndata: b"), (30, b"b\n\ndata: c\n\n")]
    assert events(pieces, flush=False) == [(20, b"a"), (30, b"bb"), (30, b"c")]


@given(
    values=st.lists(st.text(alphabet=st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])), max_size=8),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    cuts=st.lists(st.integers(0, 400), max_size=6),
)
def test_any_cut_of_any_stream_gives_the_same_events(values: list[str], end: str, cuts: list[int]) -> None:
    body = "".join(f"data: {value}{end}{end}" for value in values).encode()
    places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    pieces = [(i, body[a:b]) for i, (a, b) in enumerate(pairwise(places))]
    assert [data.decode() for _, data in events(pieces, flush=True)] == values
