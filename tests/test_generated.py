"""Generated files are in step with their sources of truth, and the examples are what users should find."""

from __future__ import annotations

import importlib
import re

import pytest
import yaml

from metta_checks.check import SOURCES
from tools import generate

EXAMPLES = generate.ROOT / 'conf.d' / 'metta_checks.d'


def test_every_generated_file_is_in_step():
    assert [str(path) for path in generate.out_of_step()] == []


def test_a_changed_file_would_be_noticed(tmp_path, monkeypatch):
    (path, text), *_ = generate.generated()
    monkeypatch.setattr(generate, 'generated', lambda: iter([(path, text + '\n# edited by hand\n')]))
    assert generate.out_of_step() == [path.relative_to(generate.ROOT)]


def test_nothing_that_nobody_generates_lies_among_the_generated():
    written = {path for path, _ in generate.generated()}
    there = {path for folder in (EXAMPLES, generate.ROOT / 'docs' / 'metrics') for path in folder.iterdir()}
    assert there <= written


@pytest.mark.parametrize('source', SOURCES)
class TestExample:
    def text(self, source: str) -> str:
        return (EXAMPLES / f'{source}.yaml.example').read_text(encoding='utf-8')

    def test_reads_as_a_configuration_that_says_what_matters(self, source):
        document = yaml.safe_load(self.text(source))
        [instance] = document['instances']
        assert instance['source'] == source
        # The Agent's default of 15 s is not ours, and these figures belong to no host.
        assert instance['min_collection_interval'] == 60
        assert instance['empty_default_hostname'] is True

    def test_lines_are_readable(self, source):
        # One line of the toolkit's own template is a character longer than its rule.
        assert max(map(len, self.text(source).splitlines())) <= 121

    def test_secrets_are_not_in_it(self, source):
        assert not re.search(r'(ghp_|github_pat_|AKIA|sky_[a-z0-9]{20})', self.text(source))

    def test_models_are_there(self, source):
        models = importlib.import_module(f'metta_checks.{source}.config_models')
        fields = models.InstanceConfig.model_fields
        assert {'source', 'refresh_interval', 'refresh_timeout', 'tags'} <= fields.keys()


def test_metadata_is_sorted_unique_and_under_the_prefix():
    rows = generate.metadata([generate.catalog.load(source) for source in ('collector', *SOURCES)]).splitlines()[1:]
    names = [row.split(',')[0] for row in rows]
    assert names == sorted(set(names))
    assert all(name.startswith('metta.') for name in names)
