import pytest

from perbench.failures import UsageError
from perbench_bench.engine.http1 import HttpError, Origin, ResponseReader, request_bytes

UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"


def read(*reads: bytes) -> ResponseReader:
    reader = ResponseReader()
    for stamp, data in enumerate(reads, start=1):
        reader.feed(stamp, data)
    return reader


def test_a_response_with_a_length() -> None:
    reader = read(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nContent-Length: 5\r\n\r\nhe", b"llo"
    )
    response = reader.response
    assert (response.status, response.body, response.complete, response.keep_alive) == (200, b"hello", True, True)
    assert response.content_type == b"text/event-stream"
    assert (response.first_byte, response.last_byte) == (1, 2)
    assert response.pieces == [(1, b"he"), (2, b"llo")]


def test_a_response_without_length_ends_with_the_connection() -> None:
    reader = read(b"HTTP/1.0 200 OK\r\n\r\nhello")
    assert not reader.response.complete
    assert reader.eof()
    assert not reader.response.keep_alive


def test_a_cut_chunked_response_is_not_complete() -> None:
    reader = read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
    assert not reader.eof()


def test_interim_responses_announce_the_real_one() -> None:
    reader = read(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert (reader.response.status, reader.response.complete) == (200, True)


def test_connection_close_is_believed() -> None:
    reader = read(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    assert not reader.response.keep_alive


@pytest.mark.parametrize("data", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x16\x03\x01", b"HTTP/1.1 abc\r\n\r\n", UPGRADE])
def test_other_protocols_are_refused(data: bytes) -> None:
    with pytest.raises(HttpError, match="not HTTP"):
        read(data)


def test_bytes_after_the_end_are_refused() -> None:
    with pytest.raises(HttpError):
        read(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", b"b")


def test_a_second_response_in_the_same_read_is_refused_and_not_mixed_in() -> None:
    reader = ResponseReader()
    second = b"HTTP/1.1 503 Busy\r\nContent-Length: 1\r\n\r\nb"
    with pytest.raises(HttpError, match="after the end"):
        reader.feed(1, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na" + second)
    assert (reader.response.status, reader.response.body) == (200, b"a")


def test_a_flood_is_refused() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"400000\r\n" + b"x" * 0x400000 + b"\r\n"
    with pytest.raises(HttpError, match="larger than"):
        read(head, *[chunk] * 17)


@pytest.mark.parametrize(
    ("url", "authority", "base"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080", ""),
        ("http://model/", "model", ""),
        ("https://model:443/prefix/", "model", "/prefix"),
        ("http://[::1]:80/", "[::1]", ""),
        ("http://[::1]:81", "[::1]:81", ""),
        ("http://bücher.example/", "xn--bcher-kva.example", ""),
        ("http://h/a b/é%20/", "h", "/a%20b/%C3%A9%20"),
    ],
)
def test_urls(url: str, authority: str, base: str) -> None:
    origin = Origin.parse(url)
    assert (origin.authority, origin.base_path) == (authority, base)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "model:8080",
        "ftp://x",
        "http://",
        "http://u:p@h",
        "http://h/?a=1",
        "http://h:port",
        "http://h:99999",
        "http://a..b",
        f"http://{'a' * 64}.example",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        Origin.parse(url)


def test_a_request_on_the_wire() -> None:
    data = request_bytes(Origin.parse("http://h:81/base"), "/v1/completions", b"{}", "secret")
    head, body = data.split(b"\r\n\r\n")
    assert head.split(b"\r\n")[:2] == [b"POST /base/v1/completions HTTP/1.1", b"Host: h:81"]
    assert b"Content-Length: 2" in head
    assert b"Authorization: Bearer secret" in head
    assert body == b"{}"
    assert b"Authorization" not in request_bytes(Origin.parse("http://h"), "/", b"")
