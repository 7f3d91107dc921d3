import asyncio
import socket

import aiohttp
import pytest

from perbench.failures import UsageError
from perbench_operator.health import Health
from perbench_operator.probes import probe_routes


def test_the_routes_tell_the_state() -> None:
    async def ask() -> list[tuple[int, str]]:
        now = 0.0
        health = Health(now)
        answers = []
        async with probe_routes(health, lambda: now, "127.0.0.1", 0) as port, aiohttp.ClientSession() as session:

            async def get(path: str) -> None:
                async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                    answers.append((answer.status, await answer.text()))

            await get("/healthz")
            await get("/readyz")
            health.listed(now, ())
            await get("/readyz")
            now = 100.0
            await get("/healthz")
        return answers

    assert asyncio.run(ask()) == [
        (200, "ok\n"),
        (503, "the API has not answered yet\n"),
        (200, "ok\n"),
        (503, "the loop stands still for 100 s\n"),
    ]


def test_the_kubelet_asks_at_the_first_address_of_the_pod_whichever_its_kind() -> None:
    async def ask(host: str) -> int:
        async with (
            probe_routes(Health(0.0), lambda: 0.0, None, 0) as port,
            aiohttp.ClientSession() as session,
            session.get(f"http://{host}:{port}/healthz") as answer,
        ):
            return answer.status

    assert asyncio.run(ask("127.0.0.1")) == 200
    if socket.has_dualstack_ipv6():
        assert asyncio.run(ask("[::1]")) == 200


def test_a_port_that_is_taken_is_one_line() -> None:
    async def serve(port: int) -> None:
        async with probe_routes(Health(0.0), lambda: 0.0, "127.0.0.1", port):
            pass

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="cannot be had: "):
        asyncio.run(serve(taken.getsockname()[1]))
