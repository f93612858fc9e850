from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from metta_checks.ec2.check import Ec2Check
from metta_checks.ec2.settings import Settings
from metta_checks.testing import Clock, Driver

from .builders import NOW

EXAMPLE = Path(__file__).parents[2] / 'conf.d' / 'metta_checks.d' / 'ec2.yaml.example'


def initialized(instance) -> Ec2Check:
    check = Driver(instance, Clock(NOW)).check
    check.run_check_initializations()
    assert isinstance(check, Ec2Check)
    return check


def configured(**options) -> Settings:
    return initialized({'source': 'ec2', 'regions': ['us-east-1'], **options}).settings


def refused(**options) -> str:
    run = Driver({'source': 'ec2', 'regions': ['us-east-1'], **options}, Clock(NOW)).run()
    assert run.status == 2
    assert '\n' not in run.error
    return run.error


def test_defaults():
    settings = configured()
    assert settings.idle.source == 'cloudwatch'
    assert settings.idle.interval == 6 * 3600
    assert settings.idle.max_instances == 1000
    assert settings.prices.sources == ('api',)
    assert settings.prices.spot is True
    assert settings.max_types == 30
    assert settings.access.endpoint_url is None
    assert settings.access.role_arn is None


def test_a_section_keeps_the_defaults_of_options_that_are_not_set():
    settings = configured(idle={'cpu_max_pct': 2.5}, prices={'spot': False})
    assert settings.idle.cpu_max_pct == 2.5
    assert settings.idle.min_age_hours == 24
    assert settings.prices.spot is False
    assert settings.prices.sources == ('api',)


def test_auto_uses_the_configured_sources_in_order():
    assert configured(prices={'table': {'m5.large': 0.1}, 'file': '/x.csv'}).prices.sources == ('api', 'file', 'table')
    assert configured(prices={'source': 'table', 'table': {'m5.large': 0.1}}).prices.sources == ('table',)


@pytest.mark.parametrize('off', ['off', False])
def test_off_without_quotes_is_off(off):
    assert configured(idle={'source': off}).idle.source == 'off'


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'idle': {'sorce': 'off'}}, 'unknown: sorce'),
        ({'prices': {'sauce': 'api'}}, 'unknown: sauce'),
        ({'idle': {'source': 'guess'}}, "'cloudwatch', 'compute_optimizer' or 'off'"),
        ({'idle': {'interval': 5}}, 'greater than or equal to 60'),
        ({'prices': {'source': 'file'}}, 'option `prices.source: file` needs option `prices.file`'),
        ({'prices': {'source': 'table'}}, 'option `prices.source: table` needs option `prices.table`'),
        ({'prices': {'table': {'m5.large': 0}}}, 'prices must be above 0 (m5.large)'),
        ({'access_key_id': 'some-key'}, '`access_key_id` and `secret_access_key` go together'),
        ({'secret_access_key': 'some-secret'}, '`access_key_id` and `secret_access_key` go together'),
        ({'access_key_id': 'a-key', 'secret_access_key': 'a-secret', 'profile': 'p'}, '`profile` and `access_key_id`'),
        ({'external_id': 'metta'}, 'option `external_id` needs option `role_arn`'),
        ({'profile': 'nobody'}, 'no profile `nobody`; see option `profile` and AWS_PROFILE'),
        ({'regions': 'us-east-1'}, 'regions'),
    ],
)
def test_bad_options_are_described_in_one_line(options, words):
    message = refused(**options)
    assert words in message
    assert 'some-secret' not in message


def test_a_profile_of_the_environment_that_does_not_exist(monkeypatch):
    monkeypatch.setenv('AWS_PROFILE', 'ghost')
    assert 'no profile `ghost`' in refused()


def test_a_broken_configuration_file_of_aws(monkeypatch, tmp_path):
    (tmp_path / 'config').write_text('this is = [no configuration')
    monkeypatch.setenv('AWS_CONFIG_FILE', str(tmp_path / 'config'))
    assert 'the AWS configuration files cannot be read (ConfigParseError)' in refused()


def test_the_example_is_valid():
    document = yaml.safe_load(EXAMPLE.read_text(encoding='utf-8'))
    check = initialized(document['instances'][0])
    assert check.settings.regions == ('us-east-1', 'us-west-2')
    assert type(check.config).__module__ == 'metta_checks.ec2.config_models.instance'


def test_the_stored_snapshot_depends_on_the_account_not_on_the_secret():
    def identity(**options):
        return Driver({'source': 'ec2', **options}, Clock(NOW)).check.persistent_cache_id()

    keys = {'access_key_id': 'key', 'secret_access_key': 'old-secret', 'regions': ['us-east-1']}
    assert identity(**keys) == identity(**{**keys, 'secret_access_key': 'new-secret'})
    assert identity(**keys) != identity(**{**keys, 'access_key_id': 'other'})
    assert identity(role_arn='arn:aws:iam::1:role/x') != identity(role_arn='arn:aws:iam::2:role/x')


@pytest.mark.parametrize(
    ('options', 'label'),
    [
        ({'access_key_id': 'key'}, 'ec2'),
        ({'access_key_id': 'key', 'regions': ['us-east-1', 'us-west-2']}, 'ec2 (us-east-1, us-west-2)'),
        ({'profile': 'prod'}, 'ec2 (prod)'),
    ],
)
def test_the_label_does_not_show_the_key(options, label):
    assert Driver({'source': 'ec2', **options}, Clock(NOW)).check.label == label
