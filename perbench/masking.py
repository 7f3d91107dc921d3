"""What results show of settings that may hold secrets: results and reports are passed on. Pure."""

import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest

from pydantic import JsonValue

HIDDEN = "…"
SECRET_NAME = re.compile(
    r"(TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|API_?KEY|(^|[_.-])(KEY|PASS|PWD|AUTH))$", re.IGNORECASE
)
"""How names of secrets end. `MAX_TOTAL_TOKENS` and `TOKENIZER` are settings: runs that differ in them are unlike."""
SECRET_FLAGS = frozenset({"-hft"})
"""Flags of secrets that do not sound like it: the short form of llama.cpp's `--hf-token`."""
FLAG = re.compile(r"--?[A-Za-z]")
WORDS = frozenset({"args", "command"})
"""Fields of a spec, and of a pod, that hold the words of a command."""
USER_INFO = re.compile(r"(?<=://)[^\s/?#@]+@")
"""User and password in a URL (RFC 3986, 3.2.1)."""


def shown(name: str, value: str) -> str:
    """The value of a variable, unless it sounds like a secret; of a URL without user and password."""
    return HIDDEN if SECRET_NAME.search(name) else USER_INFO.sub(f"{HIDDEN}@", value)


def shown_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables as results may show them."""
    return {name: shown(name, value) for name, value in variables.items()}


def shown_words(words: Sequence[str]) -> list[str]:
    """The words of a command as results may show them: `--api-key X`, `--api-key=X` and `API_KEY=X` without the value,
    also within one word that is a command of its own (`sh -c "..."`)."""
    return [_word(before, word) for before, word in zip(("", *words), words, strict=False)]


def shown_spec(spec: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """A benchmark's spec as results may show it: the same but for values in `env`, and of arguments, also in patches of
    pods."""
    return {name: _part(name, value) for name, value in spec.items()}


def _part(name: str, value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [_part("", entry) for entry in _entries(name, value)]
    return shown_spec(value) if isinstance(value, dict) else value


def _entries(name: str, entries: list[JsonValue]) -> Sequence[JsonValue]:
    if name == "env":
        return [_variable(entry) for entry in entries]
    words = [entry for entry in entries if isinstance(entry, str)] if name in WORDS else []
    return shown_words(words) if words and len(words) == len(entries) else entries


def _word(before: str, word: str) -> str:
    """`before`: the word before it."""
    if _is_secret_flag(before) and not FLAG.match(word):
        return HIDDEN
    parts = re.split(r"(\s+)", word)  # words and the spaces between them
    if len(parts) > 1:
        return "".join(
            part for pair in zip_longest(shown_words(parts[::2]), parts[1::2], fillvalue="") for part in pair
        )
    name, is_set, value = word.partition("=")
    if is_set and (SECRET_NAME.search(name) or name in SECRET_FLAGS):
        return f"{name}={HIDDEN}" if value else word
    return USER_INFO.sub(f"{HIDDEN}@", word)


def _is_secret_flag(word: str) -> bool:
    return FLAG.match(word) is not None and (SECRET_NAME.search(word) is not None or word in SECRET_FLAGS)


def _variable(entry: JsonValue) -> JsonValue:
    if not isinstance(entry, dict):
        return entry
    name, value = entry.get("name"), entry.get("value")
    return {**entry, "value": shown(name, value)} if isinstance(name, str) and isinstance(value, str) else entry
