"""Self-hosted runners of repositories and of organizations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datadog_checks.base import AgentCheck

from metta_checks.testing import Driver, Run

from ..case import case

COUNT = 'metta.github.runners.count'
BY_LABEL = 'metta.github.runners.by_label'
ONLINE = 'metta.github.runners.online'
ORGANIZATION = 'scope:organization'


def runner(number: int, *labels: str, status: str = 'online', busy: bool = False) -> dict[str, Any]:
    """Return a runner of REST."""
    return {
        'id': number,
        'name': f'runner-{number}',
        'os': 'linux',
        'status': status,
        'busy': busy,
        'labels': [{'id': index, 'name': label, 'type': 'custom'} for index, label in enumerate(labels)],
    }


def serve_runners(github, repository: Sequence[Any] = (), organization: Sequence[Any] = ()) -> None:
    """Let the service answer lists of runners, a hundred per page."""

    def answer(request, _):
        rows = list(organization if request.path.startswith('/orgs/') else repository)
        start = 100 * (int(request.args.get('page', 1)) - 1)
        more = f'<{github.url}{request.path}?per_page=100&page={start // 100 + 2}>; rel="next"'
        return github.json(
            {'total_count': len(rows), 'runners': rows[start : start + 100]},
            headers={'Link': more} if start + 100 < len(rows) else {},
        )

    github.hooks['runners'] = answer


def total(run: Run, name: str, *tags: str) -> float:
    """Return the sum of the series of a metric with these tags."""
    return sum(value for found, value in run.series(name).items() if set(tags) <= set(found))


@case('F', 'https://github.com/actions/runner/issues/821')
def test_a_runner_with_several_labels(scripted):
    """A runner has several labels.

    Three runners are online, all with the label `linux`, one of them with `gpu`, too. An offline one has `arm64`.

    Right: `runners.count` adds up to 4: a runner counts once, whatever labels it has. `runners.by_label` is 3 for
    `linux`, 1 for `gpu`, and 0 for `arm64`, which nobody serves at the moment.

    Unchanged: `runners.online` is 3.
    """
    rows = [runner(1, 'linux', 'gpu'), runner(2, 'linux', busy=True), runner(3, 'Linux')]
    serve_runners(scripted, [*rows, runner(4, 'arm64', status='offline')])
    run = Driver.of(scripted, runners=True).run()
    assert total(run, COUNT) == 4
    assert run.value(COUNT, 'scope:repository', 'status:online', 'busy:true') == 1
    assert run.value(COUNT, 'scope:repository', 'status:offline', 'busy:false') == 1
    labels = {label: run.value(BY_LABEL, f'label:{label}') for label in ('linux', 'gpu', 'arm64')}
    assert labels == {'linux': 3, 'gpu': 1, 'arm64': 0}
    assert run.value(ONLINE) == 3


@case('H', 'https://docs.github.com/en/rest/actions/self-hosted-runners')
def test_runners_of_the_organization_are_no_runners_of_the_repository(scripted):
    """An organization shares runners with its repositories.

    The repository has one runner of its own, the organization has two, one of them busy.

    Right: `runners.count` is 1 for `scope:repository` and 2 for `scope:organization`. The series of the organization
    have the tag `org` and no `repo`, because the runners serve every repository.

    Unchanged: `runners.online` is 1, the runner of the repository.
    """
    serve_runners(scripted, [runner(1, 'linux')], [runner(7, 'linux'), runner(8, 'linux', busy=True)])
    run = Driver.of(scripted, runners=True, organization_runners=True).run()
    assert (total(run, COUNT, 'scope:repository'), total(run, COUNT, ORGANIZATION)) == (1, 2)
    assert all('org:metta' in tags for tags in run.series(COUNT))
    assert not [tags for tags in run.series(COUNT) if ORGANIZATION in tags and any('repo:' in tag for tag in tags)]
    assert run.value(ONLINE) == 1
    assert run.status == AgentCheck.OK


@case('E', 'https://docs.github.com/en/rest/actions/self-hosted-runners')
def test_a_token_without_access_to_the_organization(scripted):
    """The token may read the repository, and not the runners of the organization.

    GitHub answers the list of the organization with 404, as it does for a user.

    Right: The figures of the organization are absent, the service check is WARNING, and the message names the option
    and the permission.

    Unchanged: The runners of the repository, and all other figures, are there.
    """
    serve_runners(scripted, [runner(1, 'linux')])
    served = scripted.hooks['runners']
    scripted.hooks['runners'] = lambda request, variables: (
        scripted.json({'message': 'Not Found'}, 404)
        if request.path.startswith('/orgs/')
        else served(request, variables)
    )
    run = Driver.of(scripted, runners=True, organization_runners=True).run()
    assert (total(run, COUNT, 'scope:repository'), total(run, COUNT, ORGANIZATION)) == (1, 0)
    assert not [tags for tags in run.series(COUNT) if ORGANIZATION in tags]
    assert run.status == AgentCheck.WARNING
    assert 'organization_runners' in run.message
    assert 'Self-hosted runners' in run.message
    assert run.value('metta.github.prs.open') == 1


@case('A', 'https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api')
def test_a_runner_on_two_pages(scripted):
    """Runners come and go while the list is read.

    An organization has 150 runners on two pages. Between the two requests a runner before them is removed, so that the
    last one of the first page is also the first one of the second page.

    Right: `runners.count` is 150, each id once.

    Unchanged: `runners.by_label` is 150.
    """
    rows = [runner(number, 'linux') for number in range(1, 151)]
    serve_runners(scripted, organization=[*rows[:100], *rows[99:]])
    run = Driver.of(scripted, organization_runners=True).run()
    assert (total(run, COUNT), run.value(BY_LABEL, 'label:linux')) == (150, 150)


@case('F', 'https://github.com/promhippie/github_exporter/issues/277')
def test_runners_with_a_label_of_their_own(scripted):
    """Short-lived runners have a label for each job.

    A tool starts a runner per job and gives it the labels `linux` and `job-<number>`, so that no other job takes it.
    There are 300 of them.

    Right: `runners.by_label` has at most 51 series for the organization: the 50 most frequent labels and `other`. They
    add up to 600.

    Unchanged: `runners.by_label` of `linux` is 300.
    """
    serve_runners(scripted, organization=[runner(number, 'linux', f'job-{number}') for number in range(300)])
    run = Driver.of(scripted, organization_runners=True).run()
    assert (len(run.series(BY_LABEL)), total(run, BY_LABEL), run.value(BY_LABEL, 'label:linux')) == (51, 600, 300)
