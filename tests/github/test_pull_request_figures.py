"""Relations between the figures of pull requests that hold for all data, also where parts of it are unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from metta_checks.github.measures import pull_requests
from metta_checks.github.measures.pull_requests import PullRequests
from metta_checks.github.records import PullRequest
from metta_checks.github.reviews import HIDDEN, Reviews

NOW = datetime(2026, 11, 24, 18, tzinfo=UTC)
HOURS = st.integers(0, 200)
DECISIONS = st.sampled_from(['approved', 'changes_requested', 'review_required', 'none'])


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


@st.composite
def reviews(draw) -> Reviews:
    if draw(st.integers(0, 9)) == 0:
        return HIDDEN
    if draw(st.booleans()):
        return Reviews()
    first, approval = sorted((ago(draw(HOURS)), ago(draw(HOURS))))
    approved = draw(st.booleans())
    return Reviews(first, approval if approved else None, approval if approved else None, 1, has_any=True)


@st.composite
def pulls(draw, number: int, state: str) -> PullRequest:
    ended = ago(draw(HOURS))
    return PullRequest(
        number=number,
        id=f'PR_{number}',
        state=state,
        draft=draw(st.booleans()),
        created=ago(200 + draw(HOURS)),
        updated=ended,
        by_bot=draw(st.sampled_from([False, True, True, None])) if draw(st.booleans()) else False,
        merged=ended if state == 'merged' else None,
        closed=None if state == 'open' else ended,
        decision=draw(DECISIONS),
        size=draw(st.integers(0, 2000)),
        checks='success',
        reviews=draw(reviews()),
    )


@st.composite
def repositories(draw) -> PullRequests:
    states = draw(st.lists(st.sampled_from(['open', 'merged', 'closed']), max_size=8))
    found = [draw(pulls(number, state)) for number, state in enumerate(states)]
    opened = [pull for pull in found if pull.state == 'open']
    return PullRequests(opened, [pull for pull in found if pull.state != 'open'], len(opened))


def figures(found: PullRequests) -> dict[tuple[str, ...], float]:
    samples = pull_requests.measure(found, frozenset(), NOW)
    return {(sample.name, *sample.tags.values()): sample.value for sample in samples if sample.value is not None}


def parts(found: dict, name: str) -> list[float]:
    return [value for key, value in found.items() if key[0] == name and len(key) > 1]


@given(repositories())
def test_parts_add_up_to_their_total(found):
    shown = figures(found)
    for whole, name in (
        ('prs.open', 'prs.open_by_state'),
        ('prs.open', 'prs.open_by_author'),
        ('prs.merged_7d', 'prs.merged_by_author_7d'),
        ('prs.merged_7d', 'prs.merged_by_size_7d'),
    ):
        if listed := parts(shown, name):
            assert sum(listed) == shown[whole,]


@given(repositories())
def test_an_approved_pull_request_does_not_wait(found):
    shown = figures(found)
    waiting = shown.get(('prs.waiting_for_review',))
    if waiting is not None:
        ready = [pull for pull in found.open if not pull.draft]
        assert waiting <= len(ready) - sum(pull.decision == 'approved' for pull in ready)


@given(repositories())
def test_without_bots_no_number_rises(found):
    everything, people = figures(found), figures(found.of_people())
    for name in ('prs.open', 'prs.merged_7d', 'prs.opened_7d', 'prs.closed_without_merge_7d'):
        if (name,) in people:
            assert people[name,] <= everything[name,]


@given(repositories())
def test_the_order_of_pull_requests_does_not_matter(found):
    turned = PullRequests(list(reversed(found.open)), list(reversed(found.closed)), found.open_count)
    shown, again = figures(found), figures(turned)
    assert shown.keys() == again.keys()
    assert all(abs(shown[key] - again[key]) < 1e-6 for key in shown)
