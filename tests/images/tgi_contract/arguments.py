"""The launcher's words and environment, read and refused as the real launcher does. Pure.

Seen on text-generation-launcher 3.3.7: a bad flag ends with 2, a combination it does not accept with 1. The words for a
bad value are those of its command line library, and were not recorded.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.images.tgi_contract.options import BY_NAME, OPTIONS, Kind, Option

PROGRAM = "text-generation-launcher"
VERSION = "3.3.6-dev0"
"""What the programs of release 3.3.7 say they are."""
USAGE_EXIT = 2
VALIDATION_EXIT = 1

Value = str | int | float | bool | tuple[str, ...] | tuple[int, ...] | None

INTEGER_LIMITS = {Kind.USIZE: 2**64 - 1, Kind.U64: 2**64 - 1, Kind.U32: 2**32 - 1, Kind.U16: 2**16 - 1}


class LauncherExitError(Exception):
    """The launcher ends before anything is started: `code`, and what it writes to standard output and error."""

    def __init__(self, code: int, stderr: str = "", stdout: str = "") -> None:
        super().__init__(stderr or stdout)
        self.code, self.stderr, self.stdout = code, stderr, stdout


@dataclass(frozen=True)
class Arguments:
    """Every option with its value, by the launcher's own key (`max_input_tokens`)."""

    values: Mapping[str, Value]

    def text(self, key: str) -> str | None:
        """A text option's value."""
        value = self.values[key]
        return None if value is None else str(value)

    def number(self, key: str) -> int | None:
        """A whole number's value."""
        value = self.values[key]
        return value if isinstance(value, int) else None

    def whole(self, key: str) -> int:
        """A whole number that has a default."""
        value = self.values[key]
        assert isinstance(value, int)
        return value

    def fraction(self, key: str) -> float:
        """A number that has a default."""
        value = self.values[key]
        assert isinstance(value, float)
        return value

    def flag(self, key: str) -> bool:
        """Whether a flag is set."""
        return self.values[key] is True


def parse(words: Sequence[str], environment: Mapping[str, str]) -> Arguments:
    """Read flags, then for what they leave out the environment, then the defaults.

    Raises LauncherExitError for `--help`, `--version` and for words the launcher does not know.
    """
    given = _given(words)
    values: dict[str, Value] = {}
    for option in OPTIONS:
        text = given.get(option.key, environment.get(option.variable, option.default))
        values[option.key] = _value(option, text)
    return Arguments(values)


