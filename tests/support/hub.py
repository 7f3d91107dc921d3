"""A double of the Hugging Face hub: the routes by which its library finds a repository and fetches a file."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override

COMMIT = "c0ffee" + "0" * 34


@dataclass
class Repository:
    """One repository of the double."""

    files: Mapping[str, bytes]
    licence: str | None = None
    revisions: frozenset[str] = frozenset({"main", COMMIT})
    gated: bool = False
    stated_sha256: str | None = None
    """Instead of the true one."""
    requests: list[str] = field(default_factory=list)

    def information(self) -> dict[str, Any]:
        siblings = [
            {
                "rfilename": name,
                "size": len(content),
                "blobId": hashlib.sha1(content).hexdigest(),
                "lfs": {"sha256": self.stated_sha256 or hashlib.sha256(content).hexdigest(), "size": len(content),
                        "pointerSize": 130},
            }
            for name, content in self.files.items()
        ]  # fmt: skip
        card = {"license": self.licence} if self.licence else {}
        return {"id": "org/name", "sha": COMMIT, "siblings": siblings, "cardData": card, "tags": []}


class _Server(ThreadingHTTPServer):
    def __init__(self, repositories: Mapping[str, Repository], status: int | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories = repositories
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].strip("/")
        parts = path.removeprefix("api/models/").split("/")
        repository = self.server.repositories.get("/".join(parts[:2]))
        if self.server.status is not None:
            return self.answer(self.server.status)
        if repository is None:
            return self.answer(404, headers={"X-Error-Code": "RepoNotFound"})
        repository.requests.append(f"{self.command} /{path}")
        if len(parts) > 3 and parts[3] not in repository.revisions:
            return self.answer(404, headers={"X-Error-Code": "RevisionNotFound"})
        if path.startswith("api/models/"):
            return self.answer(200, json.dumps(repository.information()).encode())
        return self.resolve(repository, "/".join(parts[4:]))

    def resolve(self, repository: Repository, name: str) -> None:
        if repository.gated:
            return self.answer(403, headers={"X-Error-Code": "GatedRepo"})
        content = repository.files[name]
        digest = hashlib.sha256(content).hexdigest()
        headers = {"ETag": f'"{digest}"', "X-Repo-Commit": COMMIT, "X-Linked-Size": str(len(content))}
        return self.answer(200, content, headers)

    def answer(self, code: int, content: bytes = b"{}", headers: Mapping[str, str] | None = None) -> None:
        self.send_response(code)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    @override
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def hub(repositories: Mapping[str, Repository], status: int | None = None) -> Iterator[str]:
    """Run the double; gives its URL, for HF_ENDPOINT. `status`: every answer is this error."""
    with _Server(repositories, status) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
