"""The router's routes: from a request to a response, with its counts."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.images.tgi_contract import bodies, openai, wire
from tests.images.tgi_contract.arguments import VERSION
from tests.images.tgi_contract.deserialize import BodyError, Field, deserialize
from tests.images.tgi_contract.engine import ApiFailureError, Engine
from tests.images.tgi_contract.generation import Answer, best_first
from tests.images.tgi_contract.http1 import Request, Response
from tests.images.tgi_contract.model import Model, ModelError, TemplateError
from tests.images.tgi_contract.streams import interleaved, kept_alive
from tests.images.tgi_contract.validation import ValidationError, check_best_of, check_streaming

Json = Mapping[str, Any]
Handler = Callable[[Json, float], Awaitable[Response]]

TEXT = [("content-type", "text/plain; charset=utf-8")]
JSON = [("content-type", "application/json")]


@dataclass(frozen=True)
class Identity:
    """What the server says of itself."""

    model_id: str
    compute_type: str
    max_client_batch_size: int
    validation_workers: int
    max_concurrent_requests: int
    api_key: str | None


class Routes:
    """All routes of one server."""

    def __init__(self, identity: Identity, engine: Engine, model: Model) -> None:
        self._identity, self._engine, self._model = identity, engine, model
        self._posts: dict[str, tuple[Field, Handler]] = {
            "/": (bodies.COMPAT, self._compat),
            "/generate": (bodies.GENERATE, self._generate),
            "/generate_stream": (bodies.GENERATE, self._generate_stream),
            "/invocations": (bodies.COMPAT, self._compat),
            "/v1/chat/completions": (bodies.CHAT, self._chat),
            "/v1/completions": (bodies.COMPLETION, self._completions),
            "/tokenize": (bodies.GENERATE, self._tokenize),
            "/chat_tokenize": (bodies.CHAT, self._chat_tokenize),
        }
        self._gets: dict[str, Callable[[], Awaitable[Response]]] = {
            "/": self._health,
            "/health": self._health,
            "/ping": self._health,
            "/info": self._info,
            "/metrics": self._metrics,
            "/v1/models": self._models,
        }

    async def answer(self, request: Request) -> Response:
        """The response to any request."""
        has_get, has_post = request.path in self._gets, request.path in self._posts
        allow = ",".join((["GET", "HEAD"] if has_get else []) + (["POST"] if has_post else []))
        if not allow:
            return Response(404, [])
        if request.method == "OPTIONS":
            return _preflight(allow)
        if request.method in {"GET", "HEAD"} and has_get:
            return await self._gets[request.path]()
        is_post = request.method == "POST" and has_post
        if has_post and not self._may(request):
            return Response(401, [], allow=None if is_post else allow)
        return await self._post(request) if is_post else Response(405, [], allow=allow)

    async def _post(self, request: Request) -> Response:
        body_type, handler = self._posts[request.path]
        try:
            return await handler(_read(request, body_type), time.perf_counter())
        except BodyError as error:
            return Response(error.status, TEXT, error.text.encode())
        except ApiFailureError as failure:
            self._engine.failed(failure.error)
            return Response(failure.error.status, JSON, failure.error.body())

    def _may(self, request: Request) -> bool:
        key = self._identity.api_key
        given = request.headers.get("authorization", "")
        return key is None or request.path == "/chat_tokenize" or given.lower() == f"bearer {key}".lower()

    # What needs no generation.

    async def _health(self) -> Response:
        healthy = await self._model.is_healthy()
        return Response(200, []) if healthy else Response(503, JSON, wire.UNHEALTHY.body())

    async def _info(self) -> Response:
        identity, rules = self._identity, self._engine.rules
        info = {
            "model_id": identity.model_id,
            "model_sha": None,
            "model_pipeline_tag": None,
            "max_concurrent_requests": identity.max_concurrent_requests,
            "max_best_of": rules.max_best_of,
            "max_stop_sequences": rules.max_stop_sequences,
            "max_input_tokens": rules.max_input_tokens,
            "max_total_tokens": rules.max_total_tokens,
            "validation_workers": identity.validation_workers,
            "max_client_batch_size": identity.max_client_batch_size,
            "router": "text-generation-router",
            "version": VERSION,
            "sha": wire.SHA,
            "docker_label": wire.DOCKER_LABEL,
        }
        return Response(200, JSON, wire.dump(info))

    async def _metrics(self) -> Response:
        return Response(200, TEXT, self._engine.metrics.exposition())

    async def _models(self) -> Response:
        return Response(200, JSON, wire.dump(wire.models(self._identity.model_id)))

    async def _tokenize(self, body: Json, started: float) -> Response:
        del started
        text = body["inputs"]
        tokens = await self._engine.tokenize(text, add_special=True)  # the router ignores add_special_tokens here
        return Response(200, JSON, wire.dump(wire.tokenized(text, tokens)))

    async def _chat_tokenize(self, body: Json, started: float) -> Response:
        del started
        self._count()
        text = await self._template(body)
        tokens = await self._engine.tokenize(text, add_special=False)
        listed = {"tokenize_response": wire.tokenized(text, tokens), "templated_text": text}
        return Response(200, JSON, wire.dump(listed))

    # TGI's own routes.

    async def _compat(self, body: Json, started: float) -> Response:
        """Full text by default, as nothing is known of the model's task; a list of one where it is not streamed."""
        given = body["parameters"]
        full_text = True if given["return_full_text"] is None else given["return_full_text"]
        body = {**body, "parameters": {**given, "return_full_text": full_text}}
        if body["stream"]:
            return await self._generate_stream(body, started)
        headers, value = await self._generated(body, started)
        return Response(200, headers, wire.dump([value]))

    async def _generate(self, body: Json, started: float) -> Response:
        headers, value = await self._generated(body, started)
        return Response(200, headers, wire.dump(value))

    async def _generated(self, body: Json, started: float) -> tuple[wire.Headers, wire.Json]:
        inputs, parameters = body["inputs"], body["parameters"]
        self._count()
        try:
            best_of = check_best_of(parameters, self._engine.rules)
        except ValidationError as error:
            raise _refused(error) from error
        add_special = body["add_special_tokens"]
        sequences = [self._answer(parameters, inputs, started, add_special=add_special) for _ in range(best_of)]
        answers = best_first(await _all(sequences))
        self._engine.succeeded(answers[0])
        details = parameters["details"] or parameters["decoder_input_details"]
        full_text_of = inputs if parameters["return_full_text"] else ""
        headers = wire.answer_headers(self._identity.compute_type, len(inputs), answers[:1])
        return headers, wire.generated(answers, full_text_of, details=details)

    async def _answer(self, parameters: Json, inputs: str, started: float, *, add_special: bool) -> Answer:
        with self._engine.permit():
            prepared = await self._engine.prepare(parameters, inputs, started, add_special=add_special)
            return await self._engine.answer(prepared)

    async def _generate_stream(self, body: Json, started: float) -> Response:
        self._count()
        return self._stream(len(body["inputs"]), self._tgi_events(body, started))

    async def _tgi_events(self, body: Json, started: float) -> AsyncGenerator[bytes, None]:
        inputs, parameters = body["inputs"], body["parameters"]
        full_text_of = inputs if parameters["return_full_text"] else ""
        try:
            try:
                check_streaming(parameters)
            except ValidationError as error:
                raise _refused(error) from error
            with self._engine.permit():
                add_special = body["add_special_tokens"]
                prepared = await self._engine.prepare(parameters, inputs, started, add_special=add_special)
                async with contextlib.aclosing(self._engine.run(prepared)) as steps:
                    async for step, answer in steps:
                        if answer is not None:
                            self._engine.succeeded(answer)
                        yield wire.stream_event(step, answer, full_text_of, details=parameters["details"])
        except ApiFailureError as failure:
            self._engine.failed(failure.error)
            yield failure.error.tgi_event()

    # OpenAI's routes.

    async def _template(self, body: Json) -> str:
        messages = openai.messages(body)
        if messages is None:
            message = "Failed to deserialize the JSON body into the target type: messages: invalid message"
            raise BodyError(422, message)
        if body["tools"]:
            raise ApiFailureError(openai.TOOLS)
        try:
            return await self._model.template(messages)
        except TemplateError as error:
            raise ApiFailureError(wire.ApiError(422, f"Template error: {error}", "template_error")) from error
        except ModelError as error:
            raise ApiFailureError(wire.generation_failed(str(error))) from error

    async def _chat(self, body: Json, started: float) -> Response:
        self._count()
        inputs = await self._template(body)
        self._count()
        parameters = openai.chat_parameters(body)
        if body["stream"]:
            return self._stream(len(inputs), self._chat_events(body, inputs, started))
        answer = await self._answer(parameters, inputs, started, add_special=False)
        self._engine.succeeded(answer)
        name = openai.served_name(body, self._identity.model_id)
        value = wire.chat(answer, int(time.time()), name, logprobs=bool(body["logprobs"]))
        headers = wire.answer_headers(self._identity.compute_type, len(inputs), [answer])
        return Response(200, headers, wire.dump(value))

    async def _chat_events(self, body: Json, inputs: str, started: float) -> AsyncGenerator[bytes, None]:
        name, logprobs = openai.served_name(body, self._identity.model_id), bool(body["logprobs"])
        try:
            with self._engine.permit():
                parameters = openai.chat_parameters(body)
                prepared = await self._engine.prepare(parameters, inputs, started, add_special=False)
                async with contextlib.aclosing(self._engine.run(prepared)) as steps:
                    async for step, answer in steps:
                        if answer is not None:
                            self._engine.succeeded(answer)
                        yield wire.chat_event(step, int(time.time()), name, logprobs=logprobs)
                        if answer is not None and openai.wants_usage(body):
                            yield wire.chat_usage_event(answer, int(time.time()), name)
        except ApiFailureError as failure:
            self._engine.failed(failure.error)
            yield failure.error.openai_event()
        yield wire.DONE

    async def _completions(self, body: Json, started: float) -> Response:
        self._count()
        prompts = openai.prompts(body)
        if prompts is None:
            message = "Failed to deserialize the JSON body into the target type: prompt: expected a string or strings"
            raise BodyError(422, message)
        if body["suffix"] is not None:
            raise ApiFailureError(wire.SUFFIX)
        if len(prompts) > self._identity.max_client_batch_size:
            raise ApiFailureError(wire.batch_too_large(self._identity.max_client_batch_size))
        self._engine.metrics.increment("tgi_request_count", by=len(prompts))
        characters = sum(map(len, prompts))
        if body["stream"]:
            streams = [self._completion_events(body, index, text, started) for index, text in enumerate(prompts)]
            return self._stream(characters, interleaved(streams, wire.DONE))
        return await self._completed(body, prompts, characters, started)

    async def _completed(self, body: Json, prompts: list[str], characters: int, started: float) -> Response:
        parameters = openai.completion_parameters(body)
        finished: list[tuple[int, Answer]] = []

        async def complete(index: int, prompt: str) -> Answer:
            answer = await self._answer(parameters, prompt, started, add_special=True)
            self._engine.succeeded(answer)
            finished.append((index, answer))
            return answer

        await _all([complete(index, prompt) for index, prompt in enumerate(prompts)])
        name = openai.served_name(body, self._identity.model_id)
        answers = [answer for _, answer in finished]
        headers = wire.answer_headers(self._identity.compute_type, characters, answers, with_time=False)
        return Response(200, headers, wire.dump(wire.completion(finished, int(time.time()), name)))

    async def _completion_events(
        self, body: Json, index: int, prompt: str, started: float
    ) -> AsyncGenerator[bytes, None]:
        name = openai.served_name(body, self._identity.model_id)
        try:
            with self._engine.permit():
                parameters = openai.completion_parameters(body)
                prepared = await self._engine.prepare(parameters, prompt, started, add_special=True)
                async with contextlib.aclosing(self._engine.run(prepared)) as steps:
                    async for step, answer in steps:
                        if answer is not None:
                            self._engine.succeeded(answer)
                        yield wire.completion_event(step, index, answer, int(time.time()), name)
        except ApiFailureError as failure:
            self._engine.failed(failure.error)
            yield failure.error.openai_event()

    def _stream(self, characters: int, events: AsyncGenerator[bytes, None]) -> Response:
        headers = wire.stream_headers(self._identity.compute_type, characters)
        return Response(200, headers, kept_alive(events, wire.KEEP_ALIVE_SECONDS, wire.KEEP_ALIVE))

    def _count(self) -> None:
        self._engine.metrics.increment("tgi_request_count")


def _refused(error: ValidationError) -> ApiFailureError:
    return ApiFailureError(wire.validation_failed(str(error), is_counted=error.is_counted))


def _read(request: Request, body_type: Field) -> dict[str, Any]:
    """The body as the route takes it. Raises BodyError."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise BodyError(415, "Expected request with `Content-Type: application/json`")
    if request.is_too_large:
        raise BodyError(413, "Failed to buffer the request body: length limit exceeded")
    return deserialize(request.body, body_type)


def _preflight(allow: str) -> Response:
    headers = [
        ("access-control-allow-origin", "*"),
        ("vary", "origin, access-control-request-method, access-control-request-headers"),
        ("access-control-allow-methods", "GET,POST"),
        ("access-control-allow-headers", "content-type"),
    ]
    return Response(200, headers, allow=allow, has_cors=False)


async def _all(sequences: list[Any]) -> list[Answer]:
    """Wait for all, then raise the first error if there is one."""
    results = await asyncio.gather(*sequences, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if isinstance(result, Answer)]
