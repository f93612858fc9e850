"""Option `shard`: every repository is read by exactly one instance."""

from __future__ import annotations

import random
import string

import pytest

from metta_checks.github.shard import Shard
from metta_checks.testing import Driver

NAMES = random.Random(7)


def slug() -> str:
    return ''.join(NAMES.choices(string.ascii_lowercase + string.digits + '._-', k=NAMES.randint(1, 40)))


SLUGS = [f'{slug()}/{slug()}' for _ in range(1000)]


@pytest.mark.parametrize('count', [1, 2, 3, 7, 64, 1000])
def test_every_repository_is_in_exactly_one_shard(count):
    shards = [Shard(index, count) for index in range(count)]
    assert all(sum(shard.has(one) for shard in shards) == 1 for one in SLUGS)


def test_shards_are_of_similar_size_and_stay_the_same():
    sizes = [sum(Shard(index, 4).has(one) for one in SLUGS) for index in range(4)]
    assert all(200 <= size <= 300 for size in sizes)
    # A repository must not move when the Agent restarts or is updated.
    assert [Shard(0, 4).has(f'metta/part-{number}') for number in range(8)] == STAYS


STAYS = [True, True, False, False, False, False, False, False]


def test_instances_divide_an_organization_and_listed_repositories(serve):
    github = serve('github', scale=0.02, more_repositories=8)

    def read(**options) -> set[str]:
        run = Driver.of(github, organization='metta-ai', **options).run()
        assert run.error == ''
        return {tag for name, tags in run.values for tag in tags if tag.startswith('repo:') and 'prs.open' in name}

    everything = read()
    parts = [read(shard={'index': index, 'count': 3}) for index in range(3)]
    assert set.union(*parts) == everything
    assert sum(map(len, parts)) == len(everything) >= 10


def test_only_the_first_shard_reads_the_runners_of_the_organization(serve):
    github = serve('github', scale=0.02)
    for index in range(2):
        Driver.of(github, organization_runners=True, shard={'index': index, 'count': 2}).run()
    assert sum(entry.path.endswith('/orgs/metta-ai/actions/runners') for entry in github.log) == 1


@pytest.mark.parametrize(
    ('shard', 'words'),
    [
        ({'index': 3, 'count': 3}, '`index` is 3, but 3 shards have the numbers 0 to 2'),
        ({'index': -1, 'count': 3}, 'index'),
        ({'index': 0, 'count': 0}, 'count'),
        ({'index': 0}, 'count'),
        ({'index': 0, 'count': 2, 'counts': 3}, 'unknown: counts (known: count, index)'),
        ('0/3', 'shard'),
    ],
)
def test_a_shard_that_is_none_is_refused(serve, shard, words):
    github = serve('github', scale=0.02)
    run = Driver.of(github, shard=shard).run()
    assert words in run.error
    assert github.log == []
