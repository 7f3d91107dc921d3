"""The requests of a synthetic load: as many as may be asked for, each another one, little of them built."""

import json
import tracemalloc
from typing import Any, cast

import pytest

from perbench.api.models import Protocol
from perbench.api.tasks import Synthetic, TaskSpec
from perbench.plan import LoadPlan, Target
from perbench_bench.engine.feed import Role, Ticket
from perbench_bench.engine.http1 import Origin
from perbench_bench.prompts import synthetic_requests
from perbench_bench.session import Session
from perbench_bench.tasks import resolve
from perbench_bench.tasks.synthetic import prompt

MANY = 1_000_000


def session(protocol: Protocol = Protocol.OPENAI) -> Session:
    target = Target(url="http://h", protocol=protocol, model="m")
    nothing = cast("Any", None)
    return Session(target, Origin.parse("http://h"), ("h",), LoadPlan(concurrency=1, max_seconds=1), 7, nothing)


def prompt_of(request: bytes, protocol: Protocol = Protocol.OPENAI) -> str:
    """The prompt, of a request whose length is as it says."""
    head, _, body = request.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")
    document = json.loads(body)
    if protocol is Protocol.TGI:
        return str(document["inputs"])
    return str(document["prompt"] if protocol is Protocol.OPENAI else document["messages"][0]["content"])


@pytest.mark.parametrize("protocol", list(Protocol))
def test_the_first_requests_are_the_prompts_of_their_numbers(protocol: Protocol) -> None:
    task = resolve(TaskSpec(name="t", synthetic=Synthetic(input_tokens=9, output_tokens=5), limit=20), None)
    asked = session(protocol)
    found = synthetic_requests(asked, task, 9, repeat=2)
    first = 2 * (20 + 64)
    assert len(found.measured) == 20
    assert [prompt_of(found.of(Ticket(Role.MEASURED, i)), protocol) for i in range(20)] == [
        prompt(7, first + i, 9) for i in range(20)
    ]
    assert found.of(Ticket(Role.MEASURED, 3)) == asked.request(prompt(7, first + 3, 9), 5, force_length=True)
    assert found.of(Ticket(Role.FILLER, 66)) == found.of(Ticket(Role.WARMUP, 2))
    assert prompt_of(found.of(Ticket(Role.FILLER, 0)), protocol) == prompt(7, first + 20, 9)


def test_a_million_long_ones_fit_in_little_memory_and_begin_each_differently() -> None:
    task = resolve(TaskSpec(name="t", synthetic=Synthetic(input_tokens=500, output_tokens=5), limit=MANY), None)
    tracemalloc.start()
    found = synthetic_requests(session(), task, 500, repeat=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.measured) == MANY
    assert peak < 100e6, "all of them would take 3 GB"
    numbers = (*range(0, MANY, 7919), *range(5_000, 5_100), MANY - 1)
    prompts = [prompt_of(found.of(Ticket(Role.MEASURED, i))) for i in numbers]
    assert {len(text.split()) for text in prompts} == {500}
    beginnings = [" ".join(text.split()[:3]) for text in prompts]
    assert len(set(beginnings)) == len(numbers), "no prefix cache can keep what they have in common"
    assert beginnings == [" ".join(prompt(7, i, 3).split()) for i in numbers]


def test_prompts_as_short_as_their_beginnings() -> None:
    task = resolve(TaskSpec(name="t", synthetic=Synthetic(input_tokens=2, output_tokens=5), limit=10_000), None)
    found = synthetic_requests(session(), task, 2, repeat=0)
    assert prompt_of(found.of(Ticket(Role.MEASURED, 9_999))) == prompt(7, 9_999, 2)
