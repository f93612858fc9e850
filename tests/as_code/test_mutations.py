"""Every seeded mutation of the project's own assets is caught, by the right rule at the right place."""

from __future__ import annotations

from functools import cache

import pytest

from metta_checks.as_code.asset import Asset, load
from metta_checks.as_code.lint import RULES, LintFinding, lint
from tests.as_code.mutations import MUTATIONS, Mutation
from tests.as_code.test_lint import ASSETS

SHIPPED = {asset.name: asset for asset in load(ASSETS)}


def findings(asset: Asset) -> list[LintFinding]:
    """Return the findings about one asset beside the monitors and SLOs of the project."""
    others = [one for one in SHIPPED.values() if one.kind != 'dashboard' and one.name != asset.name]
    return [one for one in lint([asset, *others], complete=False) if one.asset == asset.name]


@cache
def before(name: str) -> frozenset[tuple[str, str, str]]:
    return frozenset((one.rule, one.path, one.message) for one in findings(SHIPPED[name]))


@pytest.mark.parametrize('mutation', MUTATIONS, ids=lambda one: one.name.replace(' ', '_'))
def test_caught(mutation: Mutation):
    original = SHIPPED[mutation.asset]
    changed, path = mutation.apply(original)
    # Not with ==, for which 12 and 12.0, 1 and True are equal.
    assert repr(changed.document) != repr(original.document)
    new = {(one.rule, one.path, one.message) for one in findings(changed)} - before(mutation.asset)
    assert (mutation.rule, path) in {(rule, place) for rule, place, _ in new}, sorted(new)


def test_there_are_enough_and_none_is_given_twice():
    assert len(MUTATIONS) >= 120
    assert len({one.name for one in MUTATIONS}) == len(MUTATIONS)


def test_every_rule_is_put_to_the_test():
    assert {rule.id for rule in RULES} == {one.rule for one in MUTATIONS}
