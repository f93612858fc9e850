"""Wrong options, in plain words."""

from __future__ import annotations

import pytest

from metta_checks.testing import Driver

GITHUB = {'source': 'github', 'token': 'x', 'repositories': ['o/r']}
KUBERNETES = {'source': 'kubernetes'}


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'repositories': 'o/r'}, 'option `repositories` must be a list, such as ["o/r"]'),
        ({'repositories': {'o': 'r'}}, 'option `repositories` must be a list, one value per line, each after `- `'),
        ({'repositories': ['o/r', 3]}, 'option `repositories[2]` must be a text: write it in quotes'),
        ({'token': 12}, 'option `token` must be a text: write it in quotes'),
        ({'token': ['a']}, 'option `token` must be one text'),
        ({'max_repositories': 'many'}, 'option `max_repositories` must be a whole number; it is "many"'),
        ({'timeout': 'long'}, 'option `timeout` must be a number; it is "long"'),
        ({'tls_verify': 'maybe'}, 'option `tls_verify` must be true or false; it is "maybe"'),
        ({'workflow_timeouts': 60}, 'option `workflow_timeouts` must be a mapping: one `key: value` per line below it'),
        ({'shard': {'index': 0, 'cuont': 3}}, 'option `shard` is wrong: unknown: cuont'),
        ({'tags': 'env:prod'}, 'option `tags` must be a list'),
    ],
)
def test_a_refused_value(options, words):
    run = Driver({**GITHUB, **options}).run()
    assert words in run.error
    assert 'Input should' not in run.error
    assert '\n' not in run.error


def test_choices_sections_and_missing_options():
    error = Driver({'source': 'asana', 'access_token': 'x', 'cycle_time_basis': 'begun'}).run().error
    assert 'option `workspace_gid` is missing' in error
    assert "option `cycle_time_basis` must be one of 'created' or 'started'; it is \"begun\"" in error
    error = Driver({**KUBERNETES, 'thresholds': {'high_restarts': 'x'}}).run().error
    assert 'option `thresholds.high_restarts` must be a whole number; it is "x"' in error


def test_the_value_of_a_text_is_not_shown():
    error = Driver({**GITHUB, 'token': 123456789}).run().error
    assert 'option `token`' in error
    assert '123456789' not in error


@pytest.mark.parametrize(
    ('options', 'lines'),
    [
        ({}, []),
        ({'repositries': []}, ['there is no option `repositries`; did you mean `repositories`?']),
        ({'Token': 'x'}, ['there is no option `Token`; did you mean `token`?']),
        ({'colour': 'red'}, ['there is no option `colour`; nothing reads it']),
        ({'shard': {'indx': 0}}, ['there is no option `shard.indx`; did you mean `shard.index`?']),
        # The keys of these are chosen by the user, or the Agent reads them.
        ({'workflow_timeouts': {'any': 3}, 'name': 'n', 'tls_validate_hostname': True}, []),
    ],
)
def test_options_that_nothing_reads(options, lines):
    driver = Driver({**GITHUB, **options})
    assert driver.check.unknown_options() == lines
    found = [one for one in driver.check.findings() if one.name == 'options']
    assert [(one.status, one.message) for one in found] == [('warning', line) for line in lines]
