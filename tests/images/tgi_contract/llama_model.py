"""A model behind llama.cpp's server on a loopback port. A rim: HTTP."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import orjson

from tests.images.tgi_contract import llama_requests as ask
from tests.images.tgi_contract.generation import Token
from tests.images.tgi_contract.model import Asked, ModelError, Piece, TemplateError, UnreachableError

Json = dict[str, Any]
PREFIX = b"data: "
REFUSED = "error trying to connect: Connection refused (os error 111)"
BROKEN = "transport error"


class LlamaModel:
    """Made by `connect`."""

    def __init__(self, client: httpx2.AsyncClient, *, prefix_caching: bool) -> None:
        self._client = client
        self._prefix_caching = prefix_caching
        self._pieces: dict[int, bytes] = {}
        self._ids: dict[bytes, int] = {}
        self._special: dict[int, bool] = {}

    async def warm_up(self) -> None:
        """Generate once and learn the vocabulary. Raises ModelError."""
        self._pieces = ask.vocabulary(await self._post("/completion", ask.vocabulary_body()))
        self._ids = {data: token for token, data in self._pieces.items()}

    async def tokenize(self, text: str, *, special: bool) -> tuple[Piece, ...]:
        """The text's tokens."""
        answer = await self._post("/tokenize", {"content": text, "add_special": special, "parse_special": True})
        return tuple(Piece(token, self._pieces[token]) for token in answer["tokens"])

    async def template(self, messages: Sequence[Mapping[str, str]]) -> str:
        """The messages as one prompt."""
        try:
            answer = await self._post("/apply-template", {"messages": [dict(message) for message in messages]})
        except UnreachableError:
            raise
        except ModelError as error:
            raise TemplateError(str(error)) from error
        return str(answer["prompt"])

    async def is_special(self, piece: Piece) -> bool:
        """Whether the text of the token means it only where markup is read."""
        if not (piece.data.startswith(b"<") and piece.data.endswith(b">")):
            return False
        if piece.id not in self._special:
            body = {"content": piece.data.decode("utf-8", "replace"), "add_special": False, "parse_special": False}
            self._special[piece.id] = (await self._post("/tokenize", body))["tokens"] != [piece.id]
        return self._special[piece.id]

    async def is_healthy(self) -> bool:
        """Whether it can be asked."""
        try:
            return bool((await self._client.get("/health")).status_code == httpx2.codes.OK)
        except httpx2.HTTPError:
            return False

    async def logprobs(self, prompt: Sequence[Piece]) -> list[float | None]:
        """Each token forced after those before it."""
        special = [await self.is_special(piece) for piece in prompt]
        plain = self._ids[b"a"]
        found: list[float | None] = [None]
        for question in ask.questions(prompt, special):
            body = ask.question_body(question, [piece.id for piece in prompt], plain)
            try:
                found += ask.question_answer(question, await self._post("/completion", body))
            except ValueError as error:
                raise ModelError(f"prefill log-probabilities: {error}") from error
        return found

    async def generate(self, asked: Asked) -> AsyncGenerator[Token, None]:
        """Tokens as they are made."""
        made: list[int] = []
        held: Token | None = None
        async with self._events(ask.generation(asked, cache_prompt=self._prefix_caching)) as events:
            async for event in events:
                if held is not None:
                    is_end = event["stop"] and event["stop_type"] == "eos"
                    yield Token(held.id, held.piece, held.logprob, held.special, is_end, held.top)
                    held = None
                hidden = event["tokens_predicted"] - len(made) - (0 if event["stop"] else 1)
                for unseen in await self._hidden(asked, made, hidden, event):
                    made.append(unseen)
                    yield Token(unseen, self._pieces[unseen], None, top=None if asked.top == 0 else ())
                if event["stop"]:
                    return
                token = await self._token(event, asked.top)
                made.append(token.id)
                if token.special:
                    held = token  # the next event tells whether it was the end
                else:
                    yield token

    async def _token(self, event: Json, top: int) -> Token:
        chosen = event["completion_probabilities"][0]
        piece = Piece(chosen["id"], self._pieces[chosen["id"]])
        special = await self.is_special(piece)
        return Token(piece.id, piece.data, chosen["logprob"], special, top=ask.candidates(event, self._pieces, top))

    async def _hidden(self, asked: Asked, made: Sequence[int], count: int, event: Json) -> list[int]:
        """The tokens before this event that had no event, as they ended inside a character."""
        if count <= 0:
            return []
        if not event["stop"]:
            last = self._pieces[event["completion_probabilities"][0]["id"]]
            tokens = ask.split(event["content"].encode().removesuffix(last), count, self._ids)
            if tokens is not None:
                return tokens
        answer = await self._post("/completion", ask.unseen(asked, made, count))
        return [int(token) for token in answer["tokens"]]

    @asynccontextmanager
    async def _events(self, body: Json) -> AsyncIterator[AsyncIterator[Json]]:
        has_answered = False
        try:
            async with self._client.stream("POST", "/completion", content=orjson.dumps(body)) as response:
                has_answered = True
                if response.status_code != httpx2.codes.OK:
                    raise ModelError(_message(await response.aread()))
                yield _parsed(response)
        except httpx2.HTTPError as error:
            raise UnreachableError(BROKEN if has_answered else REFUSED) from error

    async def _post(self, path: str, body: Json) -> Json:
        try:
            response = await self._client.post(path, content=orjson.dumps(body))
        except httpx2.ConnectError as error:
            raise UnreachableError(REFUSED) from error
        except httpx2.HTTPError as error:
            raise UnreachableError(BROKEN) from error
        if response.status_code != httpx2.codes.OK:
            raise ModelError(_message(response.content))
        answer: Json = orjson.loads(response.content)
        return answer


async def _parsed(response: httpx2.Response) -> AsyncIterator[Json]:
    async for line in response.aiter_lines():
        data = line.encode()
        if data.startswith(PREFIX):
            event: Json = orjson.loads(data.removeprefix(PREFIX))
            if "error" in event:
                raise ModelError(_message(data.removeprefix(PREFIX)))
            yield event


def _message(body: bytes) -> str:
    try:
        return str(orjson.loads(body)["error"]["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body.decode("utf-8", "replace")


@asynccontextmanager
async def connect(url: str, *, prefix_caching: bool) -> AsyncIterator[LlamaModel]:
    """The model behind llama.cpp's server at `url`."""
    # llama.cpp's server closes connections it has promised to keep.
    limits = httpx2.Limits(max_keepalive_connections=0, max_connections=None)
    async with httpx2.AsyncClient(base_url=url, timeout=None, limits=limits, trust_env=False) as client:
        yield LlamaModel(client, prefix_caching=prefix_caching)
