"""Attacks on the limit itself, and what responses disclose."""

import re

import httpx
import pytest

from example import ALICE, OUTAGE, PASSWORD, Program
from server import Server

REFUSAL = {"error": "try_again_later"}


@pytest.fixture
def server(shared: tuple[Server, Program]) -> Server:
    """The shared server."""
    return shared[0]


@pytest.fixture
def example(shared: tuple[Server, Program]) -> Program:
    """The shared example."""
    return shared[1]


def whole(response: httpx.Response, name: str) -> int:
    """Returns a header that must be a whole number."""
    assert re.fullmatch(r"\d+", response.headers[name])
    return int(response.headers[name])


def test_five_of_twenty_guesses_are_verified(example: Program) -> None:
    """Twenty identical requests: five wrong passwords, then 429, even with the correct password."""
    assert [example.sign_in().status_code for _ in range(20)] == [401] * 5 + [429] * 15
    assert example.sign_in(password=PASSWORD).status_code == 429


def test_parallel_guesses_do_not_exceed_the_limit(example: Program) -> None:
    """Of forty parallel requests, exactly five get through."""
    assert example.at_once(40) == [401] * 5 + [429] * 35


def test_twenty_correct_passwords_are_all_allowed(example: Program) -> None:
    """A success is cleared, so a user who signs in often is never refused."""
    assert [example.sign_in(password=PASSWORD).status_code for _ in range(20)] == [200] * 20


def test_a_success_clears_earlier_failures(example: Program) -> None:
    """After four failures and a success, five more guesses are allowed."""
    assert [example.sign_in().status_code for _ in range(4)] == [401] * 4
    assert example.sign_in(password=PASSWORD).status_code == 200
    assert [example.sign_in().status_code for _ in range(6)] == [401] * 5 + [429]


def test_another_spelling_is_the_same_mailbox(example: Program) -> None:
    """The example passes the email as typed, so the module can normalise it."""
    spellings = [ALICE, "Alice@Example.com", " alice@example.com", "ALICE@EXAMPLE.COM", "alice@example.com."]
    assert [example.sign_in(spelling).status_code for spelling in spellings] == [401] * 5
    assert example.sign_in().status_code == 429


def test_an_email_too_long_to_canonicalise_is_refused(server: Server, example: Program) -> None:
    """The module does not normalise above 320 bytes: each spelling would have its own limit."""
    before = server.totals("signin")["PAIR 5/15m"]
    spellings = ["ali" + "\u200b" * (110 + number) + "ce@example.com" for number in range(12)]
    assert all(len(email) <= 320 < len(email.encode()) for email in spellings)
    for email in spellings:
        answers = [example.sign_in(email), example.sign_up(email), example.reset(email)]
        assert {answer.status_code for answer in answers} == {400}
    assert server.totals("signin")["PAIR 5/15m"] == before
    # The longest allowed ones count as one mailbox.
    longest = ["ali" + "\u200b" * (95 + number) + "ce@example.com" for number in range(6)]
    assert [example.sign_in(email).status_code for email in longest] == [401] * 5 + [429]


def test_the_endpoints_own_failure_is_refunded(server: Server, example: Program) -> None:
    """While the database is down, no attempt is counted, at any endpoint."""
    before = server.totals("signin")["PAIR 5/15m"]
    assert [example.sign_in(OUTAGE).status_code for _ in range(10)] == [500] * 10
    assert [example.sign_up(OUTAGE).status_code for _ in range(10)] == [500] * 10
    assert [example.reset(OUTAGE).status_code for _ in range(10)] == [500] * 10
    # The attempts reached the limiter, and were refunded.
    assert server.totals("signin")["PAIR 5/15m"] - before == 10
    for limiter, limit in (("signin", 5), ("signup", 3), ("reset", 3)):
        # PEEK's figures include the attempt that it asks about.
        assert server.command("AUTHLIMIT.PEEK", limiter, "127.0.0.1", OUTAGE)[:3] == [1, limit, limit - 1]


def test_sign_up_is_limited_and_not_cleared(example: Program) -> None:
    """Three accounts per mailbox, whatever its plus tags."""
    emails = ["new@example.com", "new+1@example.com", "NEW+2@example.com", "new+3@example.com"]
    assert [example.sign_up(email).status_code for email in emails] == [200, 200, 200, 429]


def test_a_reset_does_not_disclose_the_account(example: Program) -> None:
    """Status, body and header names are the same whether the email exists or not, allowed or refused."""

    def told(email: str) -> list[tuple[int, str, set[str]]]:
        answers = [example.reset(email) for _ in range(4)]
        return [(answer.status_code, answer.text, set(answer.headers)) for answer in answers]

    assert told(ALICE) == told("nobody@example.com")
    assert [status for status, _, _ in told("somebody@example.com")] == [200, 200, 200, 429]


def test_the_headers_of_an_attempt(example: Program) -> None:
    """The quota is in the draft's header fields and in the older ones, in whole seconds."""
    first = example.sign_in()
    assert first.headers["RateLimit-Policy"] == '"signin";q=5;w=900'
    assert first.headers["RateLimit"] == '"signin";r=4;t=900'
    assert [whole(first, f"RateLimit-{name}") for name in ("Limit", "Remaining", "Reset")] == [5, 4, 900]
    assert "Retry-After" not in first.headers
    assert [example.sign_in().headers["RateLimit-Remaining"] for _ in range(4)] == ["3", "2", "1", "0"]


