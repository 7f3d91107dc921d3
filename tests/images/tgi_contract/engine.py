"""From an accepted request to a finished answer: permits, checks, the queue, the model, the figures."""

import contextlib
import random
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.images.tgi_contract import validation
from tests.images.tgi_contract.batch import Batch, Place
from tests.images.tgi_contract.generation import Answer, Candidate, Generation, Step, Timings
from tests.images.tgi_contract.metrics import Metrics
from tests.images.tgi_contract.model import Asked, Model, ModelError, Piece
from tests.images.tgi_contract.validation import Rules, ValidationError
from tests.images.tgi_contract.wire import OVERLOADED, ApiError, generation_failed, validation_failed

Clock = Callable[[], float]


class ApiFailureError(Exception):
    """The request ends with this error."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True)
class Settings:
    """What the engine is run with."""

    rules: Rules
    max_concurrent_requests: int
    slots: int
    batch_tokens: int
    """Tokens of the KV cache."""
    prefill_logprobs: bool


@dataclass(frozen=True)
class Prepared:
    """A request that passed the checks."""

    asked: Asked
    prompt: tuple[Piece, ...]
    chunks: tuple[int, ...]
    stop: tuple[str, ...]
    wants_prefill: bool
    started: float
    validated: float


class Engine:
    """All requests of one server."""

    def __init__(self, settings: Settings, model: Model, metrics: Metrics, clock: Clock = time.perf_counter) -> None:
        self._settings, self._model, self.metrics, self._clock = settings, model, metrics, clock
        self._permits = settings.max_concurrent_requests
        self._batch = Batch(settings.slots, settings.batch_tokens, metrics)
        self._random = random.SystemRandom()

    @property
    def rules(self) -> Rules:
        """The limits of requests."""
        return self._settings.rules

    @contextlib.contextmanager
    def permit(self) -> Iterator[None]:
        """One of the concurrent requests. Raises ApiFailureError at once where there is none left."""
        if self._permits == 0:
            raise ApiFailureError(OVERLOADED)
        self._permits -= 1
        try:
            yield
        finally:
            self._permits += 1

    async def prepare(
        self, parameters: Mapping[str, Any], inputs: str, started: float, *, add_special: bool
    ) -> Prepared:
        """Check a request. Raises ApiFailureError."""
        try:
            sampling = validation.check_parameters(parameters, inputs, self.rules)
            prompt = await self._model.tokenize(inputs, special=add_special)
            truncate = parameters["truncate"]
            prompt = prompt if truncate is None else prompt[-truncate:]
            validation.check_length(len(prompt), parameters["max_new_tokens"], self.rules)
            schema = validation.check_grammar(parameters["grammar"], self.rules)
            validation.check_reproduced(parameters)
        except ValidationError as error:
            raise ApiFailureError(validation_failed(str(error), is_counted=error.is_counted)) from error
        except ModelError as error:
            raise ApiFailureError(generation_failed(str(error))) from error
        chunks = validation.chunks(len(prompt), parameters["max_new_tokens"], self.rules.max_total_tokens)
        seed = parameters["seed"]
        asked = Asked(
            prompt=tuple(piece.id for piece in prompt),
            limit=sum(chunks),
            sampling=sampling,
            seed=self._random.getrandbits(64) if seed is None else seed,
            top=parameters["top_n_tokens"] or 0,
            schema=schema,
        )
        wants_prefill = bool(parameters["decoder_input_details"]) and self._settings.prefill_logprobs
        stop = tuple(parameters["stop"])
        return Prepared(asked, prompt, chunks, stop, wants_prefill, started, self._clock())

    async def run(self, prepared: Prepared) -> AsyncGenerator[tuple[Step, Answer | None], None]:
        """The steps of one sequence; the answer comes with the last. Raises ApiFailureError."""
        place = Place(len(prepared.prompt) + prepared.chunks[0])
        has_ended = False
        try:
            await self._batch.enter(place)
            async with contextlib.aclosing(self._steps(prepared, place)) as steps:
                async for step, answer in steps:
                    has_ended = answer is not None
                    yield step, answer
        except ModelError as error:
            has_ended = True
            raise ApiFailureError(generation_failed(str(error))) from error
        finally:
            self._batch.leave(place)
            if not has_ended:
                self.metrics.failed("dropped")

    async def _steps(self, prepared: Prepared, place: Place) -> AsyncGenerator[tuple[Step, Answer | None], None]:
        scheduled = last = self._clock()
        input_length = len(prepared.prompt)
        self.metrics.scheduled(input_length, prepared.chunks[0])
        prefill = await self._prefill(prepared) if prepared.wants_prefill else ()
        generation = Generation([piece.data for piece in prepared.prompt], prepared.chunks, prepared.stop)
        async with contextlib.aclosing(self._model.generate(prepared.asked)) as tokens:
            async for token in tokens:
                came = self._clock()
                step = generation.feed(token)
                if step.begins_chunk:
                    chunk = prepared.chunks[(step.index - 1) // validation.CHUNK]
                    self.metrics.scheduled(input_length + step.index - 1, chunk)
                self.metrics.token()
                is_prefill = step.index == 1 or step.begins_chunk
                if is_prefill or self._batch.is_first(place):
                    self.metrics.forward("prefill" if is_prefill else "decode", came - last, self._clock() - came)
                last = came
                if step.finish is None:
                    yield step, None
                    continue
                ended = self._clock()
                timings = Timings(
                    validation=prepared.validated - prepared.started,
                    queue=scheduled - prepared.validated,
                    inference=ended - scheduled,
                    total=ended - prepared.started,
                )
                seed = prepared.asked.seed if prepared.asked.sampling.do_sample else None
                yield step, Answer(generation.text(), input_length, tuple(generation.steps), seed, prefill, timings)
                return
        raise ModelError("the model ended without a reason")

    async def _prefill(self, prepared: Prepared) -> tuple[Candidate, ...]:
        logprobs = await self._model.logprobs(prepared.prompt)
        return tuple(
            Candidate(piece.id, piece.data.decode("utf-8", "replace"), logprob)
            for piece, logprob in zip(prepared.prompt, logprobs, strict=True)
        )

    async def answer(self, prepared: Prepared) -> Answer:
        """A whole sequence."""
        async with contextlib.aclosing(self.run(prepared)) as steps:
            async for _, answer in steps:
                if answer is not None:
                    return answer
        raise AssertionError("a run ends with an answer or an error")

    def succeeded(self, answer: Answer) -> None:
        """Count a request that ended well."""
        self.metrics.succeeded(answer.timings, len(answer.steps))

    def failed(self, error: ApiError) -> None:
        """Count a request that did not."""
        if error.counted_as is not None:
            self.metrics.failed(error.counted_as)

    async def tokenize(self, text: str, *, add_special: bool) -> list[tuple[int, bytes]]:
        """Tokens of a text. Raises ApiFailureError."""
        try:
            pieces = await self._model.tokenize(text, special=add_special)
        except ModelError as error:
            raise ApiFailureError(generation_failed(str(error))) from error
        return [(piece.id, piece.data) for piece in pieces]
