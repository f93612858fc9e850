"""Secrets that can be told from everything else, and a search for them in all the forms they may take."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

# A leak has at least this many characters of a secret.
ENOUGH = 8


def plant(name: str) -> str:
    """A secret whose every beginning is unlike anything else; with characters that URLs and JSON write differently."""
    return f'zQ7{name}-Xk/+%="\'&9 vWtJ2m5pLr8sYb'.replace(' ', '~')


def private_key() -> str:
    """A key of a GitHub App."""
    return (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        .private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        .decode()
    )


@dataclass
class Evidence:
    """All that was said, by where, and the secrets that must not be in it."""

    secrets: dict[str, str]
    said: list[tuple[str, str]] = field(default_factory=list)
    enough: int = ENOUGH

    def add(self, where: str, text: Any) -> None:
        """Something that came out."""
        self.said.append((where, text if isinstance(text, str) else json.dumps(text, default=repr)))

    def leaks(self) -> list[str]:
        """Where a secret, or the beginning of one, can be read. Does not repeat it."""
        return [
            f'{name} ({form}) in {where}'
            for name, secret in self.secrets.items()
            for form, needles in _forms(secret, self.enough)
            for where, text in self.said
            if any(needle in text for needle in needles)
        ]


def _forms(secret: str, enough: int) -> Iterable[tuple[str, set[str]]]:
    lines = [line for line in secret.splitlines() if line and not line.startswith('-----')]
    yield 'plain', {line[:enough] for line in lines if len(line) >= ENOUGH}
    for line in lines:
        if len(line) < ENOUGH:
            continue
        yield 'in a URL', {quote(line, safe='')[:enough], quote_plus(line)[:enough]}
        yield 'in JSON', {json.dumps(line)[1:-1][:enough]}
        yield 'in base64', set(_in_base64(line.encode()[:24]))


def _in_base64(secret: bytes) -> Iterable[str]:
    """The inner part of a secret's base64, for each of the three places it may begin at."""
    for shift in range(3):
        text = base64.b64encode(b'x' * shift + secret).decode()
        yield text[4 if shift else 0 :][:12]
