from perbench.failures import MESSAGE_LIMIT, Blame, Failure
from perbench.local.outcome import (
    BenchEnd,
    interrupted_sentence,
    launch_failure,
    server_exited,
    stopped_sentence,
)

RECORDED = Failure(blame=Blame.TARGET, reason="TargetUnreachable", message="refused")
UNEXPLAINED = Failure(blame=Blame.LOAD_GENERATOR, reason="BenchExited", message="?")
SERVER = server_exited("m", -9, "out of memory")
DISK = Failure(blame=Blame.INFRASTRUCTURE, reason="DiskFull", message="cannot write topics.0.json: no room")
MISSING = (("topics", 0),)


def failure_of(
    recorded: Failure | None = None, server: Failure | None = None, missing: tuple[tuple[str, int], ...] = MISSING
) -> Failure | None:
    return launch_failure(BenchEnd(recorded, UNEXPLAINED, server, missing), "m")


def test_all_stages_recorded_is_no_failure_whatever_happened_afterwards() -> None:
    assert failure_of(recorded=RECORDED, server=SERVER, missing=()) is None


def test_a_server_that_ended_explains_what_the_load_generator_saw() -> None:
    assert failure_of(recorded=RECORDED, server=SERVER) == SERVER


def test_what_the_load_generator_wrote_is_believed() -> None:
    assert failure_of(recorded=RECORDED) == RECORDED.model_copy(update={"model": "m"})


def test_without_a_word_the_end_of_the_log_is_given() -> None:
    assert failure_of() == UNEXPLAINED.model_copy(update={"model": "m"})


def test_a_full_disk_is_no_crash_of_the_model() -> None:
    failure = failure_of(recorded=DISK, server=SERVER)
    assert failure is not None
    assert failure.reason == "DiskFull"


def test_the_servers_end_is_told_with_its_last_words() -> None:
    assert (SERVER.blame, SERVER.reason, SERVER.exit_code) == (Blame.TARGET, "ServerExited", -9)
    assert SERVER.message == "the model's server was ended by signal 9: out of memory"
    assert server_exited("m", 1, "").message == "the model's server exited with 1: its log is empty"
    assert len(server_exited("m", 1, "x" * 5000).message) <= MESSAGE_LIMIT


def test_the_next_command_can_be_pasted() -> None:
    sentence = interrupted_sentence(3, 24, ["my file.yaml", "--runtime", "LlamaCpp"])
    assert sentence == (
        "interrupted: 3 of 24 stages are recorded and kept; continue with:"
        " perbench run 'my file.yaml' --runtime LlamaCpp"
    )


def test_a_full_disk_says_what_to_do() -> None:
    assert stopped_sentence(DISK, 3, 24, ["x.yaml"]) == (
        "cannot write topics.0.json: no room (Infrastructure: DiskFull); 3 of 24 stages are recorded and kept;"
        " make room and continue with: perbench run x.yaml"
    )
