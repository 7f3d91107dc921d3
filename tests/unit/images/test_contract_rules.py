"""Rules of the contract server that no single recording shows."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from tests.images.tgi_contract import llama_requests as ask
from tests.images.tgi_contract.batch import Batch, Place
from tests.images.tgi_contract.generation import Generation, Token
from tests.images.tgi_contract.json_reader import JsonSyntaxError, read
from tests.images.tgi_contract.metrics import Metrics
from tests.images.tgi_contract.model import Piece
from tests.images.tgi_contract.streams import kept_alive
from tests.images.tgi_contract.validation import chunks
from tests.images.tgi_contract.wire import single


@pytest.mark.parametrize(
    ("asked", "served"),
    [(1, 1), (1024, 1024), (1025, 2048), (1100, 2048), (2048, 2048), (5000, 3072), (None, 4083)],
)
def test_so_many_tokens_come_for_a_max_new_tokens(asked: int | None, served: int) -> None:
    # As recorded with 13 tokens of input and max_total_tokens 4096 (A-main/generate/max-*).
    assert sum(chunks(13, asked, 4096)) == served


def test_a_sequence_ends_at_its_length_before_anything_else() -> None:
    generation = Generation([], (1,), ["x"])
    assert generation.feed(Token(2, b"x", -1.0, special=True, is_end=True)).finish == "length"


def test_a_stop_sequence_is_looked_for_at_the_end_only() -> None:
    generation = Generation([], (9,), ["ab"])
    finishes = [generation.feed(Token(9, piece, -1.0)).finish for piece in (b"abc", b"a", b"b")]
    assert finishes == [None, None, "stop_sequence"]
    assert generation.text() == "abcab"


@pytest.mark.parametrize(
    ("value", "shortest"),
    [(-1.2420000076293945, -1.242), (-1.7848248481750488, -1.7848248), (0.0, 0.0), (-1e-05, -1e-05)],
)
def test_single_precision_is_written_as_short_as_it_can_be(value: float, shortest: float) -> None:
    assert single(value) == shortest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[1,", "EOF while parsing a value at line 1 column 3"),
        (b'{"a" 1}', "expected `:` at line 1 column 6"),
        (b'{"a":1 "b"', "a: expected `,` or `}` at line 1 column 8"),
        (b'{"a":tru}', "a: expected ident at line 1 column 7"),
        (b'{"a":1}\n x', "trailing characters at line 2 column 2"),
        (b'{"a":"x\n"}', "a: control character"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(text: bytes, message: str) -> None:
    with pytest.raises(JsonSyntaxError) as refusal:
        read(text)
    assert message.removeprefix("a: ") in str(refusal.value)


def test_prompt_tokens_are_forced_by_grammar_where_it_takes_them() -> None:
    prompt = [Piece(1, b"<|s|>"), Piece(5, b"a"), Piece(6, b"b"), Piece(2, b"<|e|>"), Piece(7, b"\xe4"), Piece(8, b"c")]
    special = [True, False, False, True, False, False]
    asked = [(each.way.value, each.start, each.ids) for each in ask.questions(prompt, special)]
    assert asked == [("grammar", 1, (5, 6)), ("bias", 3, (2,)), ("lookup", 4, (7,)), ("grammar", 5, (8,))]


def test_hidden_tokens_are_found_by_their_bytes() -> None:
    ids = {b"\xf0\x9f": 1, b"\x91": 2, b"\xf0": 3, b"\x9f\x91": 4}
    assert ask.split(b"\xf0\x9f\x91", 2, ids) == [1, 2]
    assert ask.split(b"\xf0\x9f\x91", 1, ids) is None


def test_a_silent_stream_is_kept_alive() -> None:
    async def parts() -> list[bytes]:
        found: list[bytes] = []
        enough = asyncio.Event()

        async def slow() -> AsyncGenerator[bytes, None]:
            yield b"a"
            await enough.wait()
            yield b"b"

        async for part in kept_alive(slow(), 0.1, b":\n\n"):
            found.append(part)
            if len(found) == 3:
                enough.set()
        return found

    first, *silence, last = asyncio.run(parts())
    assert (first, last) == (b"a", b"b")
    assert silence[:2] == [b":\n\n"] * 2
    assert set(silence) == {b":\n\n"}, "more of them on a machine that stalls"


def test_a_sequence_waits_until_the_cache_has_room() -> None:
    async def order() -> list[str]:
        metrics, seen = Metrics(10, 20), []
        batch = Batch(slots=4, tokens=100, metrics=metrics)
        first, second, third = Place(80), Place(30), Place(10)
        await batch.enter(first)
        waiting = [asyncio.ensure_future(batch.enter(place)) for place in (second, third)]
        await asyncio.sleep(0)
        seen.append(metrics.exposition().decode().count("tgi_queue_size 2"))
        waiting[0].cancel()  # its client leaves: the third fits beside the first
        await asyncio.wait(waiting)
        batch.leave(third)
        batch.leave(first)
        seen.append(metrics.exposition().decode().count("tgi_batch_current_size 0"))
        return [str(count) for count in seen]

    assert asyncio.run(order()) == ["1", "1"]
