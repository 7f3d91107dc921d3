"""Answers every GET with its path and the name of its pod; ends at once on SIGTERM, as PID 1 must ask for."""

import http.server
import platform
import signal
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self) -> None:
        """Answer."""
        body = f"{self.path} from {platform.node()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
