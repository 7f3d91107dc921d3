"""Scripts read, and refused where they contradict themselves: where, what, and what to do. Pure."""

from collections.abc import Iterator

from pydantic import ValidationError

from perbench.failures import UsageError
from perbench_bench.truth.delay import Distribution
from perbench_bench.truth.pace import chunk_sizes, gap_of, mean_service_ms
from perbench_bench.truth.script import LASTING, MIDWAY, FaultKind, Moment, Script, Usage


def read_script(document: object, source: str = "the script") -> Script:
    """A script out of a parsed document, checked as a whole. Raises UsageError; `source` says where it is from."""
    try:
        script = Script.model_validate(document)
    except ValidationError as error:
        raise UsageError(f"{source}: {first_mistake(error)}") from error
    for contradiction in contradictions(script):
        raise UsageError(f"{source}: {contradiction}")
    return script


def first_mistake(error: ValidationError) -> str:
    """Where and what, of the first."""
    detail = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in detail["loc"]) or "the document"
    allowed = "" if detail["type"] != "extra_forbidden" else "; docs/truth-server.md lists the fields"
    return f"{where}: {detail['msg'].removeprefix('Value error, ')}{allowed}"


def contradictions(script: Script) -> Iterator[str]:
    """Every contradiction as one line: "WHERE: WHAT: CURE"."""
    yield from _answer(script)
    yield from _stream(script)
    yield from _queue(script)
    yield from _faults(script)


def _answer(script: Script) -> Iterator[str]:
    answer, timing = script.answer, script.timing
    if timing.gap_ms and timing.token_ms:
        yield "timing: gapMs and tokenMs both say when a chunk comes: give one of them"
    sizes = {"firstChunkTokens": answer.first_chunk_tokens, "tokensPerChunk": answer.tokens_per_chunk}
    for name, size in sizes.items():
        if answer.tokens and size and size > answer.tokens:
            yield f"answer.{name}: {size} tokens in a chunk of an answer of {answer.tokens}: give no more"
    if answer.counts_end_token and answer.tokens is None:
        yield "answer.countsEndToken: answers never end by themselves, so there is no end token: give answer.tokens"
    if answer.counts_end_token and answer.usage is Usage.NEVER:
        yield "answer.countsEndToken: usage is never told, so nobody sees the count: give another answer.usage"
    if answer.cached_share is not None and answer.usage is Usage.NEVER:
        yield "answer.cachedShare: usage is never told, so nobody sees it: give another answer.usage"


def _stream(script: Script) -> Iterator[str]:
    stream, tokens = script.stream, script.answer.tokens
    if stream.headers is Moment.NEVER:
        yield "stream.headers: an answer without headers is no HTTP: give another moment, or the fault garbage"
    moments = list(Moment)
    if moments.index(stream.role) < moments.index(stream.headers):
        yield f"stream.role: {stream.role} is before the headers, which are sent {stream.headers}: give a later moment"
    if stream.comments_ms is not None and stream.headers is Moment.WITH_FIRST_TOKEN:
        yield "stream.commentsMs: comments would come before the headers: give an earlier stream.headers"
    splits = list(stream.split_at)
    if splits != sorted(set(splits)):
        yield f"stream.splitAt: {splits} do not ascend: give each place once, in order"
    if splits and stream.split_in_character:
        yield "stream: splitAt and splitInCharacter both say where a write is cut: give one of them"
    if stream.split_in_character and all(text.isascii() for text in script.answer.texts):
        yield 'stream.splitInCharacter: every character of answer.texts is one byte: give a text such as "Grüße "'
    if stream.split_ms is not None and not splits and not stream.split_in_character:
        yield "stream.splitMs: nothing is cut: give splitAt or splitInCharacter too"
    parts = len(splits) + stream.split_in_character
    if parts:
        yield from _parts_fit(script, parts)
    if tokens:
        chunks = len(chunk_sizes(script.answer, tokens))
        for name, every in (("chunksPerWrite", stream.chunks_per_write), ("emptyEvery", stream.empty_every or 1)):
            if every > chunks:
                yield f"stream.{name}: {every} of the {chunks} chunks of an answer: give {chunks} or fewer"


def _parts_fit(script: Script, parts: int) -> Iterator[str]:
    """The last part of a write must be gone before the next write is due."""
    gap, pause = gap_of(script.timing), script.stream.pause_ms
    needed = parts * pause
    if gap.distribution is not Distribution.EXPONENTIAL and needed > 0 and needed >= min(gap.values):
        yield (
            f"stream.splitMs: the parts of a write take {needed:g} ms, and the next is due {min(gap.values):g} ms "
            "after it: give fewer places, a smaller splitMs or a longer gap"
        )


def _queue(script: Script) -> Iterator[str]:
    queue = script.queue
    if queue.limit is not None and queue.slots is None:
        yield "queue.limit: without slots nobody waits: give queue.slots too"
    if queue.limit is None and "overload" in queue.model_fields_set:
        yield "queue.overload: without a limit nobody is refused: give queue.limit too"
    if queue.offered_rate is None:
        return
    if queue.slots is None:
        yield "queue.offeredRate: without slots there is no queue that could grow: give queue.slots too"
        return
    mean = mean_service_ms(script)
    if mean is None:
        yield "queue.offeredRate: how long an answer takes depends on the requests: give answer.tokens too"
        return
    busy = queue.offered_rate * mean / 1e3
    if busy >= queue.slots and queue.limit is None:
        yield (
            f"queue.offeredRate: {queue.offered_rate:g}/s of {mean:g} ms each keep {busy:g} slots busy, and there are "
            f"{queue.slots}: the queue grows without end; give more slots, a lower rate, or queue.limit"
        )


def _faults(script: Script) -> Iterator[str]:
    for place, fault in enumerate(script.faults):
        where = f"faults.{place}"
        if fault.chunk is not None and fault.kind not in MIDWAY:
            yield f"{where}.chunk: {fault.kind} does not happen after a chunk: leave it out"
        if fault.seconds is not None and fault.kind not in LASTING:
            yield f"{where}.seconds: only no-newline and reset may last: leave it out"
        tokens = script.answer.tokens
        chunks = len(chunk_sizes(script.answer, tokens)) if tokens else None
        if fault.chunk is not None and chunks is not None and fault.chunk >= chunks:
            yield f"{where}.chunk: an answer is over after {chunks} chunks: give {chunks - 1} or less"
        if fault.kind is FaultKind.NO_USAGE and script.answer.usage is Usage.NEVER:
            yield f"{where}: usage is never told, so this is no fault: leave it out, or give another answer.usage"
    for number in sorted({fault.after for fault in script.faults}):
        share = sum(fault.share for fault in script.faults if fault.considers(number))
        if share > 1 + 1e-9:
            yield f"faults: their shares come to {share:g} from request {number} on: give shares of 1 or less together"
