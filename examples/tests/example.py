"""The examples as programs: how to start each, and its answers and log."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import httpx

from server import EXAMPLES, PATIENCE, free_port, wait_until

ALICE = "alice@example.com"
PASSWORD = "correct horse battery staple"
# For this email, the examples' database is down.
OUTAGE = "outage@example.com"


class Patience(Enum):
    """How long the example waits for its Redis."""

    # The default. On a busy machine, a healthy server may sometimes be too slow for it.
    SHORT = "100 ms"
    # For tests that do not test the timeout.
    LONG = "20 s"


@dataclass(frozen=True)
class Kind:
    """One of the examples."""

    name: str
    command: tuple[str, ...]
    prefix: str = ""


def cargo_target() -> Path:
    """Returns the folder in which cargo builds the examples."""
    return Path(os.environ.get("EXAMPLES_TARGET", EXAMPLES.parent / "target" / "examples"))


KINDS = [
    Kind("axum", (str(cargo_target() / "debug" / "authlimit-example-axum"),)),
    Kind("express", ("node", "dist/main.js")),
    Kind("fastapi", (sys.executable, "main.py")),
    Kind("next", ("node", "dist/serve.js"), prefix="/api"),
]


@dataclass
class Program:
    """A running example."""

    kind: Kind
    log: Path
    port: int
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, kind: Kind, redis_url: str, log: Path, trusted_proxies: str, patience: Patience) -> "Program":
        """Starts it and waits until it listens. It may not have reached its Redis yet."""
        program = cls.launch(kind, redis_url, log, trusted_proxies, patience)
        process, port = program.process, program.port

        def listens() -> bool:
            assert process.poll() is None, f"{kind.name} ended:\n{log.read_text()}"
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", port)) == 0

        wait_until(f"{kind.name} listens", listens)
        return program

    @classmethod
    def launch(cls, kind: Kind, redis_url: str, log: Path, trusted_proxies: str, patience: Patience) -> "Program":
        """Starts it without waiting."""
        port = free_port()
        environment = os.environ | {"PORT": str(port), "REDIS_URL": redis_url, "TRUSTED_PROXIES": trusted_proxies}
        environment.pop("LIMITER_TIMEOUT_MS", None)
        if patience is Patience.LONG:
            environment["LIMITER_TIMEOUT_MS"] = "20000"
        with log.open("wb") as output:
            process = subprocess.Popen(
                kind.command, cwd=EXAMPLES / kind.name, env=environment, stdout=output, stderr=output
            )
        return cls(kind, log, port, process)

    def stop(self) -> None:
        """Stops it, and fails if it had ended before."""
        ended = self.process.poll()
        self.process.kill()
        self.process.wait()
        assert ended is None, f"{self.kind.name} ended by itself ({ended}):\n{self.log.read_text()}"

    def logged(self) -> str:
        """Returns everything that it has logged."""
        return self.log.read_text(errors="replace")

    def post(self, path: str, body: object, headers: list[tuple[str, str]] | None = None) -> httpx.Response:
        """Sends one request on a new connection."""
        url = f"http://127.0.0.1:{self.port}{self.kind.prefix}{path}"
        return httpx.post(url, json=body, headers=headers, timeout=PATIENCE, trust_env=False)

    def post_raw(self, path: str, body: bytes | Iterator[bytes]) -> httpx.Response:
        """Sends one request with any bytes; an iterator is sent in chunks, without a Content-Length."""
        url = f"http://127.0.0.1:{self.port}{self.kind.prefix}{path}"
        headers = {"Content-Type": "application/json"}
        return httpx.post(url, content=body, headers=headers, timeout=PATIENCE, trust_env=False)

    def sign_in(self, email: str = ALICE, password: str = "guess", forwarded: str | None = None) -> httpx.Response:
        """Tries a password, by default a wrong one, optionally with an X-Forwarded-For header."""
        headers = None if forwarded is None else [("X-Forwarded-For", forwarded)]
        return self.post("/signin", {"email": email, "password": password}, headers)

    def sign_up(self, email: str = "new@example.com") -> httpx.Response:
        """Creates an account."""
        return self.post("/signup", {"email": email, "password": "long enough"})

    def reset(self, email: str = ALICE) -> httpx.Response:
        """Requests a reset link."""
        return self.post("/reset", {"email": email})

    def at_once(self, count: int, email: str = ALICE) -> list[int]:
        """Tries that many wrong passwords at the same time, and returns the statuses in order."""
        with ThreadPoolExecutor(count) as threads:
            answers = threads.map(lambda _: self.sign_in(email), range(count))
            return sorted(answer.status_code for answer in answers)
