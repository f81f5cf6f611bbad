"""A client for authlimit. Copy this file; it needs only redis-py."""

import asyncio
import logging
import re
from dataclasses import dataclass
from typing import Any, Literal, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, BusyLoadingError, RedisError, ResponseError

# redis-py treats three of these as connection errors, but they are replies of a working server.
REPLIES = (ResponseError, AuthenticationError, AuthorizationError, BusyLoadingError)
NO_ANSWER = (RedisError, OSError, TimeoutError)
WINDOW = re.compile(r"/(\d+)(ms|s|m|h|d)\b")
UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
BODY = {"error": "try_again_later"}  # of every refusal; it must not disclose the rule
log = logging.getLogger("authlimit")


def connect(url: str, timeout: float = 0.1) -> Redis:
    """Creates a client that fails fast: no retries. If all connections are in use, a command waits for one."""
    pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
        url,
        max_connections=20,
        timeout=timeout,
        socket_connect_timeout=timeout,
        socket_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )
    return Redis(connection_pool=pool)


def whole_seconds(ms: int) -> int:
    """Rounds up, so that a client that waits is not too early."""
    return -(-ms // 1000)


@dataclass(frozen=True)
class Attempt:
    """The result of a CHECK. If not `allowed`, respond with `status`, `headers` and `BODY`."""

    limiter: "Limiter"
    ip: str
    email: str
    allowed: bool
    counted: bool
    status: int
    headers: dict[str, str]

    async def success(self) -> None:
        """Clears the attempts of this IP address on this email. Call it after a successful sign-in."""
        await self.limiter.tell("AUTHLIMIT.RESET", self.ip, self.email)

    async def refund(self) -> None:
        """Takes the attempt back. Call it after a failure that no client can cause."""
        if self.counted:
            await self.limiter.tell("AUTHLIMIT.REFUND", self.ip, self.email)


@dataclass(frozen=True)
class Limiter:
    """The limiter of one endpoint. `fail_mode` decides about attempts while Redis is unreachable."""

    redis: Redis
    timeout: float  # seconds for a whole command: waiting for a connection, connecting and the reply
    key: str
    fail_mode: Literal["open", "closed"]

    async def check(self, ip: str, email: str) -> Attempt:
        """Runs CHECK. Call it before you verify the password. Never raises."""
        try:
            reply = await self._send("AUTHLIMIT.CHECK", ip, email)
        except REPLIES as error:
            self._log_reply(error)  # a server that returns an error has not allowed anything
            return Attempt(self, ip, email, False, False, 429, {})
        except NO_ANSWER as error:
            self._log_unavailable(error)
            if self.fail_mode == "open":
                return Attempt(self, ip, email, True, False, 200, {})
            return Attempt(self, ip, email, False, False, 503, {})
        allowed, limit, remaining, retry_after_ms, reset_ms, rule = reply
        headers: dict[str, str] = {}
        window = WINDOW.search(rule)
        if window:  # ALLOW and DENY verdicts have no quota
            seconds = whole_seconds(int(window[1]) * UNIT_MS[window[2]])
            reset = whole_seconds(reset_ms)
            headers["RateLimit-Policy"] = f'"{self.key}";q={limit};w={seconds}'
            headers["RateLimit"] = f'"{self.key}";r={remaining};t={reset}'
            older = {"RateLimit-Limit": limit, "RateLimit-Remaining": remaining, "RateLimit-Reset": reset}
            headers |= {name: str(value) for name, value in older.items()}
        if not allowed and retry_after_ms > 0:  # -1: for ever
            headers["Retry-After"] = str(whole_seconds(retry_after_ms))
        counted = allowed == 1 and window is not None
        return Attempt(self, ip, email, allowed == 1, counted, 200 if allowed else 429, headers)

    async def tell(self, command: str, ip: str, email: str) -> None:
        """Sends RESET or REFUND. If that fails, the limiter is only stricter than necessary, so it does not raise."""
        try:
            await self._send(command, ip, email)
        except REPLIES as error:
            self._log_reply(error)
        except NO_ANSWER as error:
            self._log_unavailable(error)

    async def _send(self, command: str, ip: str, email: str) -> Any:
        async with asyncio.timeout(self.timeout):
            return await cast(Any, self.redis).execute_command(command, self.key, ip, email)

    def _log_reply(self, error: Exception) -> None:
        # Cut at the first quote: after it, Redis repeats the arguments of an unknown command.
        log.error("rate_limit_error limiter=%s reply=%s", self.key, str(error).partition("'")[0])

    def _log_unavailable(self, error: Exception) -> None:
        cause = type(error).__name__
        log.error("rate_limit_unavailable limiter=%s fail_mode=%s cause=%s", self.key, self.fail_mode, cause)
