"""A model server by script that writes down what it really did: when each request came and each chunk was sent.

Stamps are CLOCK_MONOTONIC, which all processes of a machine share, so a test can hold the load engine's figures
against this record. `python recording_server.py RECORD.jsonl [options]`; the port is the first line on standard output.
"""

import argparse
import asyncio
import json
import time
from pathlib import Path
from typing import TextIO

import uvloop

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n"
)


def framed(event: object) -> bytes:
    text = event if isinstance(event, str) else json.dumps(event)
    body = f"data: {text}\n\n".encode()
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


class Server:
    def __init__(self, options: argparse.Namespace, record: TextIO) -> None:
        self.options = options
        self.record = record
        self.under_way = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                came = time.perf_counter_ns()
                if head.startswith("GET "):
                    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                    continue
                length = int(head.lower().split("content-length:")[1].split("\r\n")[0])
                body = json.loads(await reader.readexactly(length))
                await self.answer(head.split(" ")[1], body, came, writer)
                if self.options.break_keep_alive:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def answer(self, path: str, body: dict[str, object], came: int, writer: asyncio.StreamWriter) -> None:
        tgi = path == "/generate_stream"
        parameters = body["parameters"] if tgi else body
        assert isinstance(parameters, dict)
        tokens = int(parameters["max_new_tokens" if tgi else "max_tokens"])
        prompt = str(body["inputs"] if tgi else body.get("prompt") or body["messages"])
        self.under_way += 1
        record = {"came": came, "under_way": self.under_way, "prompt": prompt[:60], "sent": []}
        due = came / 1e9 + self.options.first_ms / 1e3
        writer.write(HEAD)
        for start in range(0, tokens, self.options.bundle):
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            due += self.options.gap_ms / 1e3 * self.options.bundle
            count = min(self.options.bundle, tokens - start)
            data = self.chunk(tgi=tgi, count=count, done=start + count, total=tokens, words=len(prompt.split()))
            record["sent"].append([time.perf_counter_ns(), count])
            writer.write(data)
        if not tgi:
            usage = {"prompt_tokens": len(prompt.split()) + 3, "completion_tokens": tokens}
            finish = {"choices": [{"text": "", "delta": {}, "finish_reason": "length"}], "usage": usage}
            writer.write(framed(finish) + framed("[DONE]"))
        writer.write(b"0\r\n\r\n")
        record["ended"] = time.perf_counter_ns()
        self.under_way -= 1
        self.record.write(json.dumps(record) + "\n")
        self.record.flush()

    def chunk(self, *, tgi: bool, count: int, done: int, total: int, words: int) -> bytes:
        if not tgi:
            text = "tok " * count
            return framed({"choices": [{"text": text, "delta": {"content": text}, "finish_reason": None}]})
        events = []
        for number in range(done - count + 1, done + 1):
            event: dict[str, object] = {"index": number, "token": {"id": 1, "text": "tok ", "special": False}}
            if number == total:
                event["generated_text"] = "tok " * total
                event["details"] = {"finish_reason": "length", "generated_tokens": total, "input_length": words + 3}
            events.append(framed(event))
        return b"".join(events)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("record", type=Path)
    parser.add_argument("--first-ms", type=float, default=20)
    parser.add_argument("--gap-ms", type=float, default=5)
    parser.add_argument("--bundle", type=int, default=1, help="tokens sent together")
    parser.add_argument("--break-keep-alive", action="store_true", help="promise keep-alive, then close")
    options = parser.parse_args()
    with options.record.open("w") as record:
        server = await asyncio.start_server(Server(options, record).serve, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - how the test learns the port
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
