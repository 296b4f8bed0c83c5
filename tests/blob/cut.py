"""A way to a server that can be cut, as by a server that is killed or a network that fails."""

import contextlib
import socket
import threading

from tests.services.ports import free_port


class Proxy:
    """Passes connections on to a port of the loopback interface.

    Parameters
    ----------
    port
        Of the server.
    """

    def __init__(self, port):
        self.port = free_port()
        self.requests = 0
        self._server = port
        self._left = None
        self._open = []
        self._listening = None
        self.begin()

    def begin(self):
        """Let connections through, from now on."""
        self._left = None
        self._listening = socket.create_server(("127.0.0.1", self.port), backlog=64)
        threading.Thread(target=self._accept, args=[self._listening], daemon=True).start()

    def cut(self):
        """Close all connections, and refuse new ones."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        while self._open:
            _close(self._open.pop())

    def cut_after(self, size):
        """Cut, once so many more bytes have passed, in the middle of what they are a part of."""
        self._left = size

    def _accept(self, listening):
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server))
            self._open += [client, server]
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=[one, other, one is client], daemon=True).start()

    def _pass_on(self, one, other, is_asked):
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 16):
                self.requests += is_asked and data[:5] in (b"GET /", b"PUT /", b"HEAD ", b"POST ", b"DELET")
                if self._left is not None:
                    data, self._left = data[: self._left], self._left - len(data)
                other.sendall(data)
                if self._left is not None and self._left <= 0:
                    self.cut()
                    return
        _close(one)
        _close(other)


def _close(connection):
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
