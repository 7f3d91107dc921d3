import shutil
from pathlib import Path

import pytest

from perbench.api.load import PromptApi
from perbench.failures import UsageError
from perbench.local.llamacpp_model import LlamaCppModel
from perbench.local.prepare import prepare

EXAMPLES = Path(__file__).parents[4] / "examples"


def test_the_quickstart_is_ready_to_run_and_changes_one_thing_at_a_time() -> None:
    prepared = prepare(EXAMPLES / "quickstart.yaml", None, with_key=False)
    assert {task.name for task in prepared.tasks} == {"topics", "answers"}
    assert (prepared.resolved.api, prepared.resolved.concurrency) == (PromptApi.CHAT, 4)
    assert (prepared.resolved.repeats, prepared.resolved.rounds) == (1, 3)
    settings = {}
    for name, model in prepared.models.items():
        assert isinstance(model, LlamaCppModel)
        settings[name] = model.settings.model_dump(exclude={"context"})
    base = settings.pop("four-slots")
    changed = {name: {key for key in base if base[key] != other[key]} for name, other in settings.items()}
    assert changed == {
        "one-slot": {"slots"},
        "one-thread": {"threads"},
        "small-cache": {"cache_type_k", "cache_type_v"},
    }


def test_two_models_lacks_only_what_the_user_has_to_install(tmp_path: Path) -> None:
    file = tmp_path / "two-models.yaml"
    shutil.copy(EXAMPLES / "two-models.yaml", file)
    with pytest.raises(UsageError) as caught:
        prepare(file, None, with_key=False)
    missing = f"{tmp_path}/models/gemma-3-270m.gguf does not exist"
    assert str(caught.value).splitlines() == [
        f"{file}: model gemma-one-slot: {missing}",
        f"{file}: model gemma-four-slots: {missing}",
    ]
