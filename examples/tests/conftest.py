"""Fixtures: a real server with the module, and an example in front of it."""

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from example import KINDS, Kind, Patience, Program
from server import EXAMPLES, Server, wait_until

Start = Callable[..., Program]


@pytest.fixture(scope="session")
def module() -> Path:
    """Returns the path of the module: AUTHLIMIT_MODULE, or the result of make build."""
    default = EXAMPLES.parent / "target" / "release" / "libauthlimit.so"
    path = Path(os.environ.get("AUTHLIMIT_MODULE", default))
    assert path.exists(), f"no module at {path}: run make build"
    return path


@pytest.fixture
def server(module: Path, tmp_path: Path) -> Iterator[Server]:
    """A server for one test, with the module and the examples' policies."""
    server = Server(tmp_path, module)
    yield server
    server.kill()


@pytest.fixture(params=KINDS, ids=lambda kind: str(kind.name), scope="session")
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each of the examples in turn."""
    chosen: Kind = request.param
    return chosen


@pytest.fixture
def start(kind: Kind, tmp_path: Path) -> Iterator[Start]:
    """Starts the example on a given URL, optionally with trusted proxies, and stops it after the test."""
    programs: list[Program] = []

    def begin(redis_url: str, trusted_proxies: str = "", patience: Patience = Patience.LONG) -> Program:
        log = tmp_path / f"{kind.name}.{len(programs)}.log"
        programs.append(Program.start(kind, redis_url, log, trusted_proxies, patience))
        return programs[-1]

    yield begin
    for program in programs:
        program.stop()


@pytest.fixture
def example(server: Server, start: Start) -> Program:
    """The example with its own server, and no setting other than a long timeout."""
    program = start(server.url)
    wait_for_limiter(program)
    return program


@pytest.fixture(scope="session")
def running(module: Path, kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Program]]:
    """A server and an example that several tests share, since starting an interpreter is slow."""
    folder = tmp_path_factory.mktemp(kind.name)
    server = Server(folder, module)
    program = Program.start(kind, server.url, folder / f"{kind.name}.log", "", Patience.LONG)
    wait_for_limiter(program)
    yield server, program
    program.stop()
    server.kill()


@pytest.fixture
def shared(running: tuple[Server, Program]) -> tuple[Server, Program]:
    """The shared pair with nothing counted, for tests that change only the limiters."""
    server, _ = running
    server.command("FLUSHALL")
    server.set_policies()
    return running


def wait_for_limiter(program: Program) -> None:
    """Waits until the example has reached its Redis, with attempts on unused emails."""
    emails = (f"warm-up-{number}@example.org" for number in count())
    wait_until("the limiter is reached", lambda: program.sign_in(next(emails)).status_code == 401)