def _given(words: Sequence[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        name, equals, text = word.partition("=")
        if name in {"-h", "--help"}:
            raise LauncherExitError(0, stdout=help_text())
        if name in {"-V", "--version"}:
            raise LauncherExitError(0, stdout=f"{PROGRAM} {VERSION}\n")
        option = BY_NAME.get(name)
        if option is None:
            raise LauncherExitError(USAGE_EXIT, _usage_error(f"unexpected argument '{name}' found", USAGE))
        if option.key in given:
            message = f"the argument '{option.usage}' cannot be used multiple times"
            raise LauncherExitError(USAGE_EXIT, _usage_error(message, f"{PROGRAM} [OPTIONS]"))
        if option.kind is Kind.FLAG:
            if equals:
                message = f"unexpected value '{text}' for '{option.flag}' found; no more were expected"
                raise LauncherExitError(USAGE_EXIT, _usage_error(message, f"{PROGRAM} {option.flag}"))
            given[option.key] = "true"
            continue
        value = text if equals else next(rest, None)
        if value is None or (not equals and value.startswith("--")):
            raise LauncherExitError(
                USAGE_EXIT, _usage_error(f"a value is required for '{option.usage}' but none was supplied")
            )
        given[option.key] = value
    return given


USAGE = f"{PROGRAM} <{'|'.join(option.usage for option in OPTIONS)}>"


def _usage_error(message: str, usage: str | None = None) -> str:
    middle = f"Usage: {usage}\n\n" if usage else ""
    return f"error: {message}\n\n{middle}For more information, try '--help'.\n"


def help_text() -> str:
    """Every option with its environment twin, default and choices."""
    lines = ["Text Generation Launcher", "", f"Usage: {PROGRAM} [OPTIONS]", "", "Options:"]
    for option in OPTIONS:
        notes = [f"[env: {option.variable}=]"]
        notes += [f"[default: {option.default}]"] if option.default is not None else []
        notes += [f"[possible values: {', '.join(option.choices)}]"] if option.choices else []
        lines.append(f"  {option.short + ',' if option.short else '   '} {option.usage} {' '.join(notes)}")
    return "\n".join([*lines, "  -h, --help", "  -V, --version", ""])


def _value(option: Option, text: str | None) -> Value:
    if option.kind is Kind.FLAG:
        return text is not None and text.lower() in {"y", "yes", "t", "true", "on", "1"}
    if option.kind is Kind.TEXTS:
        return () if text is None else (text,)
    return None if text is None else _given_value(option, text)


def _given_value(option: Option, text: str) -> Value:
    match option.kind:
        case Kind.USIZES:
            return tuple(_integer(option, part, Kind.USIZE) for part in text.split(","))
        case Kind.CHOICE | Kind.BOOL:
            choices = option.choices or ("true", "false")
            if text not in choices:
                raise _bad_value(option, text, f"\n  [possible values: {', '.join(choices)}]")
            return text if option.choices else text == "true"
        case Kind.F32:
            return _float(option, text)
        case Kind.TEXT:
            return text
        case kind:
            return _integer(option, text, kind)


def _integer(option: Option, text: str, kind: Kind) -> int:
    if not text:
        raise _bad_value(option, text, ": cannot parse integer from empty string")
    if not (text.isascii() and text.isdigit()):
        raise _bad_value(option, text, ": invalid digit found in string")
    number, limit = int(text), INTEGER_LIMITS[kind]
    if number > limit:
        reason = ": number too large to fit in target type"
        raise _bad_value(option, text, f": {text} is not in 0..={limit}" if kind is Kind.U16 else reason)
    return number


def _float(option: Option, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise _bad_value(option, text, ": invalid float literal") from None
    if math.isnan(number) or number < 0:
        raise _bad_value(option, text, ": must not be negative")
    return number


def _bad_value(option: Option, text: str, reason: str) -> LauncherExitError:
    return LauncherExitError(USAGE_EXIT, _usage_error(f"invalid value '{text}' for '{option.usage}'{reason}"))


def invalid(message: str) -> LauncherExitError:
    """The launcher's refusal of a combination of arguments."""
    return LauncherExitError(VALIDATION_EXIT, f'Error: ArgumentValidation("{message}")\n')


@dataclass(frozen=True)
class Limits:
    """What the launcher works out of its arguments."""

    max_input_tokens: int
    max_total_tokens: int
    max_batch_prefill_tokens: int
    num_shard: int


DEFAULT_TOTAL_TOKENS = 4096
DEFAULT_PREFILL_TOKENS = 4096


def limits(arguments: Arguments, environment: Mapping[str, str]) -> Limits:
    """Check the arguments against each other. Raises LauncherExitError with the launcher's words."""
    given_input, legacy = arguments.number("max_input_tokens"), arguments.number("max_input_length")
    if given_input is not None and legacy is not None:
        raise invalid(
            f"Both `max_input_tokens` ({given_input}) and `max_input_length` ({legacy}) are set. Please define only "
            "`max_input_tokens` as `max_input_length is deprecated for naming consistency."
        )
    given_input = legacy if given_input is None else given_input
    given_total = arguments.number("max_total_tokens")
    if given_input is not None and given_total is not None and given_input >= given_total:
        raise invalid(f"`max_input_tokens`({given_input}) must be < `max_total_tokens`({given_total})")
    prefill = arguments.number("max_batch_prefill_tokens")
    batch = arguments.number("max_batch_total_tokens")
    if batch is not None and prefill is not None and prefill > batch:
        raise invalid(f"`max_batch_prefill_tokens` must be <= `max_batch_total_tokens`. Given: {prefill} and {batch}")
    if batch is not None and given_total is not None and given_total > batch:
        raise invalid(f"`max_total_tokens` must be <= `max_batch_total_tokens`. Given: {given_total} and {batch}")
    if arguments.whole("validation_workers") == 0:
        raise invalid("`validation_workers` must be > 0")
    shards = _shards(arguments, environment)
    total = given_total if given_total is not None else max(DEFAULT_TOTAL_TOKENS, (given_input or 0) + 1)
    return Limits(
        max_input_tokens=given_input if given_input is not None else total - 1,
        max_total_tokens=total,
        max_batch_prefill_tokens=prefill if prefill is not None else max(DEFAULT_PREFILL_TOKENS, given_input or 0),
        num_shard=shards,
    )


def _shards(arguments: Arguments, environment: Mapping[str, str]) -> int:
    """The number of shards; without an argument that of the visible devices, one where none is named."""
    sharded, given = arguments.values["sharded"], arguments.number("num_shard")
    visible = environment.get("CUDA_VISIBLE_DEVICES", environment.get("NVIDIA_VISIBLE_DEVICES", ""))
    named = visible not in {"", "all", "void", "none"}
    devices = len([name for name in visible.split(",") if name]) if named else 1
    if sharded is True and given is not None and given <= 1:
        raise invalid("`sharded` is true but `num_shard` <= 1")
    if sharded is True and given is None and devices <= 1:
        message = f"`sharded` is true but only found {devices} CUDA devices"
        raise LauncherExitError(VALIDATION_EXIT, f'Error: NotEnoughCUDADevices("{message}")\n')
    if given is not None and given < 1:
        raise invalid("`num_shard` cannot be < 1")
    if given is not None:
        return given
    return 1 if sharded is False else devices


def shard_refusal(arguments: Arguments) -> str | None:
    """Why the model server would not start with arguments that the launcher accepts. None: it starts."""
    method, dtype = arguments.text("quantize"), arguments.text("dtype")
    bitsandbytes = {"bitsandbytes", "bitsandbytes-nf4", "bitsandbytes-fp4"}
    if method is not None and dtype is not None and method not in bitsandbytes:
        return "Only 1 can be set between `dtype` and `quantize`, as they both decide how goes the final model."
    return None


def debug_text(arguments: Arguments) -> str:
    """The launcher's first log line: all arguments, the API key included."""
    lines = [f"    {option.key}: {_debug(option, arguments.values[option.key])}," for option in OPTIONS]
    return "\n".join(["Args {", *lines, "}"])


def _debug(option: Option, value: Value) -> str:
    if option.kind is Kind.TEXTS:
        assert isinstance(value, tuple)
        items = "".join(f"        {_plain(option, item)},\n" for item in value)
        return f"[\n{items}    ]" if value else "[]"
    if option.default is not None or option.kind is Kind.FLAG:
        return _plain(option, value)
    if value is None:
        return "None"
    if isinstance(value, tuple):
        items = "".join(f"            {item},\n" for item in value)
        return f"Some(\n        [\n{items}        ],\n    )"
    return f"Some(\n        {_plain(option, value)},\n    )"


def _plain(option: Option, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if option.kind is Kind.CHOICE:
        return "".join(part.title() for part in str(value).replace("_", "-").split("-"))
    return f'"{value}"' if isinstance(value, str) else str(value)
