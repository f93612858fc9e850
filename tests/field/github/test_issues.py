"""Issues, with option `issues`."""

from __future__ import annotations

from metta_checks.testing import Driver
from tests.github.scripted import ago
from tests.github.scripted_hooks import with_errors

from ..case import case
from .pulls import cut

M = 'metta.github.issues.'


def issue(created: float, closed: float | None = None, state: str | None = None) -> dict:
    """Return an issue created and closed some hours ago."""
    return {
        'state': state or ('OPEN' if closed is None else 'CLOSED'),
        'createdAt': ago(hours=created),
        'closedAt': None if closed is None else ago(hours=closed),
    }


def figures(run) -> list[float | None]:
    return [run.value(M + name) for name in ('open', 'opened_7d', 'closed_7d', 'close_hours.p50')]


@case('B', 'https://github.com/chaoss/grimoirelab/issues/318')
def test_issues_that_were_closed_and_opened_again(pulls):
    """An issue that was closed and opened again.

    Of five issues that changed in the last seven days, two are closed, after 10 and after 30 hours; a third was
    closed and opened again, and GitHub still shows a time of closing beside the state OPEN. The fourth is new, and
    the fifth was closed long ago and got a comment.

    Right: Two were closed, the median time is 20 hours, and three were opened.

    Unchanged: `issues.open` is 2.
    """
    again = issue(300, 20, state='OPEN')
    pulls.issues = [issue(40, 30), issue(50, 20), again, issue(5), issue(2000, 900)]
    assert figures(Driver.of(pulls, issues=True).run()) == [2, 3, 2, 20]


@case('J', 'https://docs.github.com/en/graphql/guides/using-pagination-in-the-graphql-api')
def test_more_issues_than_can_be_read(pulls):
    """More than two thousand issues changed in a week.

    A script edits 2,100 issues. The check reads 20 pages of 100.

    Right: Only `issues.open` is there, and `metta.collector.truncated` says why.

    Unchanged: With 2,000 issues, all figures are there.
    """
    pulls.issues = [issue(5) for _ in range(2100)]
    driver = Driver.of(pulls, issues=True)
    run = driver.run()
    assert figures(run) == [2100, None, None, None]
    assert 'more than 2000 issues changed' in run.message
    pulls.issues = pulls.issues[:2000]
    pulls.pass_time(900)
    assert figures(driver.run()) == [2000, 2000, 0, None]


@case('E', 'https://github.com/jasperapp/jasper/issues/187')
def test_an_issue_that_github_does_not_show(pulls):
    """An issue that the token may not see.

    GitHub answers null for one of two issues, and an error names it.

    Right: `issues.opened_7d` and the other figures over single issues are absent, and the service check is WARNING.

    Unchanged: `issues.open` is 2, which GitHub counts itself.
    """
    data = {'repository': {'openIssues': {'totalCount': 2}, 'issues': cut([issue(5), None], 100)}}
    error = {'type': 'FORBIDDEN', 'path': ['repository', 'issues', 'nodes', 1], 'message': 'Resource not accessible'}
    pulls.hooks['Issues'] = with_errors(pulls, data, error)
    run = Driver.of(pulls, issues=True).run()
    assert figures(run) == [2, None, None, None]
    assert run.status == 1
