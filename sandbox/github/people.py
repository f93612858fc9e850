"""Authors and reviewers: people with all their addresses, bots, assistants, deleted accounts."""

from __future__ import annotations

import random

from ..organization import Organization, Person
from .model import Account, Signature

# Number of the organization's people who commit to the main repository.
DEVELOPERS = 14

DEPENDABOT = Account('dependabot', 49699333, 'Bot', machine=True)
RENOVATE = Account('renovate', 29139614, 'Bot', machine=True)
ACTIONS = Account('github-actions', 41898282, 'Bot', machine=True)
REVIEWER = Account('copilot-pull-request-reviewer', 175728472, 'Bot', machine=True)
# Assistants that have ordinary accounts.
CLAUDE = Account('claude', 81847, machine=True, name='Claude', email='noreply@anthropic.com')
CURSOR = Account('cursoragent', 199161495, machine=True, name='Cursor Agent', email='cursoragent@cursor.com')


class People:
    """Accounts and signatures of one organization."""

    def __init__(self, organization: Organization) -> None:
        self._dice = organization.random('github people')
        self.accounts = [
            Account(person.login, 1_000_000 + 137 * index, name=person.name, email=person.email)
            for index, person in enumerate(organization.people)
        ]
        self.developers = self.accounts[:DEVELOPERS]
        self.maintainer = self.accounts[DEVELOPERS]
        self.partner = self.accounts[DEVELOPERS + 1]
        self._addresses = {
            account.login: self._signatures(account, person, index)
            for index, (account, person) in enumerate(zip(self.accounts, organization.people, strict=True))
        }

    @staticmethod
    def _signatures(account: Account, person: Person, index: int) -> list[Signature]:
        """Make the signatures of a person, one per address."""
        own = [Signature(person.name, person.email, account, account.login)]
        noreply = f'{account.database_id}+{account.login}@users.noreply.github.com'
        if index % 3 == 1:
            own.append(Signature(person.name, f'{account.login}@home.example', account, account.login))
        if index % 4 == 2:
            # Made in the browser, with an address that GitHub does not always connect with the account.
            own.append(Signature(account.login, noreply, None, account.login))
        if index % 5 == 3:
            own.append(Signature(person.name, noreply.upper(), None, account.login))
        return own

    def signature(self, account: Account, dice: random.Random) -> Signature:
        """Choose a signature of this account."""
        if account is DEPENDABOT:
            return Signature('dependabot[bot]', '49699333+dependabot[bot]@users.noreply.github.com', None, None)
        if account is RENOVATE:
            return Signature('renovate[bot]', '29139614+renovate[bot]@users.noreply.github.com', None, None)
        if account is ACTIONS:
            return Signature('github-actions[bot]', '41898282+github-actions[bot]@users.noreply.github.com', None, None)
        if account.machine:
            return Signature(account.name, account.email, account, None)
        return dice.choice(self._addresses[account.login])

    @staticmethod
    def stranger(dice: random.Random) -> Signature:
        """Return the signature of a person without an account, whose address is written in two ways."""
        email = dice.choice(('lena@partner-lab.example', 'Lena@Partner-Lab.example'))
        return Signature('Lena Vogt', email, None, 'lena')

    @staticmethod
    def nameless() -> Signature:
        """Return the signature of a machine without an address."""
        return Signature('buildbox', '', None, 'buildbox')

    def developer(self, dice: random.Random) -> Account:
        """Choose a developer; some commit more often than others."""
        return self.developers[min(dice.randrange(DEVELOPERS), dice.randrange(DEVELOPERS + 4))]
