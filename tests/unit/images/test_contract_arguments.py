"""The contract server reads and refuses arguments as the real launcher does."""

import pytest

from tests.images.tgi_contract.arguments import (
    LauncherExitError,
    Limits,
    debug_text,
    limits,
    parse,
    shard_refusal,
)
from tests.images.tgi_contract.options import OPTIONS, Option
from tests.support.recorded_router import RECORDINGS

PREFILL_ABOVE_TOTAL = (
    'Error: ArgumentValidation("`max_batch_prefill_tokens` must be <= `max_batch_total_tokens`. Given: 9 and 8")\n'
)
RECORDED_WORDS = (
    *("--model-id", "/srv/tgi/model/tiny-llama", "--num-shard", "1", "--hostname", "127.0.0.1", "--port", "38223"),
    *("--prometheus-port", "39223", "--shard-uds-path", "/srv/tgi/run/L-launcher-prefill-logprobs/sock"),
    *("--usage-stats", "off", "--json-output", "--enable-prefill-logprobs", "--max-input-tokens", "512"),
    *("--max-total-tokens", "768", "--max-concurrent-requests", "64", "--cuda-memory-fraction", "0.5"),
    *("--max-batch-size", "8"),
)


def refused(*words: str, **environment: str) -> LauncherExitError:
    with pytest.raises(LauncherExitError) as refusal:
        limits(parse(words, environment), environment)
    return refusal.value


def test_the_log_begins_with_all_arguments() -> None:
    assert debug_text(parse(RECORDED_WORDS, {})) == (RECORDINGS / "launcher-arguments.txt").read_text()


def test_the_api_key_is_in_the_log_as_with_the_real_launcher() -> None:
    assert '    api_key: Some(\n        "sesame",\n    ),' in debug_text(parse([], {"API_KEY": "sesame"}))


def test_an_unknown_flag_is_refused() -> None:
    refusal = refused("--nonsense", "1", "--json-output")
    assert (refusal.code, refusal.stderr) == (2, (RECORDINGS / "launcher-bad-flag.txt").read_text())


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_has_an_environment_twin(option: Option) -> None:
    if option.kind.value == "flag":
        words, text = [option.flag], "true"
    else:
        text = option.choices[-1] if option.choices else "true" if option.kind.value == "bool" else "7"
        words = [option.flag, text]
    assert parse(words, {}) == parse([], {option.variable: text}) != parse([], {})


def test_a_flag_goes_before_its_environment_twin() -> None:
    assert parse(["--port=81"], {"PORT": "80"}).whole("port") == 81


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port"], "a value is required for '--port <PORT>' but none was supplied"),
        (["--port", "x"], "invalid value 'x' for '--port <PORT>': invalid digit found in string"),
        (["--port", "70000"], "invalid value '70000' for '--port <PORT>': 70000 is not in 0..=65535"),
        (["--dtype", "int8"], "[possible values: float16, bfloat16]"),
        (["--port", "1", "--port", "2"], "the argument '--port <PORT>' cannot be used multiple times"),
        (["--waiting-served-ratio", "x"], "invalid float literal"),
        (["--json-output=1"], "unexpected value '1' for '--json-output' found"),
    ],
)
def test_a_bad_value_is_refused(words: list[str], message: str) -> None:
    refusal = refused(*words)
    assert refusal.code == 2
    assert message in refusal.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--max-input-tokens", "100", "--max-total-tokens", "100"],
            'Error: ArgumentValidation("`max_input_tokens`(100) must be < `max_total_tokens`(100)")\n',
        ),
        (["--num-shard", "0"], 'Error: ArgumentValidation("`num_shard` cannot be < 1")\n'),
        (["--validation-workers", "0"], 'Error: ArgumentValidation("`validation_workers` must be > 0")\n'),
        (
            ["--max-batch-prefill-tokens", "9", "--max-batch-total-tokens", "8"],
            PREFILL_ABOVE_TOTAL,
        ),
        (
            ["--sharded", "true"],
            'Error: NotEnoughCUDADevices("`sharded` is true but only found 1 CUDA devices")\n',
        ),
    ],
)
def test_what_cannot_go_together_is_refused(words: list[str], message: str) -> None:
    refusal = refused(*words)
    assert (refusal.code, refusal.stderr) == (1, message)


def test_limits_without_arguments() -> None:
    assert limits(parse([], {}), {}) == Limits(4095, 4096, 4096, num_shard=1)


def test_a_limit_on_the_input_alone_leaves_the_total_above_it() -> None:
    assert limits(parse(["--max-input-tokens", "8000"], {}), {}) == Limits(8000, 8001, 8000, num_shard=1)


def test_without_a_number_there_are_as_many_shards_as_visible_devices() -> None:
    assert limits(parse([], {}), {"CUDA_VISIBLE_DEVICES": "0,1,2,3"}).num_shard == 4


@pytest.mark.parametrize(
    ("method", "is_refused"), [("awq", True), ("bitsandbytes-nf4", False)], ids=["awq", "bitsandbytes"]
)
def test_the_shard_refuses_most_quantization_with_a_dtype(method: str, is_refused: bool) -> None:
    arguments = parse(["--quantize", method, "--dtype", "float16"], {})
    assert (shard_refusal(arguments) is not None) is is_refused


def test_help_and_version() -> None:
    assert "--max-input-tokens <MAX_INPUT_TOKENS> [env: MAX_INPUT_TOKENS=]" in refused("--help").stdout
    assert refused("-V").stdout == "text-generation-launcher 3.3.6-dev0\n"
