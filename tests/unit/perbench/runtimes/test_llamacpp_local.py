from pathlib import Path

import pytest

from perbench.failures import UsageError
from perbench.runtimes.llamacpp_local import (
    CACHE_TYPES,
    FLAGS,
    LocalSettings,
    Surroundings,
    local_environment,
    local_settings,
    prompt_tokens_at_most,
    request_tokens,
)

AROUND = Surroundings(cores=8, concurrency=4, tokens_per_request=200)
WHERE = "spec.serving.args"


def read(*args: str, around: Surroundings = AROUND) -> LocalSettings:
    return local_settings(args, around, WHERE)


def refusal(*args: str) -> str:
    with pytest.raises(UsageError) as caught:
        read(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_flags_every_request_has_a_slot_and_the_client_a_core() -> None:
    assert read() == LocalSettings(slots=4, context=4 * 256, threads=7)


def test_one_core_still_has_one_thread() -> None:
    assert read(around=Surroundings(cores=1, concurrency=4, tokens_per_request=10)).threads == 1


def test_more_requests_than_llama_cpp_has_sequences_wait_for_a_slot() -> None:
    assert read(around=Surroundings(cores=2, concurrency=4096, tokens_per_request=10)).slots == 256


def test_the_context_follows_the_slots_asked_for() -> None:
    assert read("-np", "2", around=Surroundings(cores=2, concurrency=4, tokens_per_request=257)).context == 2 * 512


@pytest.mark.parametrize("name", [0, 1])
def test_every_flag_of_the_table_under_both_names(name: int) -> None:
    values = dict(
        zip((flag.setting for flag in FLAGS), ("2", "4096", "3", "q8_0", "q4_0", "on", "256", "64"), strict=True)
    )
    words = [word for flag in FLAGS for word in (flag.names[name], values[flag.setting])]
    assert read(*words) == LocalSettings(
        slots=2, context=4096, threads=3, cache_type_k="q8_0", cache_type_v="q4_0", flash_attention="on", batch=256,
        ubatch=64,
    )  # fmt: skip


def test_a_small_batch_takes_the_default_micro_batch_down_with_it() -> None:
    assert read("-b", "128").ubatch == 128


def test_what_is_recorded_names_every_flag_and_what_local_mode_fixes() -> None:
    recorded = read("-np", "2").arguments()
    assert {flag.names[1] for flag in FLAGS} < recorded.keys()
    assert recorded["--parallel"] == 2
    assert recorded["--cache-prompt"] is False


def test_an_unknown_flag_is_named_with_the_nearest_and_all_that_are_served() -> None:
    said = refusal("--paralel", "4")
    assert said.startswith("spec.serving.args: '--paralel' is no flag of llama-server that local mode serves")
    assert "did you mean --parallel?" in said
    assert all(name in said for flag in FLAGS for name in flag.names)


def test_a_flag_of_llama_server_that_has_no_place_here_is_refused_too() -> None:
    assert "'-ngl' is no flag of llama-server that local mode serves" in refusal("-ngl", "99")


@pytest.mark.parametrize("word", ["-np=4", "-np 4", "--parallel=4"])
def test_flag_and_value_in_one_entry(word: str) -> None:
    assert "as two entries, the flag and its value" in refusal(word)


@pytest.mark.parametrize("word", ["", " ", "4", "-"])
def test_a_word_that_is_no_flag(word: str) -> None:
    assert f"{word!r} is no flag" in refusal(word)


def test_a_flag_without_its_value() -> None:
    assert refusal("-t") == "spec.serving.args: -t needs a value: 1 to 512"


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        *(("-np", value) for value in ("0", "257", "-1", "1.5", "four", "٤", "", "1e9")),
        *(("-c", value) for value in ("-1", "99999999")),
        *(("-t", value) for value in ("0", "513", "-1")),
        *(("-ctk", value) for value in ("q8", "F16", "q4_k")),
        *(("-fa", value) for value in ("1", "true", "enabled")),
        *(("-b", "0"), ("-ub", "0")),
    ],
)
def test_a_bad_value_is_said_with_what_is_allowed(flag: str, value: str) -> None:
    assert refusal(flag, value).startswith(f"spec.serving.args: {flag} {value}: must be ")


def test_the_nearest_value_is_named() -> None:
    assert refusal("-ctk", "q8_O").endswith("did you mean q8_0?")


def test_a_flag_given_twice_under_either_name() -> None:
    assert refusal("-np", "2", "--parallel", "2") == "spec.serving.args: -np or --parallel is given twice"


@pytest.mark.parametrize("kind", [kind for kind in CACHE_TYPES if kind not in ("f32", "f16", "bf16")])
def test_a_quantised_v_cache_without_flash_attention(kind: str) -> None:
    assert "needs flash attention" in refusal("-ctv", kind, "-fa", "off")
    assert read("-ctk", kind, "-fa", "off").cache_type_k == kind


def test_a_micro_batch_above_the_batch() -> None:
    assert "-ub 512 is above -b 256" in refusal("-b", "256", "-ub", "512")


def test_fewer_tokens_than_slots() -> None:
    assert "leaves no token" in refusal("-np", "4", "-c", "3")
    assert read("-c", "0").context == 0


def test_the_environment_is_the_users_over_ours() -> None:
    assert local_environment({"GOMP_SPINCOUNT": "7", "A": "b"}, "spec.serving.env") == {"GOMP_SPINCOUNT": "7", "A": "b"}
    assert local_environment({}, "spec.serving.env") == {"GOMP_SPINCOUNT": "1000"}


def test_a_variable_that_would_do_nothing() -> None:
    with pytest.raises(UsageError, match=r"spec\.serving\.env: LLAMA_ARG_THREADS has no effect in local mode"):
        local_environment({"LLAMA_ARG_THREADS": "4"}, "spec.serving.env")


def test_the_bound_on_prompt_tokens() -> None:
    assert prompt_tokens_at_most("") == 0
    assert prompt_tokens_at_most("What is it") == 5
    assert prompt_tokens_at_most("1234") == 4
    assert prompt_tokens_at_most("día") == 1 + 2
    assert request_tokens(100, 16) == 244


def test_the_documented_table_is_this_one() -> None:
    text = (Path(__file__).parents[4] / "docs" / "local.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `-")]
    assert rows == [
        f"| `{flag.names[0]}`, `{flag.names[1]}` | {flag.what} | {flag.values} | {flag.default} |" for flag in FLAGS
    ]
