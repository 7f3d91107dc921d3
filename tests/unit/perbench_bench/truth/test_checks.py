"""Scripts read and refused: the mistake is named with its place and what to do."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perbench.failures import UsageError
from perbench_bench.truth.checks import read_script
from perbench_bench.truth.delay import Distribution
from perbench_bench.truth.pace import chunk_sizes, mean_service_ms
from perbench_bench.truth.script import Answer, Script

BAD: list[tuple[dict[str, Any], str]] = [
    (
        {"answer": {"tokens": 3, "firstChunkTokens": 4}},
        "answer.firstChunkTokens: 4 tokens in a chunk of an answer of 3",
    ),
    ({"answer": {"tokens": 3, "tokensPerChunk": 5}}, "answer.tokensPerChunk: 5 tokens in a chunk of an answer of 3"),
    ({"answer": {"countsEndToken": True}}, "answer.countsEndToken: answers never end by themselves"),
    ({"answer": {"tokens": 3, "countsEndToken": True, "usage": "never"}}, "answer.countsEndToken: usage is never told"),
    ({"answer": {"cachedShare": 0.5, "usage": "never"}}, "answer.cachedShare: usage is never told"),
    ({"answer": {"cachedShare": 1.5}}, "answer.cachedShare: "),
    ({"answer": {"texts": [""]}}, "answer.texts.0: "),
    ({"timing": {"gapMs": 1, "tokenMs": 1}}, "timing: gapMs and tokenMs both"),
    ({"timing": {"firstMs": -1}}, "timing.firstMs."),
    ({"timing": {"firstMs": "soon"}}, "timing.firstMs: 'soon' is no delay"),
    ({"timing": {"firstMs": "gamma:3"}}, "timing.firstMs: 'gamma:3' is no delay"),
    ({"timing": {"firstMs": "exponential:1,2"}}, "timing.firstMs: 'exponential:1,2' is no delay"),
    ({"timing": {"firstMs": []}}, "timing.firstMs."),
    ({"timing": {"firstMs": "nan"}}, "timing.firstMs."),
    ({"stream": {"headers": "never"}}, "stream.headers: an answer without headers"),
    ({"stream": {"headers": "with-slot", "role": "at-once"}}, "stream.role: at-once is before the headers"),
    ({"stream": {"headers": "with-first-token", "commentsMs": 50}}, "stream.commentsMs: comments would come before"),
    ({"stream": {"splitAt": [9, 4]}}, "stream.splitAt: [9, 4] do not ascend"),
    ({"stream": {"splitAt": [9], "splitInCharacter": True}, "answer": {"texts": ["ü"]}}, "stream: splitAt and"),
    ({"stream": {"splitInCharacter": True}}, "stream.splitInCharacter: every character"),
    ({"stream": {"splitMs": 1}}, "stream.splitMs: nothing is cut"),
    ({"stream": {"splitAt": [9], "splitMs": 5}}, "stream.splitMs: the parts of a write take 5 ms"),
    ({"stream": {"chunksPerWrite": 4}, "answer": {"tokens": 3}}, "stream.chunksPerWrite: 4 of the 3 chunks"),
    ({"stream": {"emptyEvery": 4}, "answer": {"tokens": 3}}, "stream.emptyEvery: 4 of the 3 chunks"),
    ({"queue": {"limit": 3}}, "queue.limit: without slots nobody waits"),
    ({"queue": {"slots": 3, "overload": "unavailable"}}, "queue.overload: without a limit nobody is refused"),
    ({"queue": {"offeredRate": 3}}, "queue.offeredRate: without slots"),
    ({"queue": {"offeredRate": 3, "slots": 2}}, "queue.offeredRate: how long an answer takes depends on the requests"),
    (
        {"queue": {"offeredRate": 100, "slots": 2}, "timing": {"firstMs": "exponential:20", "gapMs": 0}},
        "queue.offeredRate: 100/s of 20 ms each keep 2 slots busy, and there are 2: the queue grows without end",
    ),
    ({"faults": [{"kind": "flood", "share": 1.2}]}, "faults.0.share: "),
    (
        {"faults": [{"kind": "flood", "share": 0.6}, {"kind": "exit", "share": 0.5}]},
        "shares come to 1.1 from request 0",
    ),
    ({"faults": [{"kind": "flood", "chunk": 1}]}, "faults.0.chunk: flood does not happen after a chunk"),
    ({"faults": [{"kind": "flood", "seconds": 1}]}, "faults.0.seconds: only no-newline and reset may last"),
    ({"faults": [{"kind": "exit", "chunk": 3}], "answer": {"tokens": 3}}, "faults.0.chunk: an answer is over after 3"),
    ({"faults": [{"kind": "no-usage"}], "answer": {"usage": "never"}}, "faults.0: usage is never told"),
    ({"faults": [{"kind": "reste"}]}, "faults.0.kind: "),
    ({"aswer": {}}, "aswer: "),
]


@pytest.mark.parametrize(("document", "said"), BAD)
def test_a_script_that_contradicts_itself_is_refused_in_one_line(document: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_script(document, "s.yaml")
    assert str(refused.value).startswith("s.yaml: ")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"queue": {"offeredRate": 99, "slots": 2}, "timing": {"firstMs": "exponential:20", "gapMs": 0}},
        {"queue": {"offeredRate": 900, "slots": 2, "limit": 0}, "timing": {"gapMs": 0}},
        {"faults": [{"kind": "exit", "after": 5, "requests": 5}, {"kind": "flood", "after": 10}]},
        {"stream": {"splitAt": [3, 9], "splitMs": 1}, "timing": {"gapMs": 2.5}},
        {"stream": {"splitAt": [3]}, "timing": {"gapMs": "exponential:0.1"}},
    ],
)
def test_a_script_without_contradictions_is_taken(document: dict[str, Any]) -> None:
    assert read_script(document) == Script.model_validate(document)


@pytest.mark.parametrize(
    ("written", "distribution", "values"),
    [
        (20, Distribution.CONSTANT, (20.0,)),
        ("2.5", Distribution.CONSTANT, (2.5,)),
        ("exponential:20", Distribution.EXPONENTIAL, (20.0,)),
        ("5,10", Distribution.LISTED, (5.0, 10.0)),
        ([5, 10], Distribution.LISTED, (5.0, 10.0)),
    ],
)
def test_the_ways_to_write_a_delay(written: object, distribution: Distribution, values: tuple[float, ...]) -> None:
    delay = read_script({"timing": {"firstMs": written}}).timing.first_ms
    assert (delay.distribution, delay.values) == (distribution, values)


def test_a_script_is_the_same_after_json() -> None:
    script = read_script({"timing": {"firstMs": [1, 2], "gapMs": "exponential:3"}, "faults": [{"kind": "exit"}]})
    assert read_script(script.model_dump(mode="json", by_alias=True, exclude_unset=True)) == script


@given(
    tokens=st.integers(1, 500),
    bundle=st.integers(1, 600),
    first=st.one_of(st.none(), st.integers(1, 600)),
)
def test_chunks_hold_all_tokens_and_none_more(tokens: int, bundle: int, first: int | None) -> None:
    sizes = chunk_sizes(Answer(tokens_per_chunk=bundle, first_chunk_tokens=first), tokens)
    assert sum(sizes) == tokens
    assert all(0 < size <= bundle for size in sizes[1:])
    assert sizes[0] == min(first or bundle, tokens)


@pytest.mark.parametrize(
    ("document", "milliseconds"),
    [
        ({"timing": {"firstMs": "exponential:30", "gapMs": 0}}, 30),
        ({"timing": {"firstMs": 30, "gapMs": 2}, "answer": {"tokens": 4}}, 30 + 4 * 2),
        ({"timing": {"firstMs": 30, "tokenMs": 2}, "answer": {"tokens": 9, "tokensPerChunk": 3}}, 30 + 7 * 2),
        ({"timing": {"firstMs": 30}}, None),
    ],
)
def test_how_long_an_answer_holds_its_slot(document: dict[str, Any], milliseconds: float | None) -> None:
    assert mean_service_ms(read_script(document)) == milliseconds
