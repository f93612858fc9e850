"""The events of a repository and of the rate limits."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..core.refresh import Event
from .measures.default_branch import Outages
from .records import ForcePush, Overview, Release
from .verdicts import Verdict


def release(overview: Overview, published: Release) -> Event:
    """Return the event of a new release."""
    text = f'{overview.name_with_owner} published {published.tag}: {published.url}'
    return Event(f'Release {published.tag}', text, f'{overview.name_with_owner} release')


def force_push(repository: str, branch: str, push: ForcePush) -> Event:
    """Return the event of a force push to the default branch."""
    text = f'{push.actor} force-pushed {branch}: {push.before[:12]} was replaced by {push.after[:12]}.'
    return Event(f'Force push to {repository}', text, f'{repository} force push', 'warning')


def branch_fails(repository: str, branch: str, failing: Collection[Verdict], web_url: str) -> Event:
    """Return the event of a default branch on which a required workflow begins to fail."""
    names = ', '.join(sorted(one.name for one in failing))
    head = max(failing, key=lambda one: one.created)
    link = f'{web_url}/{repository}/actions/runs/{head.run}'
    text = f'Failing on {branch}: {names}, at {head.sha[:12]}: {link}'
    return Event(f'{repository}: {branch} is red', text, f'{repository} main', 'error')


def branch_passes(repository: str, branch: str, outages: Outages) -> Event:
    """Return the event of a default branch on which all required workflows pass again."""
    after = f' after {outages.ended[-1].hours:.1f} hours' if outages.ended else ''
    text = f'All required workflows pass on {branch} again{after}.'
    return Event(f'{repository}: {branch} is green again', text, f'{repository} main', 'success')


def deployment(repository: str, environment: str, outcome: str) -> Event:
    """Return the event of an environment whose deployments begin to fail, or succeed again."""
    key = f'{repository} deployment {environment}'
    tags = {'environment': environment}
    if outcome == 'success':
        text = f'A deployment of {repository} to {environment} succeeded again.'
        return Event(f'{repository}: {environment} recovered', text, key, 'success', tags)
    text = f'The last deployment of {repository} to {environment} ended in {outcome}.'
    return Event(f'{repository}: deployment to {environment} failed', text, key, 'error', tags)


def rate_limit(messages: Mapping[str, str]) -> Event:
    """Return the event of used-up rate limits, of which there is a message by resource."""
    names = ', '.join(sorted(messages))
    text = ' '.join(dict.fromkeys(messages.values()))
    return Event(f'GitHub rate limit: {names}', text, f'github rate limit {names}', 'warning')
