"""llama-server's flags in local mode: which are mapped to `xllamacpp`, what they may be, what holds without them.

The table is documented in docs/local.md. Names and meanings are those of `llama-server`, so that one `serving.args`
works in a cluster and here; a flag outside the table is refused rather than ignored.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from perbench.api.defaults import max_tokens_of
from perbench.api.tasks import Dataset, TaskSpec
from perbench.base import Document
from perbench.failures import UsageError

MAX_SLOTS = 256
"""llama.cpp's own limit on sequences (LLAMA_MAX_SEQ)."""
MAX_THREADS = 512
"""llama.cpp's own limit (GGML_MAX_N_THREADS)."""
MAX_CONTEXT = 1 << 24
"""Tokens. More than any model is trained for, and few enough that an impossible size fails at once."""
CACHE_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")
QUANTISED = tuple(kind for kind in CACHE_TYPES if kind not in ("f32", "f16", "bf16"))
FLASH_ATTENTION = ("on", "off", "auto")
CONTEXT_STEP = 256
"""llama.cpp rounds the context of a slot up to a multiple of this."""
ENVIRONMENT: Mapping[str, str] = {"GOMP_SPINCOUNT": "1000"}
"""Threads of llama.cpp spin while they wait for each other. With the OpenMP library's own default they do so for
milliseconds: where anything else wants a core they keep it from the thread they wait for (measured on 2 cores with one
busy neighbour: 3 tokens/s instead of 11; without a neighbour no difference)."""
TEMPLATE_TOKENS = 128
"""What a chat template and a model's own system prompt may add to a prompt (SmolLM2: 32)."""
SYNTHETIC_MARGIN = 1.5
"""The length of synthetic prompts is found by trying; the first try may be longer than what was asked for."""
REFUSED_VARIABLES = "LLAMA_ARG_"
"""llama-server reads its flags from these variables too; xllamacpp does not."""


class LocalSettings(Document):
    """All that decides how the local server runs."""

    slots: int
    context: int
    """Tokens, over all slots together. 0: what the model was trained for."""
    threads: int
    cache_type_k: str = "f16"
    cache_type_v: str = "f16"
    flash_attention: str = "auto"
    batch: int = 2048
    ubatch: int = 512

    def arguments(self) -> dict[str, JsonValue]:
        """The same as llama-server's arguments: what is recorded. The last five are always so in local mode."""
        own: dict[str, JsonValue] = {flag.names[1]: getattr(self, flag.setting) for flag in FLAGS}
        return {
            **own,
            "--cache-prompt": False,
            "--cache-ram": 0,
            "--ctx-checkpoints": 0,
            "--fit": "off",
            "--gpu-layers": 0,
        }


@dataclass(frozen=True)
class Flag:
    """One row of the table."""

    names: tuple[str, str]
    setting: str
    """The field of `LocalSettings`."""
    what: str
    values: str
    default: str
    read: Callable[[str], int | str | None]
    """The value of a text; None where it is none."""


def _whole(least: int, most: int) -> Callable[[str], int | None]:
    def read(text: str) -> int | None:
        return int(text) if text.isascii() and text.isdigit() and least <= int(text) <= most else None

    return read


def _one_of(allowed: Sequence[str]) -> Callable[[str], str | None]:
    return lambda text: text if text in allowed else None


_CACHE_VALUES = ", ".join(CACHE_TYPES)

FLAGS = (
    Flag(
        ("-np", "--parallel"),
        "slots",
        "requests worked on at the same time",
        f"1 to {MAX_SLOTS}",
        f"`load.concurrency`, {MAX_SLOTS} at most",
        _whole(1, MAX_SLOTS),
    ),
    Flag(
        ("-c", "--ctx-size"),
        "context",
        "tokens of context, split evenly over the slots",
        f"0 to {MAX_CONTEXT}; 0: what the model was trained for",
        "slots x what the longest prompt and its answer may need",
        _whole(0, MAX_CONTEXT),
    ),
    Flag(
        ("-t", "--threads"),
        "threads",
        "threads that compute",
        f"1 to {MAX_THREADS}",
        "cores - 1, at least 1",
        _whole(1, MAX_THREADS),
    ),
    Flag(("-ctk", "--cache-type-k"), "cache_type_k", "type of the K cache", _CACHE_VALUES, "f16", _one_of(CACHE_TYPES)),
    Flag(("-ctv", "--cache-type-v"), "cache_type_v", "type of the V cache", _CACHE_VALUES, "f16", _one_of(CACHE_TYPES)),
    Flag(
        ("-fa", "--flash-attn"),
        "flash_attention",
        "flash attention",
        ", ".join(FLASH_ATTENTION),
        "auto",
        _one_of(FLASH_ATTENTION),
    ),
    Flag(
        ("-b", "--batch-size"),
        "batch",
        "tokens in one logical batch, at most",
        f"1 to {MAX_CONTEXT}",
        "2048",
        _whole(1, MAX_CONTEXT),
    ),
    Flag(
        ("-ub", "--ubatch-size"),
        "ubatch",
        "tokens computed at once, at most",
        f"1 to {MAX_CONTEXT}, not above -b",
        "512, or -b where that is less",
        _whole(1, MAX_CONTEXT),
    ),
)
_BY_NAME = {name: flag for flag in FLAGS for name in flag.names}


