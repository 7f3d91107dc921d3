"""Text as words, the form in which answers are compared: what looks the same to a reader compares equal."""

import re
import unicodedata

_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_NOT_WORD = re.compile(r"[^\w\s]|_")
# Thai, Lao, Burmese, Khmer, Japanese and Chinese are written without spaces: each character counts as a word.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff])"
)
_ARTICLES = frozenset({"a", "an", "the"})


def words(text: str) -> tuple[str, ...]:
    """Words of `text`, comparable: Unicode NFKC, case folded, without punctuation and symbols.

    Digits keep a decimal point ("3.5") and a leading minus sign ("-4"); commas between thousands go ("1,000" is
    "1000"). Apostrophes and hyphens separate ("well-known" is two words).
    """
    # Case folding can undo the normal form, so it is restored afterwards.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).replace("\u2212", "-")
    joined = _THOUSANDS.sub(lambda number: number[0].replace(",", ""), folded)
    return tuple(_UNSPACED.sub(r" \1 ", _NOT_WORD.sub(_kept, joined)).split())


def without_article(found: tuple[str, ...]) -> tuple[str, ...]:
    """Words less one leading English article, unless nothing else is there (an answer can be "A")."""
    return found[1:] if len(found) > 1 and found[0] in _ARTICLES else found


def without_articles(found: tuple[str, ...]) -> tuple[str, ...]:
    """Words less all English articles; of articles alone, the last one stays."""
    return tuple(word for word in found if word not in _ARTICLES) or found[-1:]


def _kept(match: re.Match[str]) -> str:
    """A character that is no letter or digit: kept where it is part of a word, else a space."""
    char, text, at = match[0], match.string, match.start()
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if char == ".":
        part = before.isdecimal() and after.isdecimal()
    elif char == "-":
        part = after.isdecimal() and not before.isalnum()
    else:  # vowel signs and accents are marks, not letters
        part = _is_mark(char) and (before.isalnum() or _is_mark(before))
    return char if part else " "


def _is_mark(char: str) -> bool:
    return char != "" and unicodedata.category(char).startswith("M")
