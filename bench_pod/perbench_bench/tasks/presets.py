"""Tasks that come with the package: their data was written for it and lies in `data/`."""

from dataclasses import dataclass

from perbench.api.tasks import PRESET_ITEMS, Preset, Scorer, Scoring
from perbench.results import TaskKind


@dataclass(frozen=True)
class PackagedTask:
    """A preset: a file in `data/`, of which the first `measured` rows can be measured and the others never are."""

    file: str
    measured: int
    prompt: str
    scoring: Scoring
    kind: TaskKind


PRESETS = {
    # The prompt ends where a plain completion has to go on; the same words make a question in a chat.
    Preset.PACKAGED_TOPICS: PackagedTask(
        file="topics",
        measured=PRESET_ITEMS[Preset.PACKAGED_TOPICS],
        prompt=(
            "Which category does this sentence belong to: weather, food, sports or technology?\n\n"
            "{{ input }}\n\n"
            "Answer: The sentence belongs to the category of"
        ),
        scoring=Scoring(scorer=Scorer.CHOICE, choices=("weather", "food", "sports", "technology")),
        kind=TaskKind.CLASSIFICATION,
    ),
    # One example: without it small models end many completions at once.
    Preset.PACKAGED_ANSWERS: PackagedTask(
        file="answers",
        measured=PRESET_ITEMS[Preset.PACKAGED_ANSWERS],
        prompt="Question: What grows on sheep?\nAnswer: Wool.\n\nQuestion: {{ input }}\nAnswer:",
        scoring=Scoring(scorer=Scorer.CONTAINS),
        kind=TaskKind.GENERATION,
    ),
}
