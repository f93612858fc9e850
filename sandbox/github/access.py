"""Authentication and rate limits: tokens, App installations, hourly budgets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

HOUR = timedelta(hours=1)
LONG_AGO = datetime.min.replace(tzinfo=UTC)
APP_ID = 424242
INSTALLATION_ID = 5151
MAX_JWT_SECONDS = 600


class Refused(Exception):
    """The request is refused, with a status, a message, and headers."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}


@dataclass(slots=True)
class Bucket:
    """An hourly limit of one resource. Its first hour begins when it is first opened."""

    resource: str
    limit: int
    used: int = 0
    reset_at: datetime = LONG_AGO

    @property
    def remaining(self) -> int:
        """Points that are left."""
        return max(0, self.limit - self.used)

    def open(self, now: datetime) -> Bucket:
        """Begin a new hour if the last one has ended."""
        if now >= self.reset_at:
            self.used = 0
            self.reset_at = now + HOUR
        return self

    def take(self, points: int) -> bool:
        """Use up points. Returns False, and uses none, when fewer are left."""
        if self.remaining < points:
            return False
        self.used += points
        return True

    def exhaust(self, remaining: int = 0) -> None:
        """Leave only this many points until the reset."""
        self.used = self.limit - remaining

    def headers(self) -> dict[str, str]:
        """Return the headers that every answer of GitHub has."""
        values = {**self.document(), 'resource': self.resource}
        return {f'x-ratelimit-{name}': str(value) for name, value in values.items()}

    def document(self) -> dict[str, Any]:
        """Return the entry of `/rate_limit`."""
        return {
            'limit': self.limit,
            'remaining': self.remaining,
            'reset': math.ceil(self.reset_at.timestamp()),
            'used': self.used,
        }


class App:
    """A GitHub App with one installation. Its key is made when it is first needed."""

    id = APP_ID
    installation_id = INSTALLATION_ID

    def __init__(self) -> None:
        self._tokens: dict[str, datetime] = {}
        self._revoked: set[str] = set()

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def private_key(self) -> str:
        """The private key as PEM, as GitHub offers it for download."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        ).decode()

    def verify(self, token: str) -> None:
        """Check a JWT of the App against real time, by which clients make it. Raises Refused."""
        try:
            claims = jwt.decode(
                token, self._key.public_key(), algorithms=['RS256'], options={'require': ['iat', 'exp', 'iss']}
            )
        except jwt.ExpiredSignatureError:
            raise Refused(401, "'Expiration time' claim ('exp') must be in the future") from None
        except jwt.ImmatureSignatureError:
            raise Refused(401, "'Issued at' claim ('iat') must be an Integer representing the past") from None
        except jwt.InvalidTokenError:
            raise Refused(401, 'A JSON web token could not be decoded') from None
        if claims['exp'] - claims['iat'] > MAX_JWT_SECONDS:
            raise Refused(401, "'Expiration time' claim ('exp') is too far in the future")
        if str(claims['iss']) != str(self.id):
            raise Refused(404, 'Integration not found')

    def issue(self, now: datetime) -> tuple[str, datetime]:
        """Issue an installation token. Returns the token and its expiry."""
        token = f'ghs_sandbox{len(self._tokens):012d}'
        self._tokens[token] = now + HOUR
        return token, self._tokens[token]

    def knows(self, token: str, now: datetime) -> bool:
        """Check that an installation token is valid."""
        return token in self._tokens and token not in self._revoked and now < self._tokens[token]

    def revoke(self) -> None:
        """Revoke all installation tokens."""
        self._revoked.update(self._tokens)
