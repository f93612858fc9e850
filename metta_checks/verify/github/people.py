"""Accounts and signatures of people and bots."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable

from github.NamedUser import NamedUser

LOGINS = (
    'actions-user', 'claude', 'copilot', 'copilot-pull-request-reviewer', 'copilot-swe-agent', 'cursoragent',
    'dependabot', 'devin-ai-integration', 'github-actions', 'renovate',
)  # fmt: skip
ADDRESSES = ('action@github.com', 'github-actions@github.com', 'noreply@anthropic.com', 'cursoragent@cursor.com')
NOREPLY = re.compile(r'(?:\d+\+)?([^@]+)@users\.noreply\.github\.com', re.IGNORECASE)


class Bots:
    """The logins and addresses of bots: known ones, and those of option `bots`, which may have wildcards."""

    def __init__(self, option: Iterable[str]) -> None:
        entries = [entry.lower() for entry in option]
        self._logins = (*LOGINS, *(entry for entry in entries if '@' not in entry))
        self._addresses = (*ADDRESSES, *(entry for entry in entries if '@' in entry))

    def is_account(self, user: NamedUser | None) -> bool:
        """Return whether an account is a bot's. A deleted account (None) was a person's."""
        return user is not None and (user.type == 'Bot' or self._is_login(user.login))

    def is_signature(self, login: str | None, email: str | None, name: str | None) -> bool:
        """Return whether an author of a commit is a bot."""
        address = (email or '').lower()
        if '[bot]@' in address or _is_one_of(address, self._addresses):
            return True
        return any(self._is_login(one) for one in (person(login, email, name), login) if one)

    def _is_login(self, login: str) -> bool:
        return login.lower().endswith('[bot]') or _is_one_of(login.lower(), self._logins)


def _is_one_of(text: str, patterns: Iterable[str]) -> bool:
    # A bracket is part of a login, not a set of characters.
    return any(fnmatch.fnmatchcase(text, pattern.replace('[', '[[]')) for pattern in patterns)


def person(login: str | None, email: str | None, name: str | None) -> str:
    """Return a person's identity: the account, else the one in a noreply address, else the address, else the name."""
    noreply = NOREPLY.fullmatch(email or '')
    return (login or (noreply[1] if noreply else None) or email or name or '').lower()
