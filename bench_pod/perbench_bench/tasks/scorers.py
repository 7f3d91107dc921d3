"""How an answer is judged. Every scorer compares words (`text.words`), so case, punctuation and width do not count.

- ExactMatch: the whole answer has the words of a right one; one leading article (a, an, the) does not count.
- Contains: the words of a right answer stand in the answer, next to each other and whole ("art" is not in "party").
- Regex: the pattern's first match in the answer as it came; its first group (no group: the match) is judged by
  ExactMatch.
- Choice: of all choices, the one the answer names first is a right one. Where two begin at the same word, the longer.
- F1: harmonic mean of precision and recall of words without articles, as SQuAD does it
  (https://arxiv.org/abs/1606.05250), the best over the right answers.

Only the first `TEXT_LIMIT` characters of an answer are judged.
"""

import re
from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from functools import lru_cache

from perbench.api.tasks import Scorer, Scoring
from perbench.failures import UsageError
from perbench_bench.tasks.cpu_limit import CpuLimitReached, cpu_limit
from perbench_bench.tasks.text import without_article, without_articles, words

TEXT_LIMIT = 65_536
"""Characters of an answer that are judged."""

PATTERN_SECONDS = 0.5
"""Processor time a pattern may take for one answer. Beyond it the answer is not scored."""

_TRIAL_LENGTH = 256
# Long enough that a pattern of exponential or fourth-power cost runs out of time, and one of third power does not.


def score(scoring: Scoring, text: str, answers: Sequence[str]) -> float | None:
    """How right `text` is, 0 to 1: the best over `answers`. None: not scored, the pattern took too long."""
    text = text[:TEXT_LIMIT]
    match scoring.scorer:
        case Scorer.EXACT_MATCH:
            return float(_equals(text, answers))
        case Scorer.CONTAINS:
            found = words(text)
            return float(any(_position(found, without_article(words(answer))) is not None for answer in answers))
        case Scorer.REGEX:
            return _regex(scoring, text, answers)
        case Scorer.CHOICE:
            named = _first_named(words(text), [words(choice) for choice in scoring.choices])
            return float(named is not None and any(named == words(answer) for answer in answers))
        case Scorer.F1:
            return max((_f1(words(text), words(answer)) for answer in answers), default=0.0)


def check_scoring(scoring: Scoring, where: str) -> None:
    """Refuse choices that are alike and patterns that are slow. Raises UsageError beginning with `where`."""
    if scoring.pattern is not None:
        _check_pattern(scoring.pattern, where)
    seen: dict[tuple[str, ...], str] = {}
    for choice in scoring.choices:
        found = words(choice)
        if not found:
            raise UsageError(f"{where}: a choice needs letters or digits, {choice!r} has none")
        if found in seen:
            raise UsageError(f"{where}: the choices {seen[found]!r} and {choice!r} have the same words; rename one")
        seen[found] = choice


def check_answers(scoring: Scoring, answers: Sequence[str], where: str) -> None:
    """Refuse answers that could never be right, or always. Raises UsageError beginning with `where`."""
    known = {words(choice) for choice in scoring.choices}
    for answer in answers:
        found = words(answer)
        if scoring.scorer is Scorer.CHOICE and found not in known:
            near = get_close_matches(answer, scoring.choices, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"choices are {', '.join(scoring.choices)}"
            raise UsageError(f"{where}: the answer {answer!r} is not one of the choices; {hint}")
        if not found and scoring.scorer is Scorer.CONTAINS:
            raise UsageError(f"{where}: Contains needs letters or digits in every answer, {answer!r} has none")
        if not found and answer:
            raise UsageError(f"{where}: answers are compared by letters and digits, {answer!r} has none")


def _check_pattern(pattern: str, where: str) -> None:
    """Try texts that make a pattern with nested or many repeats backtrack."""
    compiled = _compiled(pattern)
    trials = sorted({*pattern, *" \n.a1"})
    try:
        with cpu_limit(PATTERN_SECONDS):
            for char in trials:
                compiled.search(char * _TRIAL_LENGTH + "\x00")
    except CpuLimitReached:
        raise UsageError(
            f"{where}: the pattern {pattern!r} takes over {PATTERN_SECONDS:g} s on {_TRIAL_LENGTH} characters; "
            "avoid repeats within repeats, like (a+)+"
        ) from None


@lru_cache(maxsize=16)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _regex(scoring: Scoring, text: str, answers: Sequence[str]) -> float | None:
    compiled = _compiled(scoring.pattern or "")
    try:
        with cpu_limit(PATTERN_SECONDS):
            match = compiled.search(text)
    except CpuLimitReached:
        return None
    found = None if match is None else match[min(compiled.groups, 1)]
    return float(found is not None and _equals(found, answers))


def _equals(text: str, answers: Sequence[str]) -> bool:
    found = without_article(words(text))
    return any(found == without_article(words(answer)) for answer in answers)


def _position(found: tuple[str, ...], wanted: tuple[str, ...]) -> int | None:
    """Index in `found` where `wanted` first stands as a whole. `wanted` is not empty."""
    span = len(wanted)
    return next((at for at in range(len(found) - span + 1) if found[at : at + span] == wanted), None)


def _first_named(found: tuple[str, ...], choices: Sequence[tuple[str, ...]]) -> tuple[str, ...] | None:
    places = [(at, -len(choice), choice) for choice in choices if (at := _position(found, choice)) is not None]
    return min(places)[2] if places else None


def _f1(found: tuple[str, ...], wanted: tuple[str, ...]) -> float:
    found, wanted = without_articles(found), without_articles(wanted)
    if not found or not wanted:
        return float(found == wanted)
    common = (Counter(found) & Counter(wanted)).total()
    return 2 * common / (len(found) + len(wanted))
