from typing import Any

import pytest

from perbench.api.reading import parse
from perbench.api.resource import to_data
from perbench.masking import HIDDEN, shown, shown_spec, shown_variables, shown_words

SECRETS = (
    "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "hftoken", "api_key", "APIKEY", "VLLM_API_KEY", "AWS_SECRET_ACCESS_KEY",
    "KEY", "CLIENT_SECRET", "PGPASSWORD", "MYSQL_PWD", "DB_PASS", "REGISTRY_AUTH", "GOOGLE_CREDENTIALS",
)  # fmt: skip
SETTINGS = (
    "MAX_TOTAL_TOKENS", "MAX_BATCH_PREFILL_TOKENS", "TOKENIZERS_PARALLELISM", "HF_TOKEN_PATH", "KEYBOARD", "MONKEY",
    "SECRETS_DIR", "BYPASS", "OMP_NUM_THREADS",
)  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
def test_what_sounds_like_a_secret_has_no_value(name: str) -> None:
    assert shown(name, "hunter2") == HIDDEN


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_shown_whatever_they_remind_of(name: str) -> None:
    assert shown(name, "4096") == "4096"


def test_a_url_is_shown_without_user_and_password() -> None:
    proxy, hub = "http://bob:hunter2@proxy:3128/x?y=a@b", "https://hub/a@b"
    found = shown_variables({"HTTPS_PROXY": proxy, "HF_ENDPOINT": hub})
    assert found == {"HTTPS_PROXY": f"http://{HIDDEN}@proxy:3128/x?y=a@b", "HF_ENDPOINT": hub}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--api-key|hunter2|--port|80", "--api-key|…|--port|80"),
        ("--api-key=hunter2|-np|4", "--api-key=…|-np|4"),
        ("--hf-token|hunter2|-hft|hunter2|--password=hunter2", "--hf-token|…|-hft|…|--password=…"),
        ("--max-total-tokens|4096|--tokenizer|org/a", "--max-total-tokens|4096|--tokenizer|org/a"),
        ("--use-auth|--port|80", "--use-auth|--port|80"),
        ("--api-key|hunter 2", "--api-key|…"),
        ("--proxy|http://bob:hunter2@proxy:3128", "--proxy|http://…@proxy:3128"),
        ("sh|-c|HF_TOKEN=hunter2 exec  serve --api-key hunter2 --port 80",
         "sh|-c|HF_TOKEN=… exec  serve --api-key … --port 80"),
        ("--api-key", "--api-key"),
        ("", ""),
    ],
)  # fmt: skip
def test_of_arguments_that_sound_like_secrets_the_value_is_hidden(words: str, expected: str) -> None:
    assert shown_words(words.split("|")) == expected.split("|")


def spec() -> dict[str, Any]:
    def env(value: str) -> list[dict[str, str]]:
        return [{"name": "HF_TOKEN", "value": value}, {"name": "MAX_TOTAL_TOKENS", "value": "4096"}]

    container = {"name": "beside", "image": "a", "env": [*env("hunter3"), {"name": "X_KEY", "valueFrom": {"a": "b"}}]}
    container |= {"command": ["serve", "--api-key", "hunter4"], "args": ["--password=hunter5", "--port", "80"]}
    fields = {"name": "a TOKEN", "value": "shown"}
    items = [{"input": "q", "answers": ["http://a:b@c"], "fields": fields} for _ in range(32)]
    return {
        "models": [
            {"name": "a", "model": "org/a", "serving": {"env": env("hunter1")}},
            {"name": "b", "model": "org/b", "serving": {"podPatch": {"spec": {"containers": [container]}}}},
        ],
        "serving": {"env": env("hunter2"), "args": ["--api-key", "hunter6", "--max-num-seqs", "4"]},
        "tasks": [{"name": "t", "dataset": {"inline": items, "scoring": {"scorer": "Contains"}}}],
    }


def test_a_spec_is_shown_without_secrets_and_otherwise_as_it_is() -> None:
    document = {"apiVersion": "perbench.dev/v1alpha1", "kind": "PERBenchmark", "metadata": {"name": "b"}}
    data = to_data(parse(document | {"spec": spec()}).spec)
    found = shown_spec(data)
    expected = str(data)
    for secret in (f"hunter{number}" for number in range(1, 7)):
        assert secret in expected
        expected = expected.replace(secret, HIDDEN)
    assert str(found) == expected
