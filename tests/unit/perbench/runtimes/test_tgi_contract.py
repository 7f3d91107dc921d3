"""What TGI is told, taken by the contract server: it reads flags and variables as the launcher of 3.3.7 does."""

from pathlib import Path

import pytest

from perbench.runtimes.base import Duty, ModelPlace
from perbench.runtimes.tgi import SLACK, TGI
from tests.images.tgi_contract.arguments import parse
from tests.support.contract_server import MODEL, started

DUTIES = [
    Duty("m", ModelPlace(MODEL)),
    Duty("m", ModelPlace("org/m", "v1"), accelerators=4, most_in_flight=4096),
    Duty("m", ModelPlace("/model/x"), ("--max-input-tokens", "512", "--max-total-tokens", "1024"), prefix_cache=True),
]


@pytest.mark.parametrize("duty", DUTIES, ids=lambda duty: duty.place.name)
def test_its_launcher_knows_every_word(duty: Duty) -> None:
    values = parse(TGI().arguments(duty), TGI().environment(duty)).values
    assert values["model_id"] == duty.place.name
    assert values["revision"] == duty.place.revision
    assert (values["hostname"], values["port"]) == ("0.0.0.0", TGI.port)
    assert values["num_shard"] == max(1, duty.accelerators)
    assert values["max_concurrent_requests"] == max(128, duty.most_in_flight + SLACK)
    assert (values["usage_stats"], values["json_output"]) == ("off", True)


def test_the_users_flags_win_over_our_variables() -> None:
    duty = Duty("m", ModelPlace(MODEL), ("--max-concurrent-requests", "7"))
    assert parse(TGI().arguments(duty), TGI().environment(duty)).values["max_concurrent_requests"] == 7


def test_it_starts_and_is_well(tmp_path: Path) -> None:
    duty = Duty("m", ModelPlace(MODEL))
    home = {name: value.replace("/data", str(tmp_path)) for name, value in TGI().home(duty).items()}
    environment = {**TGI().environment(duty), **home}
    with started(tmp_path, *TGI().arguments(duty), **environment) as server:
        server.wait_until_open()
        assert server.get(TGI.health_path)[0] == 200
        assert server.stop() == 0
