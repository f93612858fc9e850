"""Tags that AWS tells apart and Datadog takes for one."""

from __future__ import annotations

import pytest

from metta_checks.testing import Driver

from ..case import case

OFF = {'idle': {'source': 'off'}}


@case('A', 'https://github.com/prometheus/cloudwatch_exporter/issues/774')
@pytest.mark.parametrize('keys', [['team', 'Team'], ['cost-center', 'cost center'], ['a:b', 'a/b']])
def test_keys_that_datadog_takes_for_one(account, keys):
    """Keys that Datadog takes for one.

    Option `tag_by` names two keys that AWS distinguishes, and whose metrics and tags have one name in Datadog.

    Right: The configuration is refused, with both keys in the message. Before, the series of both keys were mixed up.

    Unchanged: Each key alone is accepted.
    """
    run = Driver.of(account.service, tag_by=keys, **OFF).run()
    assert f'option `tag_by`: Datadog cannot tell the keys {keys[0]!r} and {keys[1]!r} apart' in run.error
    assert account.service.asked == []
    for key in keys:
        assert Driver.of(account.service, tag_by=[key], **OFF).run().errors() == {}


@case('A', 'https://docs.datadoghq.com/getting_started/tagging/')
def test_a_key_with_letters_beyond_ascii(account):
    """A key with letters beyond ASCII.

    Instances have the tag `Équipe`. Datadog keeps letters of any script in tags, and only ASCII in names of metrics.

    Right: The tag key is `équipe`; the name of the metric ends with `quipe`.

    Unchanged: The value is lowered.
    """
    account.machine(tags={'Équipe': 'Données'})
    run = Driver.of(account.service, tag_by=['Équipe'], **OFF).run()
    assert run.value('metta.ec2.cost.by_tag_hourly_usd.quipe', 'équipe:données') == pytest.approx(0.096)


@case('A', 'https://docs.datadoghq.com/metrics/custom_metrics/')
@pytest.mark.parametrize('key', ['部署', '---', '2024'])
def test_a_key_without_a_letter(account, key):
    """A key without a letter.

    No letter of the key can be part of the name of a metric.

    Right: The configuration is refused; the check does not fail in the middle of a refresh.

    Unchanged: The message shows the key.
    """
    run = Driver.of(account.service, tag_by=[key], **OFF).run()
    assert f'option `tag_by`: the key {key!r} has no Latin letter' in run.error
    assert account.service.asked == []


@case('A', 'https://docs.datadoghq.com/getting_started/tagging/')
def test_values_that_datadog_takes_for_one(account):
    """Values that Datadog takes for one.

    Three instances belong to the teams `Data Science`, `data_science` and `data  science`.

    Right: One series with the sum; two series under one name would overwrite each other.

    Unchanged: `data-science` is another value, since Datadog keeps the hyphen.
    """
    for team in ('Data Science', 'data_science', 'data  science', 'data-science'):
        account.machine(team=team)
    run = Driver.of(account.service, tag_by=['team'], **OFF).run()
    name = 'metta.ec2.cost.by_tag_hourly_usd.team'
    assert run.value(name, 'team:data_science') == pytest.approx(3 * 0.096)
    assert run.value(name, 'team:data-science') == pytest.approx(0.096)


@case('C', 'https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html')
def test_the_untagged_share_of_costs(account):
    """The untagged share of costs.

    A g5.xlarge belongs to team `play`, another one to a team with an empty name. A volume of 50 GiB has the tag.

    Right: Half of the cost is untagged. Tags split GPUs, idle instances and volumes as they split the cost.

    Unchanged: The parts by tag add up to the estimate.
    """
    account.machine('g5.xlarge', team='play', load='idle')
    account.machine('g5.xlarge', load='idle')
    account.disk(50, tags={'team': 'play'})
    run = Driver.of(account.service, tag_by=['team']).run()
    assert run.value('metta.ec2.cost.untagged_pct.team') == pytest.approx(50)
    for name, value in (
        ('gpus.by_tag.team', 1),
        ('cost.by_tag_hourly_usd.team', 1.006),
        ('cost.idle_by_tag_hourly_usd.team', 1.006),
        ('cost.ebs_by_tag_monthly_usd.team', 4),
    ):
        assert run.value(f'metta.ec2.{name}', 'team:play') == pytest.approx(value)
    parts = run.series('metta.ec2.cost.by_tag_hourly_usd.team').values()
    assert sum(parts) == pytest.approx(run.require('metta.ec2.cost.running_hourly_estimate'))


@case('J', 'https://docs.datadoghq.com/account_management/billing/custom_metrics/', guard=True)
def test_more_values_than_a_tag_may_have(account):
    """More values than a tag may have.

    150 people have an instance each, with their name in the tag `owner`. Datadog bills each value as a custom metric,
    so 50 of them have a series.

    Right: The others are in one series `owner:other`, so that the sum is the price of all 150 instances.

    Unchanged: `cost.running_hourly_estimate` is 14.40 USD.
    """
    for number in range(150):
        account.machine(tags={'owner': f'person-{number}'})
    run = Driver.of(account.service, tag_by=['owner'], **OFF).run()
    name = 'metta.ec2.cost.by_tag_hourly_usd.owner'
    assert len(run.series(name)) == 51
    assert sum(run.series(name).values()) == pytest.approx(150 * 0.096)
    assert run.value(name, 'owner:other') == pytest.approx(100 * 0.096)
    assert run.value('metta.ec2.cost.running_hourly_estimate') == pytest.approx(150 * 0.096)
