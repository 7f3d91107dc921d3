"""Is a generation acceptable? The router's checks, in its order, with its words. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CHUNK = 1024
"""The router works off more new tokens than this in pieces of this many, and never a part of one: 1025 become 2048."""


class ValidationError(Exception):
    """The request is refused; the message is the router's. `is_counted`: whether it counts as a failed request."""

    def __init__(self, message: str, *, is_counted: bool = True) -> None:
        super().__init__(f"Input validation error: {message}")
        self.is_counted = is_counted


@dataclass(frozen=True)
class Rules:
    """What the server was started with, as far as requests are concerned."""

    max_best_of: int
    max_stop_sequences: int
    max_top_n_tokens: int
    max_input_tokens: int
    max_total_tokens: int
    grammar_support: bool


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen."""

    do_sample: bool
    temperature: float
    top_k: int
    top_p: float
    typical_p: float
    repetition_penalty: float
    frequency_penalty: float


def check_streaming(parameters: Mapping[str, Any]) -> None:
    """What cannot be streamed. Checked before anything else. Raises ValidationError."""
    if parameters["best_of"] not in {None, 1}:
        raise ValidationError("`best_of` != 1 is not supported when streaming tokens")
    if parameters["decoder_input_details"]:
        raise ValidationError("`decoder_input_details` == true is not supported when streaming tokens")


def check_best_of(parameters: Mapping[str, Any], rules: Rules) -> int:
    """The number of sequences. Raises ValidationError, which the router does not count as a failure."""
    best_of = parameters["best_of"]
    if best_of is not None and not 0 < best_of <= rules.max_best_of:
        raise ValidationError(f"`best_of` must be > 0 and <= {rules.max_best_of}. Given: {best_of}", is_counted=False)
    return 1 if best_of is None else int(best_of)


def check_parameters(parameters: Mapping[str, Any], inputs: str, rules: Rules) -> Sampling:
    """All that can be said before the text is tokenized. Raises ValidationError."""
    best_of = parameters["best_of"] or 1
    choosing = ("temperature", "top_k", "top_p", "typical_p")
    do_sample = parameters["do_sample"] or any(parameters[name] is not None for name in choosing)
    if best_of > 1 and not do_sample:
        raise ValidationError("you must use sampling when `best_of` is > 1")
    _check_ranges(parameters)
    stop, top_n_tokens = parameters["stop"], parameters["top_n_tokens"]
    if parameters["max_new_tokens"] == 0:
        raise ValidationError("`max_new_tokens` must be strictly positive")
    if len(stop) > rules.max_stop_sequences:
        raise ValidationError(f"`stop` supports up to {rules.max_stop_sequences} stop sequences. Given: {len(stop)}")
    if parameters["seed"] is not None and best_of > 1:
        raise ValidationError("`seed` must not be set when `best_of` > 1")
    if top_n_tokens is not None and top_n_tokens > rules.max_top_n_tokens:
        raise ValidationError(f"`top_n_tokens` must be >= 0 and <= {rules.max_top_n_tokens}. Given: {top_n_tokens}")
    if not inputs:
        raise ValidationError("`inputs` cannot be empty")
    truncate = parameters["truncate"]
    if truncate is not None and not 0 < truncate <= rules.max_input_tokens:
        raise ValidationError(
            f"`truncate` must be strictly positive and less than {rules.max_input_tokens}. Given: {truncate}"
        )
    return Sampling(
        do_sample=do_sample,
        temperature=_or(parameters["temperature"], 1.0),
        top_k=_or(parameters["top_k"], 0),
        top_p=_or(parameters["top_p"], 1.0),
        typical_p=_or(parameters["typical_p"], 1.0),
        repetition_penalty=_or(parameters["repetition_penalty"], 1.0),
        frequency_penalty=_or(parameters["frequency_penalty"], 0.0),
    )


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _check_ranges(parameters: Mapping[str, Any]) -> None:
    for name in ("temperature", "repetition_penalty"):
        if parameters[name] is not None and not parameters[name] > 0:
            raise ValidationError(f"`{name}` must be strictly positive")
    penalty = parameters["frequency_penalty"]
    if penalty is not None and not -2.0 <= penalty <= 2.0:
        raise ValidationError("`frequency_penalty` must be >= -2.0 and <= 2.0")
    for name in ("top_p", "typical_p"):
        if parameters[name] is not None and not 0.0 < parameters[name] < 1.0:
            raise ValidationError(f"`{name}` must be > 0.0 and < 1.0")
    if parameters["top_k"] == 0:
        raise ValidationError("`top_k` must be strictly positive")


def check_length(input_length: int, max_new_tokens: int | None, rules: Rules) -> None:
    """What depends on the number of tokens. Only the first chunk of new tokens is looked at. Raises ValidationError."""
    room = max(0, rules.max_total_tokens - input_length)
    new_tokens = min(room if max_new_tokens is None else max_new_tokens, CHUNK)
    if input_length + new_tokens > rules.max_total_tokens:
        raise ValidationError(
            f"`inputs` tokens + `max_new_tokens` must be <= {rules.max_total_tokens}. "
            f"Given: {input_length} `inputs` tokens and {new_tokens} `max_new_tokens`"
        )
    if input_length > rules.max_input_tokens:
        raise ValidationError(f"`inputs` must have less than {rules.max_input_tokens} tokens. Given: {input_length}")


def check_grammar(grammar: Any, rules: Rules) -> Mapping[str, Any] | None:
    """The JSON schema to be followed. Raises ValidationError, also for grammars that this server does not have."""
    if grammar is None:
        return None
    if not rules.grammar_support:
        raise ValidationError("grammar is not supported")
    kind = grammar.get("type") if isinstance(grammar, dict) else None
    schema = grammar.get("value") if isinstance(grammar, dict) else None
    if kind not in {"json", "json_object"} or not isinstance(schema, dict):
        raise ValidationError("grammar is not valid: the contract server follows JSON schemas only")
    if "properties" not in schema:
        raise ValidationError("grammar is not valid: Grammar must have a 'properties' field")
    return schema


def check_reproduced(parameters: Mapping[str, Any]) -> None:
    """What the real router accepts and this server does not have. Raises ValidationError, in words of our own."""
    if parameters["watermark"]:
        raise ValidationError("the contract server does not watermark")
    if parameters["adapter_id"] is not None:
        raise ValidationError("the contract server has no adapters")


def chunks(input_length: int, max_new_tokens: int | None, max_total_tokens: int) -> tuple[int, ...]:
    """How many tokens are generated at most, in the pieces in which the router asks the model for them."""
    room = max_total_tokens - input_length
    if max_new_tokens is None:
        return tuple(min(CHUNK, room - start) for start in range(0, room, CHUNK))
    if max_new_tokens <= CHUNK:
        return (max_new_tokens,)
    return (CHUNK,) * min(-(-max_new_tokens // CHUNK), room // CHUNK)
