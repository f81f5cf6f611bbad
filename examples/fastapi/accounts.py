"""Stands in for your user database, mailer and password hashing. Nothing here is to be copied."""

import hmac

_PASSWORDS = {"alice@example.com": "correct horse battery staple"}
_OUTAGE = "outage@example.com"


class DatabaseDownError(Exception):
    """The database cannot be reached: a failure of ours, which no client can cause."""


def _reach(email: str) -> None:
    """Fails for one email as if the database were down, so that the refund can be seen."""
    if email == _OUTAGE:
        raise DatabaseDownError


async def verify(email: str, password: str) -> bool:
    """Says whether the password is the account's."""
    _reach(email)
    stored = _PASSWORDS.get(email)
    return stored is not None and hmac.compare_digest(stored.encode(), password.encode())


async def register(email: str) -> None:
    """Makes an account that waits for its confirmation, or mails the owner of one that is there already."""
    _reach(email)


async def mail_reset_link(email: str) -> None:
    """Puts a job into a queue. A worker looks the email up later, so that not even the time tells whether it exists."""
    _reach(email)
