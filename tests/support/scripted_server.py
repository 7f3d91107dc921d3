"""A model server by script: speaks the OpenAI chat stream, and goes wrong in one way on demand.

Run as a process of its own: `python scripted_server.py --fault NAME --after N`. The first line on standard output is
the port, and SIGUSR1 ends its fault. Text, tokens and pace are fixed; nothing here computes anything, so what a test
expects can be read off the options.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass
from typing import Any

FAULTS = (
    "none",
    "dies",  # the process ends in the middle of a stream
    "refuses",  # stops listening; open connections are closed
    "hangs",  # the stream falls silent and stays open
    "garbage",  # bytes that are no HTTP
    "badjson",  # events that are no JSON
    "halfchunk",  # the connection closes inside a chunk
    "errorevent",  # HTTP 200, then an error inside the stream
    "429",
    "503",
    "nousage",  # the usage figures never come
)
CHUNK_USAGE = ("ignored", "given", "refused")
"""What comes of a request for the usage figures in every chunk."""
PROMPT_TOKENS = 20
WORDS = ("sport", " ", "is", " ", "the", " ", "topic", ".")


@dataclass
class Script:
    """What this server does, and how many requests it has seen."""

    fault: str
    after: int
    delay: float
    metrics: bool = False
    """Whether it tells its counts on /metrics, as vLLM does."""
    strangers: int = 0
    """Requests of others that end with each of ours."""
    miscount: float = 1.0
    """Factor on the generated tokens it tells there."""
    cached: int = 0
    """Prompt tokens of each request that it took from a cache, by its metrics."""
    chunk_usage: str = "ignored"
    seen: int = 0
    ended: int = 0

    def exposition(self) -> bytes:
        running = 2 if self.seen > self.ended else 0
        figures = {
            "num_requests_running": running,
            "num_requests_waiting": 3 * (running > 0),
            "kv_cache_usage_perc": 0.5 * (running > 0),
            "num_preemptions_total": 0,
            "prompt_tokens_total": PROMPT_TOKENS * self.ended,
            "prompt_tokens_cached_total": self.cached * self.ended,
            "generation_tokens_total": round(len(WORDS) * self.ended * self.miscount),
            "request_success_total": self.ended * (1 + self.strangers),
        }
        lines = [f'vllm:{name}{{engine="0",model_name="scripted"}} {value}' for name, value in figures.items()]
        return ("\n".join(lines) + "\n").encode()

    def recover(self) -> None:
        self.fault = "none"

    def next_is_faulty(self) -> bool:
        self.seen += 1
        return self.fault != "none" and self.seen > self.after


def event(data: dict[str, object] | str) -> bytes:
    text = data if isinstance(data, str) else json.dumps(data)
    body = f"data: {text}\n\n".encode()
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


def usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": tokens, "total_tokens": PROMPT_TOKENS + tokens}


def chunk(delta: dict[str, str], finish: str | None = None, tokens: int | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    data = {"id": "c", "object": "chat.completion.chunk", "model": "scripted", "choices": [choice]}
    return event(data if tokens is None else data | {"usage": usage(tokens)})


async def read_request(reader: asyncio.StreamReader) -> tuple[str, str, bytes] | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    method, path, _ = head.split(" ", 2)
    length = next(
        (int(v) for k, _, v in (line.partition(":") for line in head.split("\r\n")) if k.lower() == "content-length"), 0
    )
    return method, path, await reader.readexactly(length)


def plain(status: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Server:
    def __init__(self, script: Script) -> None:
        self.script = script
        self.listening: asyncio.Server | None = None
        self.writers: set[asyncio.StreamWriter] = set()

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        try:
            while (request := await read_request(reader)) is not None:
                method, path, body = request
                if method == "GET":
                    await self.get(path, writer)
                elif not await self.answer(json.loads(body), writer):
                    return
        except ConnectionError:
            return
        finally:
            self.writers.discard(writer)
            writer.close()

    async def get(self, path: str, writer: asyncio.StreamWriter) -> None:
        if path == "/metrics" and self.script.metrics:
            writer.write(plain("200 OK", self.script.exposition()))
            await writer.drain()
            return
        models = json.dumps({"object": "list", "data": [{"id": "scripted", "object": "model"}]}).encode()
        writer.write(plain("200 OK", models if path.endswith("/models") else b'{"status": "ok"}'))
        await writer.drain()

    async def answer(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False when the connection is over."""
        fault = self.script.fault if self.script.next_is_faulty() else "none"
        early = {
            "429": plain("429 Too Many Requests", b'{"error": {"message": "Model is overloaded"}}'),
            "503": plain("503 Service Unavailable", b'{"error": {"message": "The queue is full"}}'),
            "garbage": b"\x16\x03\x01 this is no HTTP at all \x00\xff\r\n\r\n",
        }
        if fault in early:
            writer.write(early[fault])
            await writer.drain()
            return fault != "garbage"
        wanted = self.script.chunk_usage if body.get("stream_options", {}).get("continuous_usage_stats") else "ignored"
        if wanted == "refused":
            self.script.seen -= 1
            writer.write(plain("400 Bad Request", b'{"error": {"message": "extra fields not permitted"}}'))
            await writer.drain()
            return True
        along = wanted == "given"
        writer.write(STREAM_HEAD + chunk({"role": "assistant", "content": ""}, tokens=0 if along else None))
        for number, word in enumerate(WORDS):
            await asyncio.sleep(self.script.delay)
            if number == 2 and not await self.go_wrong(fault, writer):
                return False
            writer.write(chunk({"content": word}, tokens=number + 1 if along else None))
            await writer.drain()
        self.script.ended += 1
        writer.write(chunk({}, "stop", tokens=len(WORDS) if along else None))
        if fault != "nousage":
            data = {"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": usage(len(WORDS))}
            writer.write(event(data))
        writer.write(event("[DONE]") + b"0\r\n\r\n")
        await writer.drain()
        return True

    async def go_wrong(self, fault: str, writer: asyncio.StreamWriter) -> bool:
        """Do the fault in the middle of a stream; False when nothing more follows."""
        if fault == "dies":
            os._exit(9)
        if fault == "hangs":
            await asyncio.Event().wait()
        if fault == "refuses":
            assert self.listening is not None
            self.listening.close()
            for other in list(self.writers):
                other.transport.abort()
            return False
        if fault == "errorevent":
            writer.write(event({"error": {"message": "CUDA out of memory", "type": "server_error"}}) + b"0\r\n\r\n")
        elif fault == "badjson":
            writer.write(event('{"choices": [{"delta": {"conte') + event("[DONE]") + b"0\r\n\r\n")
        elif fault == "halfchunk":
            writer.write(b'4f\r\ndata: {"choices": [{"ind')
        else:
            return True
        await writer.drain()
        return False


async def serve(script: Script) -> None:
    server = Server(script)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, script.recover)
    server.listening = await asyncio.start_server(server.connection, "127.0.0.1", 0)
    sys.stdout.write(f"{server.listening.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fault", choices=FAULTS, default="none")
    parser.add_argument("--after", type=int, default=0, help="requests answered well before the fault begins")
    parser.add_argument("--delay", type=float, default=0.002, help="seconds between two words")
    parser.add_argument("--metrics", action="store_true", help="tell the counts on /metrics, as vLLM does")
    parser.add_argument("--strangers", type=int, default=0, help="requests of others that end with each of ours")
    parser.add_argument("--miscount", type=float, default=1.0, help="factor on the generated tokens told on /metrics")
    parser.add_argument("--cached", type=int, default=0, help="prompt tokens of each request told as cached there")
    parser.add_argument("--chunk-usage", choices=CHUNK_USAGE, default="ignored")
    asyncio.run(serve(Script(**vars(parser.parse_args()))))
