"""The people behind commits, and the programs that commit as well."""

from __future__ import annotations

import pytest

from metta_checks.testing import Driver
from tests.github.scripted import commit

from ..case import case

M = 'metta.github.'


def author(name: str, email: str, login: str | None = None) -> dict:
    return {'name': name, 'email': email, 'user': None if login is None else {'login': login}}


def people(run) -> list[float | None]:
    return [run.value(M + name) for name in ('developers.active_7d', 'commits.per_developer_7d')]


ADA = author('Ada', 'ada@x.example', 'ada')


@case('A', 'https://github.com/datalad/datalad/issues/7928')
@pytest.mark.parametrize(
    'bot',
    [
        author('GitHub Action', 'action@github.com', 'actions-user'),
        author('github-actions', 'github-actions@github.com'),
        author('aider (some-model)', 'noreply@aider.chat'),
        author('Codex', 'noreply@openai.com'),
        author('Claude', 'noreply@anthropic.com'),
        author('semantic-release-bot', 'semantic-release-bot@martynus.net'),
        author('Renovate Bot', 'bot@renovateapp.com'),
    ],
    ids=lambda bot: bot['email'],
)
def test_programs_that_commit(pulls, bot):
    """Commits of release tools and assistants.

    Ada has two commits in the last seven days, and a program has eight. GitHub links the program's address to no
    account, or to an ordinary one.

    Right: One developer is active, and `commits.per_developer_7d` is 2: only Ada's commits count.

    Unchanged: `commits.total_7d` is 10.
    """
    own = [commit(f'{number:040}', hours=1 + number, authors={'nodes': [ADA]}) for number in range(2)]
    others = [commit(f'{number:040}', hours=1 + number, authors={'nodes': [bot]}) for number in range(2, 10)]
    pulls.commits = [*own, *others]
    run = Driver.of(pulls).run()
    assert people(run) == [1, 2]
    assert run.value(M + 'commits.total_7d') == 10


@case('A', 'https://github.com/anthropics/claude-code/issues/65710')
def test_an_address_of_an_assistant_that_belongs_to_a_stranger(pulls):
    """An assistant's address that GitHub links to a stranger's account.

    Somebody has registered the address of an assistant as their own, so GitHub shows their account as a co-author
    of each commit that the assistant helped with.

    Right: One developer is active: the address decides, not the account.

    Unchanged: The commit still counts for Ada.
    """
    stranger = author('Claude', 'claude-code@anthropic.com', 'somebody')
    pulls.commits = [commit('a' * 40, hours=2, authors={'nodes': [ADA, stranger]})]
    assert people(Driver.of(pulls).run()) == [1, 1]


@case('A', 'https://aider.chat/docs/git.html', guard=True)
def test_people_with_names_like_bots(pulls):
    """People whose names look like those of bots.

    aider appends "(aider)" to the name of the person who uses it. Other people are called Abbott and Talbot.

    Right: All three are people.

    Unchanged: Each has one commit.
    """
    authors = [
        author('Nora (aider)', 'nora@x.example', 'nora'),
        author('Abbott', 'abbott@robotics.example'),
        author('Jo Talbot', '12+talbot@users.noreply.github.com'),
    ]
    pulls.commits = [commit(f'{n:040}', hours=2 + n, authors={'nodes': [one]}) for n, one in enumerate(authors)]
    assert people(Driver.of(pulls).run()) == [3, 1]


@case('A', 'https://github.com/apache/devlake/issues/8646')
def test_addresses_of_own_bots(pulls):
    """A company with programs of its own.

    The programs commit with addresses of one domain, which GitHub links to no account. Option `bots` has a pattern
    for these addresses, and the name of an account with brackets.

    Right: One developer is active.

    Unchanged: Without the option, the programs are people, because nothing tells them apart.
    """
    programs = [
        author('Release train', 'train@bots.x.example'),
        author('Format', 'format@bots.x.example'),
        author('Vendor', 'vendor@x.example', 'vendor[sync]'),
    ]
    pulls.commits = [commit(f'{n:040}', hours=2 + n, authors={'nodes': [o]}) for n, o in enumerate((ADA, *programs))]
    assert people(Driver.of(pulls, bots=['*@bots.x.example', 'Vendor[sync]']).run()) == [1, 1]
    assert people(Driver.of(pulls).run()) == [4, 1]


@case('D', 'https://docs.github.com/en/graphql/reference/objects#gitactorconnection')
@pytest.mark.parametrize(('total', 'active'), [(20, 20), (60, None)])
def test_a_commit_of_many_authors(pulls, total, active):
    """A squashed commit of many authors.

    A branch of many people is merged as one commit, whose co-authors GitHub lists. It shows at most 50 of them
    here.

    Right: 20 authors are 20 people. Of 60 authors, ten are unknown, so `developers.active_7d` is absent.

    Unchanged: `commits.total_7d` is 1.
    """
    authors = [author(f'Person {n}', f'person{n}@x.example') for n in range(total)]

    def shown(request, variables):
        asked = int(request.json['query'].split('authors(first: ')[1].split(')')[0])
        pulls.commits = [commit('a' * 40, hours=2, authors={'totalCount': total, 'nodes': authors[:asked]})]

    pulls.hooks['Now'] = shown
    run = Driver.of(pulls).run()
    assert (run.value(M + 'developers.active_7d'), run.value(M + 'commits.total_7d')) == (active, 1)
