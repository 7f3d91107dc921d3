"""A model server over real sockets that takes its time, and knows what its requests hold at every moment."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from typing_extensions import override

PROMPT_TOKENS, OUTPUT_TOKENS, TOKEN_SECONDS = 100, 10, 0.03


class ScriptedModel(ThreadingHTTPServer):
    """Every prompt has 100 tokens, every answer ten. `page` makes `/metrics` of what is counted."""

    daemon_threads = True

    def __init__(self, page: "Callable[[ScriptedModel], str]") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.page = page
        self.lock = threading.Lock()
        self.held: dict[int, int] = {}
        """Tokens of each request that is under way."""
        self.ended = 0

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_port}"

    def exposition(self) -> bytes:
        """What `/metrics` says now."""
        with self.lock:
            return self.page(self).encode()

    def hold(self, request: int, tokens: int) -> None:
        """A request holds so many tokens; 0: it has ended."""
        with self.lock:
            if tokens:
                self.held[request] = tokens
            else:
                self.held.pop(request, None)
                self.ended += 1


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedModel

    def do_GET(self) -> None:
        self._begin("text/plain")
        self.wfile.write(self.server.exposition())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._begin("text/event-stream")
        me = threading.get_ident()
        try:
            for token in range(OUTPUT_TOKENS):
                self.server.hold(me, PROMPT_TOKENS + token)
                time.sleep(TOKEN_SECONDS)
                self._say({"choices": [{"text": " word", "finish_reason": None}]})
            usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": OUTPUT_TOKENS}
            self._say({"choices": [{"text": "", "finish_reason": "length"}]})
            self._say({"choices": [], "usage": usage})
            self.wfile.write(b"data: [DONE]\n\n")
        finally:
            self.server.hold(me, 0)

    def _begin(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()

    def _say(self, event: object) -> None:
        self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@contextmanager
def scripted_model(page: Callable[[ScriptedModel], str]) -> Iterator[ScriptedModel]:
    """Run it."""
    with ScriptedModel(page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
