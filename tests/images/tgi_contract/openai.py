"""The OpenAI routes' bodies in terms of TGI's own parameters. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.images.tgi_contract.bodies import PARAMETERS
from tests.images.tgi_contract.wire import ApiError

Json = Mapping[str, Any]

DEFAULT_NAME = "tgi"
"""The model name that stands for the one that is served; any other is repeated unchecked."""
TOOLS = ApiError(422, "Tool error: the contract server has no tools", "tool_error")


def served_name(body: Json, model: str) -> str:
    """The name in the answer."""
    given = body["model"]
    return model if given is None or given == DEFAULT_NAME else str(given)


def _parameters(body: Json, **others: Any) -> dict[str, Any]:
    """Greedy where the temperature is 0, sampled otherwise, also where it is not given."""
    temperature = body["temperature"]
    is_greedy = temperature is not None and temperature == 0.0
    defaults = {name: field.default for name, field in PARAMETERS.fields.items()}
    return {
        **defaults,
        "temperature": None if is_greedy else temperature,
        "do_sample": not is_greedy,
        "frequency_penalty": body["frequency_penalty"],
        "top_p": body["top_p"],
        "max_new_tokens": body["max_tokens"],
        "stop": tuple(body["stop"] or ()),
        "seed": body["seed"],
        "details": True,
        **others,
    }


def chat_parameters(body: Json) -> dict[str, Any]:
    """Of a chat."""
    presence = body["presence_penalty"]
    return _parameters(
        body,
        top_n_tokens=body["top_logprobs"],
        repetition_penalty=None if presence is None else presence + 2.0,
        grammar=body["response_format"],
    )


def completion_parameters(body: Json) -> dict[str, Any]:
    """Of each prompt of a completion."""
    return _parameters(body, repetition_penalty=body["repetition_penalty"])


def prompts(body: Json) -> list[str] | None:
    """The prompts of a completion. None: it is neither a string nor a list of strings."""
    prompt = body["prompt"]
    if isinstance(prompt, str):
        return [prompt]
    is_list = isinstance(prompt, list) and all(isinstance(each, str) for each in prompt)
    return list(prompt) if is_list else None


def messages(body: Json) -> list[dict[str, str]] | None:
    """The messages of a chat with their texts. None: they are no messages."""
    listed = body["messages"]
    if not isinstance(listed, list):
        return None
    found = []
    for message in listed:
        text = _text(message.get("content")) if isinstance(message, dict) else None
        if text is None or not isinstance(message.get("role"), str):
            return None
        found.append({"role": message["role"], "content": text})
    return found


def _text(content: Any) -> str | None:
    if isinstance(content, str):
        return content
    parts: Sequence[Any] = content if isinstance(content, list) else [None]
    texts = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in parts]
    return "".join(map(str, texts)) if all(isinstance(text, str) for text in texts) else None


def wants_usage(body: Json) -> bool:
    """Whether a streamed chat ends with its usage."""
    options = body["stream_options"]
    return bool(options and options["include_usage"])
