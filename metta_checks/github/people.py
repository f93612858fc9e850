"""Accounts, and the authors of commits: who is a person, and who is a bot."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.fields import text
from .connections import GITHUB

# GitHub shows every deleted account under this name.
GHOST = 'ghost'
# Accounts of programs that GitHub does not declare to be bots: release tools, and assistants that write code.
LOGINS = (
    '*[bot]',
    'actions-user',
    'changeset-bot',
    'chatgpt-codex-connector',
    'claude',
    'codecov-commenter',
    'copilot',
    'copilot-pull-request-reviewer',
    'copilot-swe-agent',
    'cursoragent',
    'dependabot',
    'dependabot-preview',
    'devin-ai-integration',
    'github-actions',
    'github-merge-queue',
    'google-labs-jules',
    'greenkeeperio-bot',
    'k8s-ci-robot',
    'openhands-agent',
    'pre-commit-ci',
    'pyup-bot',
    'renovate',
    'renovate-bot',
    'semantic-release-bot',
    'snyk-bot',
    'web-flow',
)
# Addresses that release tools and assistants sign commits with. GitHub links most of them to no account. Addresses, not
# names: a person may be called Abbott, and aider appends its name to that of the person who uses it.
EMAILS = (
    '*[bot]@*',
    'action@github.com',
    'actions@github.com',
    'agent@cursor.com',
    'aider@aider.chat',
    'amp@ampcode.com',
    'bot@renovateapp.com',
    'claude@anthropic.com',
    'claude-code@anthropic.com',
    'codex@openai.com',
    'copilot@github.com',
    'cursoragent@cursor.com',
    'deploy@travis-ci.org',
    'devin@cognition.ai',
    'gemini@google.com',
    'github-actions@github.com',
    'github-bot@pyup.io',
    'hosted@weblate.org',
    'noreply@aider.chat',
    'noreply@ampcode.com',
    'noreply@anthropic.com',
    'noreply@cursor.com',
    'noreply@github.com',
    'noreply@openai.com',
    'noreply@opencode.ai',
    'noreply@weblate.org',
    'openhands@all-hands.dev',
    'renovate@whitesourcesoftware.com',
    'semantic-release-bot@*',
    'snyk-bot@snyk.io',
    'support@dependabot.com',
    'support@greenkeeper.io',
    'support+bot@crowdin.com',
)
NOREPLY = re.compile(r'^(?:\d+\+)?(?P<login>[^@]+)@users\.noreply\.github\.com$', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Bots:
    """The logins and e-mail addresses of programs, as expressions that match the whole."""

    logins: re.Pattern[str]
    emails: re.Pattern[str]

    @classmethod
    def of(cls, more: Iterable[str] = ()) -> Bots:
        """Return the known bots and further ones: logins, or e-mail addresses, in which `*` and `?` are wildcards."""
        listed = list(more)
        return cls(
            logins=_any_of((*LOGINS, *(one for one in listed if '@' not in one))),
            emails=_any_of((*EMAILS, *(one for one in listed if '@' in one))),
        )

    def has_login(self, login: str) -> bool:
        """Return whether an account belongs to a bot."""
        return self.logins.match(login) is not None

    def has_email(self, email: str) -> bool:
        """Return whether an address belongs to a bot."""
        return self.emails.match(email) is not None


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    # Brackets are part of the names of bots, not sets of characters.
    return re.compile('|'.join(fnmatch.translate(one.replace('[', '[[]')) for one in patterns), re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Actor:
    """The account that wrote something.

    Attributes:
        login: the name of the account, in lower case; GHOST for a deleted one
        is_bot: whether it belongs to a program
    """

    login: str
    is_bot: bool

    @classmethod
    def parse(cls, node: Mapping[str, Any], bots: Bots) -> Actor | None:
        """Read the author of a pull request or review: null is a deleted account, None is returned without the field.

        Raises BadPayload for a value of another type.
        """
        if 'author' not in node:
            return None
        author = GITHUB.part(node, 'author')
        login = (GITHUB.optional(text, author, 'login') or GHOST).lower()
        return cls(login, author.get('__typename') == 'Bot' or bots.has_login(login))

    @property
    def is_deleted(self) -> bool:
        """True for a deleted account; two of them may be two people."""
        return self.login == GHOST


def person(author: Mapping[str, Any], bots: Bots) -> str | None:
    """Return the name of a commit's author, lower case; None for a bot and for an author without any name.

    This is the login, else the login inside GitHub's noreply address, else the e-mail address, else the name.
    """
    email = _lower(author, 'email')
    login = _lower(GITHUB.part(author, 'user'), 'login') or _noreply_login(email)
    name = _lower(author, 'name')
    if bots.has_email(email) or bots.has_login(login) or name.endswith('[bot]'):
        return None
    return login or email or name or None


def _lower(fields: Mapping[str, Any], key: str) -> str:
    return (text(fields.get(key)) or '').lower()


def _noreply_login(email: str) -> str:
    noreply = NOREPLY.match(email)
    return noreply['login'] if noreply else ''
