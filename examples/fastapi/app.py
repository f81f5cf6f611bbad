"""Sign-in, sign-up and password reset with FastAPI, rate-limited by authlimit."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, Field

import accounts
from client_address import TrustedProxies
from limiter import BODY, Attempt, Limiter, connect

timeout = int(os.environ.get("LIMITER_TIMEOUT_MS", "100")) / 1000
redis = connect(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"), timeout)
proxies = TrustedProxies(os.environ.get("TRUSTED_PROXIES", ""))
# While Redis is unreachable, sign-in and reset fail closed (no brute force, no mail floods); sign-up fails open.
sign_in_limiter = Limiter(redis, timeout, "signin", fail_mode="closed")
sign_up_limiter = Limiter(redis, timeout, "signup", fail_mode="open")
reset_limiter = Limiter(redis, timeout, "reset", fail_mode="closed")


def at_most(longest: int) -> AfterValidator:
    """Limits a text in bytes, not characters, since the module normalises only 320 bytes of an email."""

    def check(text: str) -> str:
        if len(text.encode()) > longest:
            raise ValueError
        return text

    return AfterValidator(check)


class Email(BaseModel):
    """The body of a password reset."""

    email: Annotated[str, Field(min_length=1), at_most(320)]


class Credentials(Email):
    """The body of a sign-in or sign-up."""

    password: Annotated[str, Field(min_length=1), at_most(1024)]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Closes the connections when the application ends."""
    yield
    await redis.aclose()


app = FastAPI(lifespan=lifespan, max_body_size=10 * 1024)


@app.exception_handler(RequestValidationError)
async def bad_request(_: Request, __: RequestValidationError) -> JSONResponse:
    """Answers an invalid body. By default, FastAPI repeats it, including the password."""
    return JSONResponse({"error": "bad_request"}, 400)


def address(request: Request) -> str:
    """Returns the client's IP address. X-Forwarded-For is used only from trusted proxies."""
    peer = request.client.host if request.client else ""
    return proxies.client(peer, request.headers.getlist("X-Forwarded-For"))


def refused(attempt: Attempt) -> JSONResponse:
    """Answers a refused attempt."""
    return JSONResponse(BODY, attempt.status, attempt.headers)


async def own_failure(attempt: Attempt) -> JSONResponse:
    """Answers an attempt that failed on our side, and does not count it."""
    await attempt.refund()
    return JSONResponse({"error": "internal"}, 500)


@app.post("/signin")
async def sign_in(request: Request, credentials: Credentials) -> JSONResponse:
    """Signs in: counts the attempt before verifying the password, and clears it on success."""
    attempt = await sign_in_limiter.check(address(request), credentials.email)
    if not attempt.allowed:
        return refused(attempt)
    try:
        known = await accounts.verify(credentials.email, credentials.password)
    except accounts.DatabaseDownError:
        return await own_failure(attempt)
    if not known:
        return JSONResponse({"error": "wrong_credentials"}, 401, attempt.headers)
    await attempt.success()
    return JSONResponse({"ok": True}, 200, attempt.headers)


@app.post("/signup")
async def sign_up(request: Request, credentials: Credentials) -> JSONResponse:
    """Signs up. A success is not cleared: the limiter is there to stop bulk accounts."""
    attempt = await sign_up_limiter.check(address(request), credentials.email)
    if not attempt.allowed:
        return refused(attempt)
    try:
        await accounts.register(credentials.email)
    except accounts.DatabaseDownError:
        return await own_failure(attempt)
    return JSONResponse({"message": "Check your inbox."}, 200, attempt.headers)


@app.post("/reset")
async def reset(request: Request, body: Email) -> JSONResponse:
    """Mails a reset link. The answer is the same whether the account exists or not.

    Call `attempt.success()` in the endpoint that changes the password, not here, where a mail is only requested.
    """
    attempt = await reset_limiter.check(address(request), body.email)
    if not attempt.allowed:
        return refused(attempt)
    try:
        await accounts.mail_reset_link(body.email)
    except accounts.DatabaseDownError:
        return await own_failure(attempt)
    return JSONResponse({"message": "If the account exists, you will get an email."}, 200, attempt.headers)
