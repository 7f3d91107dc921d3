"""One real generation before any load: by the hub's own client, as users of the server ask it, then by our own.

The hub's client has a method that works for TGI (`text_generation`, which posts to "/") and for chat routes
(`chat_completion`). For plain completions of the OpenAI kind it has none, so there only our own request is made. Ours
is the judge everywhere: it uses the routes and fields of the load, and counts tokens (`session.preflight`).
"""

import asyncio
from dataclasses import replace

import httpx2
import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, InferenceTimeoutError

from perbench.api.models import Protocol
from perbench.failures import Blame, Failure, RunError, shorten
from perbench.plan import Target
from perbench_bench.plan_run import PREFLIGHT_TOKENS
from perbench_bench.session import Session, api_key_of, preflight

ANSWER_SECONDS = 300.0
"""For the whole of a first short answer. A wedged server may go on answering its health route for ever."""


def load_hub_client() -> None:
    """Import the hub's client, while the model loads: it takes about a second, and blocks."""
    huggingface_hub.AsyncInferenceClient  # noqa: B018 - the library imports a name when it is first used


async def first_generation(session: Session, prompt: str) -> tuple[Session, str | None]:
    """The session that asks as the server was found to take it, and what the hub's client complained of.

    Raises RunError: `NoAnswer` when nothing came in time, else as `session.preflight`.
    """
    seconds = min(ANSWER_SECONDS, session.load.request_timeout_seconds)
    complaint = await _by_the_hubs_client(session.target, prompt, seconds)
    hurried = replace(session, load=session.load.model_copy(update={"request_timeout_seconds": seconds}))
    try:
        found = await preflight(hurried, prompt, PREFLIGHT_TOKENS)
    except RunError as error:
        if error.failure.reason == "TargetNotAnswering":
            raise RunError(_no_answer(session.target.url, seconds)) from error
        raise
    return replace(found, load=session.load), complaint


async def _by_the_hubs_client(target: Target, prompt: str, seconds: float) -> str | None:
    """Why it could not be done; None where it could, or where there is no way. Raises RunError: no answer in time."""
    if target.protocol is Protocol.OPENAI:
        return None
    huggingface_hub.set_async_client_factory(lambda: _client(with_key=target.api_key_variable is not None))
    try:
        async with asyncio.timeout(seconds):  # the client's own limit is per read, and keep-alive comments are reads
            return None if await _generated(target, prompt, seconds) else "the answer of the hub's client was empty"
    except (TimeoutError, InferenceTimeoutError) as error:
        raise RunError(_no_answer(target.url, seconds)) from error
    except (HfHubHTTPError, httpx2.HTTPError, OSError, ValueError) as error:
        first = (str(error).splitlines() or [""])[0]
        return shorten(f"huggingface_hub's client could not generate: {type(error).__name__}: {first}", 300)


async def _generated(target: Target, prompt: str, seconds: float) -> int:
    """How many pieces came."""
    async with huggingface_hub.AsyncInferenceClient(
        base_url=target.url.rstrip("/") + ("/v1" if target.protocol is Protocol.OPENAI_CHAT else ""),
        api_key=api_key_of(target),
        timeout=seconds,
    ) as client:
        pieces = 0
        if target.protocol is Protocol.TGI:
            async for _ in await client.text_generation(
                prompt, max_new_tokens=PREFLIGHT_TOKENS, stream=True, details=True, return_full_text=False
            ):
                pieces += 1
        else:
            messages = [{"role": "user", "content": prompt}]
            async for _ in await client.chat_completion(
                messages, model=target.model, max_tokens=PREFLIGHT_TOKENS, stream=True
            ):
                pieces += 1
        return pieces


def _client(*, with_key: bool) -> httpx2.AsyncClient:
    """Goes where the load goes, by no proxy; a token for the hub in the environment is not shown to the server."""

    async def without_token(request: httpx2.Request) -> None:
        request.headers.pop("authorization", None)

    hooks = {} if with_key else {"request": [without_token]}
    return httpx2.AsyncClient(event_hooks=hooks, timeout=ANSWER_SECONDS, trust_env=False)


def _no_answer(url: str, seconds: float) -> Failure:
    message = shorten(
        f"{url}: no answer to the first generation within {seconds:g} s, though the server says it is ready; see its"
        " log"
    )
    return Failure(blame=Blame.TARGET, reason="NoAnswer", message=message)
