"""A placeholder for your user database, mailer and password hashing. Do not copy it."""

import hmac

_PASSWORDS = {"alice@example.com": "correct horse battery staple"}
_OUTAGE = "outage@example.com"


class DatabaseDownError(Exception):
    """The database cannot be reached: a failure on our side, which no client can cause."""


def _reach(email: str) -> None:
    """Fails for one email as if the database were down, to show the refund."""
    if email == _OUTAGE:
        raise DatabaseDownError


async def verify(email: str, password: str) -> bool:
    """Returns whether the password is correct."""
    _reach(email)
    stored = _PASSWORDS.get(email)
    return stored is not None and hmac.compare_digest(stored.encode(), password.encode())


async def register(email: str) -> None:
    """Creates an unconfirmed account, or mails the owner of an existing one."""
    _reach(email)


async def mail_reset_link(email: str) -> None:
    """Queues a job. A worker looks the email up later, so the response time does not disclose whether it exists."""
    _reach(email)