def test_the_headers_of_a_refusal(server: Server, example: Program) -> None:
    """A refusal says how long to wait, rounded up, so that the next attempt is allowed."""
    server.command("AUTHLIMIT.POLICY", "signin", "PAIR", "1/1500ms")
    assert example.sign_in().headers["RateLimit-Policy"] == '"signin";q=1;w=2'
    refused = example.sign_in()
    assert (refused.status_code, refused.json()) == (429, REFUSAL)
    assert refused.headers["Content-Type"].startswith("application/json")
    assert whole(refused, "Retry-After") in (1, 2)
    assert re.fullmatch(r'"signin";r=0;t=[12]', refused.headers["RateLimit"])
    assert refused.headers["RateLimit-Policy"] == '"signin";q=1;w=2'


def test_every_unit_of_a_window(server: Server, example: Program) -> None:
    """The window of the binding rule is in whole seconds, whatever unit the policy uses."""
    windows = {"1ms": 1, "90s": 90, "15m": 900, "3h": 10800, "30d": 2592000}
    for window, seconds in windows.items():
        server.command("AUTHLIMIT.POLICY", "signin", "EMAIL", "7/1m", "PAIR", f"1/{window}", "LOCK", "30d")
        answer = example.sign_in(f"{window}@example.com")
        assert answer.headers["RateLimit-Policy"] == f'"signin";q=1;w={seconds}'


def test_a_refusal_does_not_disclose_the_rule(server: Server, example: Program) -> None:
    """The body is the same for the pair, the IP address, the email, the deny list and a server error."""
    bodies = []
    for rule in ("PAIR", "IP", "EMAIL", "ALL"):
        server.command("AUTHLIMIT.POLICY", "signin", rule, "1/1h")
        example.sign_in()
        refused = example.sign_in()
        assert refused.status_code == 429
        bodies.append(refused.content)
    server.command("AUTHLIMIT.DENY", "signin", "ADD", "127.0.0.1")
    denied = example.sign_in("fresh@example.com")
    server.command("SET", "signin", "not a limiter")
    failed = example.sign_in()
    assert (denied.status_code, failed.status_code) == (429, 429)
    assert len({*bodies, denied.content, failed.content}) == 1


def test_the_lists_have_no_quota(server: Server, example: Program) -> None:
    """The allow list is never refused, the deny list always; neither gets quota headers."""
    server.command("AUTHLIMIT.ALLOW", "signin", "ADD", ALICE)
    allowed = [example.sign_in() for _ in range(8)]
    assert [answer.status_code for answer in allowed] == [401] * 8
    server.command("AUTHLIMIT.DENY", "signin", "ADD", "mallory@example.com", "TTL", "60")
    denied = example.sign_in("mallory@example.com")
    assert denied.status_code == 429
    assert whole(denied, "Retry-After") in range(1, 61)
    server.command("AUTHLIMIT.DENY", "signin", "ADD", "trudy@example.com")
    for_ever = example.sign_in("trudy@example.com")
    assert for_ever.status_code == 429
    assert "Retry-After" not in for_ever.headers
    for answer in [*allowed, denied, for_ever]:
        assert not [name for name in answer.headers if name.startswith("ratelimit")]


HOSTILE_BODIES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'{"email":"alice@example.com"}',
    b'{"password":"x"}',
    b'{"email":["alice@example.com"],"password":"x"}',
    b'{"email":{"$ne":""},"password":"x"}',
    b'{"email":"","password":"x"}',
    b'{"email":"alice@example.com","password":7}',
    b'{"email":NaN,"password":"hunter2"}',
    b'["' + b"hunter2" * 9 + b'"]',
    b"[" * 9000 + b"]" * 9000,
    b'{"email":"' + b"a" * 321 + b'","password":"x"}',
    b'{"email":"' + b"a" * 3_000_000 + b'","password":"x"}',
]


def test_an_invalid_body_is_a_client_error(server: Server, example: Program) -> None:
    """An invalid body is rejected before anything is counted."""
    example.sign_in("somebody@example.com")
    before = server.totals("signin")["PAIR 5/15m"]
    for body in HOSTILE_BODIES:
        answer = example.post_raw("/signin", body)
        assert answer.status_code in (400, 413, 422), body[:60]
        assert "hunter2" not in answer.text
    assert server.totals("signin")["PAIR 5/15m"] == before
    # A lone surrogate is either rejected, or replaced by another character and counted.
    half = [example.post_raw("/signin", b'{"email":"h\\ud800@example.org","password":"hunter2"}') for _ in range(6)]
    statuses = [answer.status_code for answer in half]
    assert statuses == [401] * 5 + [429] or set(statuses) <= {400, 422}
    for told in [example.logged(), *(answer.text for answer in half)]:
        assert "hunter2" not in told
        assert "Traceback" not in told
    # Invalid UTF-8 is either an error, or another email with its own limit.
    mangled = [example.post_raw("/signin", b'{"email":"alice\xff@example.com","password":"x"}') for _ in range(6)]
    statuses = [answer.status_code for answer in mangled]
    assert statuses == [401] * 5 + [429] or set(statuses) <= {400, 422}
    assert example.sign_in().status_code == 401


def test_the_length_of_a_body_is_limited(server: Server, example: Program) -> None:
    """A body that is too long is not read to its end, with a Content-Length or in chunks."""
    example.sign_in("somebody@example.com")
    before = server.totals("signin")["PAIR 5/15m"]
    fields = b'{"email":"alice@example.com","password":"x"'
    for padding in (10 * 1024, 500_000):
        body = fields + b" " * padding + b"}"
        chunks = (body[start : start + 1000] for start in range(0, len(body), 1000))
        for sent in (body, chunks):
            assert example.post_raw("/signin", sent).status_code in (400, 413)
    assert server.totals("signin")["PAIR 5/15m"] == before
    body = fields + b" " * 9_000 + b"}"
    assert [example.post_raw("/signin", sent).status_code for sent in (body, iter([body]))] == [401, 401]
