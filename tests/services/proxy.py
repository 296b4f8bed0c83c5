"""A connection that fails on purpose: what stands between a client and a server, and may pass nothing on."""

import contextlib
import socket
import threading


class Proxy:
    """Passes bytes on, from the loopback interface to a port of it, until told otherwise.

    ``drop_reply_to``: once a client has sent these bytes, they are passed on, and the connection is cut
    before the answer comes back. ``silent``: whatever is sent is swallowed, and nobody hangs up.
    """

    def __init__(self, port):
        self._target = port
        self.drop_reply_to = None
        self.dropped = threading.Event()
        self.silent = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._pairs = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._pairs.append((client, server))
                for way in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pass, args=way, daemon=True).start()

    def _pass(self, source, sink, is_question):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if self.silent:
                    continue
                if is_question and self.drop_reply_to is not None and self.drop_reply_to in data:
                    # The answer is waited for, so that the server has done what it was asked, and then lost.
                    self.drop_reply_to = None
                    client, server = next(pair for pair in self._pairs if pair[0] is source)
                    self._mute(server, client)
                    sink.sendall(data)
                    continue
                sink.sendall(data)
        self._cut(source, sink)

    def _mute(self, server, client):
        # The other thread is about to receive; it finds the answer's way cut.
        client.shutdown(socket.SHUT_RDWR)
        threading.Timer(1.0, self._cut, (server, client)).start()
        self.dropped.set()

    @staticmethod
    def _cut(*sockets):
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def cut(self):
        """Cut all connections."""
        for pair in self._pairs:
            self._cut(*pair)
        self._pairs.clear()

    def close(self):
        """Cut all, and accept no more."""
        self._listener.close()
        self.cut()
