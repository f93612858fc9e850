"""Section names, and configurations that are refused."""

from __future__ import annotations

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.asana.settings import SECTIONS, SectionMap, allowance
from metta_checks.testing import Clock, Driver

from .rows import NOW

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ('section', 'kind'),
    [
        ('Active', 'active'),
        ('ACTIVE BUGS', 'active'),
        ('Bugs (active)', 'active'),
        ('active_now', 'active'),
        ('Inactive - parked', None),
        ('Interactive', None),
        ('Activities', None),
        ('Triage', 'triage'),
        ('Backlog: active soon', 'active'),
        ('Triage / active', 'triage'),
        ('', None),
        (None, None),
    ],
)
def test_sections_match_whole_words_and_the_first_kind_wins(section, kind):
    assert SectionMap({kind: (kind,) for kind in SECTIONS})(section) == kind


def test_words_of_the_user():
    section_of = SectionMap({'triage': ('inbox', 'new bugs'), 'active': ('in progress',), 'backlog': ()})
    assert section_of('Inbox!') == 'triage'
    assert section_of('New   bugs') == 'triage'
    assert section_of('Doing (in progress)') == 'active'
    assert section_of('Backlog') is None
    assert SectionMap({'triage': ('c++ (x)',)})('New C++ (x) bugs') == 'triage'


def test_the_allowance_is_the_plans_share_of_a_minute():
    assert allowance(paid=False, run_seconds=60) == 120
    assert allowance(paid=True, run_seconds=60) == 1200
    # Several runs in a minute share its requests. A run that is more than a minute after the last one gets no more.
    assert allowance(paid=False, run_seconds=15) == 30
    assert allowance(paid=True, run_seconds=900) == 1200


INSTANCE = {'source': 'asana', 'access_token': 'secret-token-123', 'workspace_gid': '17'}


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'access_token': ''}, 'option `access_token` is empty'),
        ({'timezone': 'Middle/Earth'}, "option `timezone`: 'Middle/Earth' is not a time zone that this system knows"),
        ({'section_map': {'aktive': ['x']}}, 'option `section_map`: aktive: only triage, active, backlog are possible'),
        ({'section_map': {'active': [' ']}}, 'option `section_map`: active needs a list of words'),
        ({'cycle_time_basis': 'started'}, 'option `cycle_time_basis: started` needs `started_sections`'),
        ({'use_stories': True}, 'option `use_stories` needs `started_sections`'),
        ({'projects': [str(gid) for gid in range(51)]}, 'option `projects`: 51 projects, at most 50 are possible'),
        ({'cycle_time_basis': 'due'}, 'option `cycle_time_basis`'),
        ({'resync_interval': 5}, 'option `resync_interval`'),
        ({'workspace_gid': None}, 'option `workspace_gid`'),
    ],
)
def test_a_bad_configuration_is_one_line_that_names_the_option(options, message):
    instance = {key: value for key, value in {**INSTANCE, **options}.items() if value is not None}
    run = Driver(instance, clock=Clock(NOW)).run()
    assert message in run.error
    assert '\n' not in run.error
    assert 'secret-token' not in run.error
    assert run.status == AgentCheck.CRITICAL


def test_gids_may_be_numbers():
    driver = Driver({**INSTANCE, 'workspace_gid': 17, 'bugs_project_gid': 18, 'projects': [19, '20']}, clock=Clock(NOW))
    driver.check.run_check_initializations()
    config = driver.check.config
    assert (config.workspace_gid, config.bugs_project_gid, config.projects) == ('17', '18', ('19', '20'))
