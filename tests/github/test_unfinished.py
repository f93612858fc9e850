"""Figures that are read over several refreshes: until then, the check names those that are not the true ones."""

from __future__ import annotations

import pytest

from metta_checks.core import catalog
from metta_checks.github import attempts, dora, jobs, pull_request_crawl
from metta_checks.testing import Driver, as_truth, compare

pytestmark = pytest.mark.integration

# Needed to send fewer requests than the sandbox would take.
TIGHT = (
    (attempts, 'MAX_REQUESTS', 1),
    (dora, 'COMPARISONS_PER_REFRESH', 8),
    (jobs, 'ATTEMPTS_PER_REFRESH', 8),
    (jobs, 'REVIEWS_PER_REFRESH', 1),
    (pull_request_crawl, 'REVIEW_REQUESTS', 1),
)


def wrong(run, truth) -> set[str]:
    """Return the gauges of the truth, by their name in the catalog, whose value is another one."""
    gauges = {metric.name for metric in catalog.load('github').metrics if metric.type == 'gauge'}
    names = {name.removeprefix('metta.github.') for name, _ in compare(run.figures(), truth).different}
    return names & gauges & {name.removeprefix('metta.github.') for name, _ in truth}


def test_names_all_figures_that_are_not_the_true_ones_yet(serve, monkeypatch):
    for module, name, value in TIGHT:
        monkeypatch.setattr(module, name, value)
    service = serve('github', scale=0.05, prs=60, commits=60, past_prs=20)
    options = {'dora': {'source': 'deployments', 'environments': ['production']}, 'jobs': True}
    driver = Driver.of(service, **options)
    run = driver.run()
    seen = set()
    for _ in range(40):
        now = service.clock.now()
        truth = as_truth((*service.truth(now), *service.optional_truth(now, **options)))
        unfinished = driver.check.unfinished
        assert wrong(run, truth) <= unfinished
        seen |= wrong(run, truth)
        if not unfinished:
            break
        service.pass_time(60)
        run = driver.refresh()
    assert driver.check.unfinished == frozenset()
    assert seen >= {'code.files_changed_7d', 'jobs.minutes_24h', 'dora.lead_time_hours.p50', 'ci.flaky_rate_pct'}
