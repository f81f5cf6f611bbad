"""A network that fails at the worst moment: the server has executed the command, but its reply is lost."""

import socket
import threading


class Cutter:
    """A proxy between an example and its Redis, which can cut the connection."""

    def __init__(self, port: int) -> None:
        """Listens on a new port, and forwards to the server on this one."""
        self._server = ("127.0.0.1", port)
        self._word: bytes | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The Redis URL for the example."""
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def cut_after(self, word: str) -> None:
        """Drops the reply to the next command with this name, and the connection."""
        self._word = word.encode()

    def close(self) -> None:
        """Accepts no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server:
            cut = threading.Event()
            back = threading.Thread(target=self._answer, args=(server, client, cut), daemon=True)
            back.start()
            try:
                while request := client.recv(65536):
                    if self._word and self._word in request:
                        self._word = None
                        cut.set()
                    server.sendall(request)
            except OSError:
                pass
            server.shutdown(socket.SHUT_RDWR)
            back.join()

    def _answer(self, server: socket.socket, client: socket.socket, cut: threading.Event) -> None:
        try:
            while reply := server.recv(65536):
                if cut.is_set():
                    self.cuts += 1
                    break
                client.sendall(reply)
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
