"""Attacks with a forged client IP address."""

from pathlib import Path

import pytest

from conftest import Start, wait_for_limiter
from example import Kind, Patience, Program
from server import PATIENCE, Server

TRUSTED = "127.0.0.1,10.0.0.0/8,2001:db8:77::/48"


def spent(server: Server, address: str) -> int:
    """Returns how many of its 50 attempts in the sign-in preset an IP address has used."""
    rows = server.command("AUTHLIMIT.PEEK", "signin", address, "nobody@example.com", "RULES")
    [row] = [row for row in rows if row[0].startswith("IP ")]
    return int(row[1]) - int(row[2])


def test_a_forged_header_does_not_help(server: Server, start: Start) -> None:
    """Without a trusted proxy, no header changes the client's IP address."""
    example = start(server.url)
    wait_for_limiter(example)
    forged = [f"198.51.100.{number}" for number in range(10)]
    statuses = [example.sign_in(forwarded=address).status_code for address in forged]
    assert statuses == [401] * 5 + [429] * 5
    for name in ("X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP", "X-Forwarded-Host"):
        body = {"email": "alice@example.com", "password": "guess"}
        assert example.post("/signin", body, [(name, "198.51.100.77")]).status_code == 429
    assert spent(server, "198.51.100.0") == 0
    assert spent(server, "127.0.0.1") >= 5


HOPS = {
    "203.0.113.1": "203.0.113.1",
    # Left of the proxy's entry is what the client sent.
    "198.51.100.1, 203.0.113.2": "203.0.113.2",
    "127.0.0.1, 203.0.113.3": "203.0.113.3",
    "unknown, , 203.0.113.4": "203.0.113.4",
    # A chain of trusted proxies, one of them in another notation.
    "198.51.100.1, 203.0.113.5, 10.1.2.3, 10.200.0.1": "203.0.113.5",
    "198.51.100.1, 203.0.113.6,2001:db8:77::1": "203.0.113.6",
    "198.51.100.1, ::ffff:203.0.113.7, ::ffff:10.1.2.3": "203.0.113.7",
    "198.51.100.1, 2001:db8::7": "2001:db8::7",
    "198.51.100.1, fe80::7%eth0": "fe80::7",
    "198.51.100.1, 2001:db8:78::1, 10.1.2.3": "2001:db8:78::1",
}


def test_the_client_is_found_behind_trusted_proxies(server: Server, start: Start) -> None:
    """The client is the first address from the right that is not a trusted proxy."""
    example = start(server.url, TRUSTED)
    wait_for_limiter(example)
    for forwarded, client in HOPS.items():
        statuses = [example.sign_in(forwarded=forwarded).status_code for _ in range(6)]
        # Clear the email, whose own limit would be reached after four clients.
        server.command("AUTHLIMIT.UNLOCK", "signin", "EMAIL", "alice@example.com")
        assert (statuses, spent(server, client)) == ([401] * 5 + [429], 5), forwarded
    assert spent(server, "198.51.100.1") == 0


def test_a_header_in_several_lines_is_one_list(server: Server, start: Start) -> None:
    """Some proxies add a second header line after the client's."""
    example = start(server.url, TRUSTED)
    wait_for_limiter(example)
    lines = [("X-Forwarded-For", "198.51.100.1"), ("X-Forwarded-For", "203.0.113.9")]
    answer = example.post("/signin", {"email": "alice@example.com", "password": "guess"}, lines)
    assert answer.status_code == 401
    assert (spent(server, "203.0.113.9"), spent(server, "198.51.100.1")) == (1, 0)


def test_an_invalid_address_is_refused(server: Server, start: Start) -> None:
    """A proxy that sends garbage is misconfigured: it is an error, and the attempt is refused."""
    example = start(server.url, TRUSTED)
    wait_for_limiter(example)
    for forwarded in ("not an address", "203.0.113.9, unknown", "010.0.0.1", "203.0.113.9.7"):
        assert example.sign_in(forwarded=forwarded).status_code == 429
    assert "rate_limit_error" in example.logged()
    assert "alice" not in example.logged()


@pytest.mark.parametrize(
    "setting", ["10.0.0.0/", "10.0.0.0/8/9", "10.0.0.0/0x8", "10.0.0.0/1e1", "10.0.0.0/33", "::/", "/8", "proxy"]
)
def test_an_invalid_proxy_setting_stops_the_example(kind: Kind, server: Server, tmp_path: Path, setting: str) -> None:
    """A typo in the list of proxies must not make everybody a trusted proxy: the example does not start."""
    program = Program.launch(kind, server.url, tmp_path / "log", f"127.0.0.1, {setting}", Patience.LONG)
    try:
        assert program.process.wait(PATIENCE) != 0
    finally:
        program.process.kill()