@dataclass(frozen=True)
class Surroundings:
    """What the defaults depend on."""

    cores: int
    """Cores the server may run on."""
    concurrency: int
    """Requests in flight."""
    tokens_per_request: int
    """What the longest prompt and its answer may need."""


def local_settings(args: Sequence[str], around: Surroundings, where: str) -> LocalSettings:
    """Read `serving.args`; `where` (a path in the benchmark) begins each error.

    Raises UsageError for a flag outside the table, a missing, repeated or bad value, and for values that exclude
    each other.
    """
    given = _given(args, where)
    slots = int(given.get("slots", min(around.concurrency, MAX_SLOTS)))
    settings = LocalSettings.model_validate(
        {
            "slots": slots,
            "context": context_for(slots, around.tokens_per_request),
            "threads": max(1, around.cores - 1),
            "ubatch": min(512, int(given.get("batch", 2048))),
            **given,
        }
    )
    if settings.ubatch > settings.batch:
        raise UsageError(f"{where}: -ub {settings.ubatch} is above -b {settings.batch}; lower it")
    if settings.cache_type_v in QUANTISED and settings.flash_attention == "off":
        raise UsageError(f"{where}: -ctv {settings.cache_type_v} needs flash attention; leave -fa off out")
    if 0 < settings.context < settings.slots:
        raise UsageError(f"{where}: -c {settings.context} leaves no token for each of {settings.slots} slots")
    return settings


def context_for(slots: int, tokens: int) -> int:
    """Tokens of context over all slots together, where each request needs so many."""
    return slots * CONTEXT_STEP * -(-tokens // CONTEXT_STEP)


def _given(args: Sequence[str], where: str) -> dict[str, int | str]:
    """Settings by name, as the flags give them."""
    given: dict[str, int | str] = {}
    words = iter(args)
    for word in words:
        flag = _BY_NAME.get(word)
        if flag is None:
            raise UsageError(f"{where}: {_unknown(word)}")
        text = next(words, None)
        if text is None:
            raise UsageError(f"{where}: {word} needs a value: {flag.values}")
        value = flag.read(text)
        if value is None:
            raise UsageError(f"{where}: {word} {text}: must be {_choice(text, flag)}")
        if flag.setting in given:
            raise UsageError(f"{where}: {' or '.join(flag.names)} is given twice")
        given[flag.setting] = value
    return given


def _choice(text: str, flag: Flag) -> str:
    near = difflib.get_close_matches(text.lower(), flag.values.split(", "), n=1)
    return f"{flag.values}; did you mean {near[0]}?" if near else flag.values


def _unknown(word: str) -> str:
    allowed = ", ".join("/".join(flag.names) for flag in FLAGS)
    name = word.replace("=", " ").split(maxsplit=1)[0] if word.strip() else word
    if name != word and name in _BY_NAME:
        return f"write {word!r} as two entries, the flag and its value: [{name!r}, …]"
    near = difflib.get_close_matches(name, list(_BY_NAME), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{word!r} is no flag of llama-server that local mode serves{hint} (it serves {allowed})"


def local_environment(variables: Mapping[str, str], where: str) -> dict[str, str]:
    """What the local server's environment has beside ours. Raises UsageError for variables that would do nothing."""
    for name in variables:
        if name.startswith(REFUSED_VARIABLES):
            raise UsageError(f"{where}: {name} has no effect in local mode; give the flag in serving.args")
    return {**ENVIRONMENT, **variables}


def prompt_tokens_at_most(text: str) -> int:
    """More tokens than a text has in practice: letters and spaces come in twos at least, any other byte may be one."""
    ordinary = sum(character.isascii() and (character.isalpha() or character == " ") for character in text)
    return -(-ordinary // 2) + len(text.encode()) - ordinary


def request_tokens(prompt_tokens: int, output_tokens: int) -> int:
    """The context one request may need."""
    return TEMPLATE_TOKENS + prompt_tokens + output_tokens


def known_request_tokens(tasks: Sequence[TaskSpec]) -> int | None:
    """The context that any request of the tasks may need, where all their prompts stand in the benchmark.

    Those are synthetic ones, and inline items put as they are. None: datasets are elsewhere, or are put by a template.
    """
    needs = [_known_tokens(task) for task in tasks]
    known = [need for need in needs if need is not None]
    return request_tokens(max(known), 0) if known and len(known) == len(needs) else None


def _known_tokens(task: TaskSpec) -> int | None:
    if task.synthetic is not None:
        return int(task.synthetic.input_tokens * SYNTHETIC_MARGIN) + max_tokens_of(task)
    dataset = task.dataset
    if dataset is None or dataset.inline is None or dataset.prompt != Dataset.model_fields["prompt"].default:
        return None
    return max(prompt_tokens_at_most(item.input) for item in dataset.inline) + max_tokens_of(task)
