"""A real Redis or Valkey with the module, which tests can stop, freeze and restart on the same port."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import redis

EXAMPLES = Path(__file__).resolve().parent.parent
POLICIES = EXAMPLES / "policies.txt"
PATIENCE = 30.0  # seconds to wait for a condition before failing
Reply = Any


def wait_until(what: str, condition: Callable[[], bool]) -> None:
    """Waits for a condition, and fails with its description if it does not come true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"timed out waiting until {what}"
        time.sleep(0.02)


def free_port() -> int:
    """Returns a port that is currently free."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def as_map(reply: Reply) -> dict[str, Reply]:
    """Converts a map reply, which RESP2 sends as alternating names and values."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))


class Server:
    """A server with its own folder and the examples' policies."""

    def __init__(self, folder: Path, module: Path | None) -> None:
        """Starts it, without the module if `module` is None."""
        self.folder = folder
        self.module = module
        self.port = free_port()
        self.password: str | None = None
        self.process = self._launch()
        if module:
            self.set_policies()

    @property
    def url(self) -> str:
        """The URL for clients."""
        return f"redis://127.0.0.1:{self.port}/0"

    def set_policies(self) -> None:
        """Does the same as redis-cli < policies.txt."""
        for line in POLICIES.read_text().splitlines():
            assert self.command(*line.split()) == "OK"

    def command(self, *words: str) -> Reply:
        """Sends one command on a new connection."""
        with redis.Redis(
            port=self.port, password=self.password, decode_responses=True, socket_timeout=PATIENCE
        ) as client:
            return cast(Any, client).execute_command(*words)

    def totals(self, limiter: str) -> dict[str, int]:
        """Returns how many attempts each rule has admitted since the server started."""
        rules = [as_map(rule) for rule in as_map(self.command("AUTHLIMIT.INFO", limiter))["rules"]]
        return {rule["rule"]: rule["allowed"] for rule in rules}

    def policy(self, limiter: str) -> str:
        """Returns the limiter's policy."""
        return str(as_map(self.command("AUTHLIMIT.INFO", limiter))["policy"])

    def set_password(self, password: str) -> None:
        """Requires a password from every new client."""
        self.command("CONFIG", "SET", "requirepass", password)
        self.password = password

    def kill(self) -> None:
        """Kills it, as a power cut would."""
        self.process.kill()
        self.process.wait()

    def start_again(self) -> None:
        """Restarts it, empty, on the same port."""
        self.process = self._launch()
        self.set_policies()

    def freeze(self) -> None:
        """Makes it hang: connections stay open, but get no answer."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets it continue, and execute what it was sent in the meantime."""
        self.process.send_signal(signal.SIGCONT)

    def _launch(self) -> subprocess.Popen[bytes]:
        program = os.environ.get("AUTHLIMIT_REDIS_SERVER", "redis-server")
        words = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        if self.module:
            words += ["--loadmodule", str(self.module)]
        with (self.folder / "server.log").open("ab") as log:
            process = subprocess.Popen(words, stdout=log, stderr=log)

        def answers() -> bool:
            assert process.poll() is None, (self.folder / "server.log").read_text()
            try:
                return bool(self.command("PING"))
            except redis.RedisError:
                return False

        wait_until("the server answers", answers)
        return process
