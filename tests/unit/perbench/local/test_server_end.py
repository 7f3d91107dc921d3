from perbench.failures import MESSAGE_LIMIT, Blame
from perbench.local.server_end import (
    Ended,
    ended_early,
    ended_late,
    last_words,
    model_gone,
    never_ready,
    parse_oom_kills,
)

# recorded: xllamacpp 2026.10.11549, `-c 400000000`
NO_MEMORY = """\
0.00.007.794 I srv          init: loading model
0.00.140.153 W llama_context: n_ctx_seq (100000000) > n_ctx_train (8192) -- possible training context overflow
0.18.867.528 E ggml_aligned_malloc: insufficient memory (attempted to allocate 8789062.50 MB)
0.18.867.559 E ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 9216000000000
0.19.385.205 E llama_init_from_model: failed to initialize the context: failed to allocate buffer for kv cache
0.19.385.320 E cmn  common_init_: failed to create context with model 'm.gguf'
0.19.385.406 E cmn  common_init_: failed to create context with model 'm.gguf'
0.19.386.709 E srv          init: exiting due to model loading error
"""
LOADING = """\
0.00.003.645 I srv          init: loading model
0.00.003.699 I srv    load_model: loading model 'm.gguf'
"""


def test_errors_are_the_last_words_without_times_and_repetitions() -> None:
    words = last_words(NO_MEMORY).split(" | ")
    assert words[0] == "ggml_aligned_malloc: insufficient memory (attempted to allocate 8789062.50 MB)"
    assert words[-1] == "srv          init: exiting due to model loading error"
    assert words.count("cmn  common_init_: failed to create context with model 'm.gguf'") == 1


def test_without_errors_the_last_lines() -> None:
    assert last_words(LOADING + "Segmentation fault\n\n").split(" | ")[-1] == "Segmentation fault"


def test_memory_that_could_not_be_had_is_named() -> None:
    failure = ended_early(Ended(1, NO_MEMORY, oom_killed=False))
    assert (failure.blame, failure.reason, failure.exit_code) == (Blame.TARGET, "OutOfMemory", 1)
    assert failure.message.startswith("the model's server ended for want of memory, before the model was ready, exit")


def test_killed_for_want_of_memory_needs_the_kernels_word() -> None:
    assert ended_late(Ended(-9, LOADING, oom_killed=True)).reason == "OutOfMemory"
    assert ended_late(Ended(-9, LOADING, oom_killed=False)).reason == "ServerExited"
    assert ended_late(Ended(-11, LOADING, oom_killed=True)).reason == "ServerExited"


def test_the_signal_is_named() -> None:
    assert "while it was measured, by SIGSEGV: " in ended_late(Ended(-11, LOADING, oom_killed=False)).message
    assert "by signal 99: its log is empty" in ended_early(Ended(-99, "", oom_killed=False)).message


def test_not_ready_says_how_long_and_what_it_did_last() -> None:
    failure = never_ready(600, LOADING)
    assert failure.reason == "ServerNotReady"
    assert failure.message.startswith("the model was not ready within 600 s: ")
    assert failure.message.endswith("loading model 'm.gguf'")


def test_a_long_log_is_capped_and_its_end_kept() -> None:
    failure = ended_late(Ended(1, "0.0.0.1 E " + "x" * 5000 + "the end", oom_killed=False))
    assert len(failure.message) <= MESSAGE_LIMIT
    assert failure.message.startswith("the model's server ended while")
    assert failure.message.endswith("the end")


def test_a_file_that_has_gone() -> None:
    assert model_gone("m.gguf").reason == "ModelNotFound"


def test_the_kernels_count_of_kills() -> None:
    assert parse_oom_kills("oom_kill_disable 3\noom_kill 12\npgfault 1\n") == 12
    assert parse_oom_kills("pgfault 1\n") == 0
