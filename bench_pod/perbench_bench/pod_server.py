"""The kind of HTTP server that answers in a pod, beside other work: on all addresses, of IPv4 and of IPv6."""

import socket
from http.server import ThreadingHTTPServer
from socketserver import TCPServer

from typing_extensions import override


class PodServer(ThreadingHTTPServer):
    """A thread for each client, so that a stuck one holds up nobody else."""

    daemon_threads = True
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET

    @override
    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)  # HTTPServer's would look up this pod's name, which can take seconds
        self.server_name, self.server_port = "perbench", self.server_address[1]
