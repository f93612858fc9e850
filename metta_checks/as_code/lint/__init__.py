"""Lint of dashboards, monitors and SLOs: `lint(assets)` returns the findings, without a network.

Rules: SCHEMA (documents that the API accepts), MC01 to MC16 (queries, layout, thresholds, windows, messages, sums),
DG01 to DG12 (Datadog's guidelines for integration dashboards). A rule is a function with a docstring; `RULES` lists
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from metta_checks.as_code.asset import Asset
from metta_checks.as_code.declared import Declared, declared

from . import (
    agreement,
    format,
    layout,
    messages,
    monitors,
    queries,
    refusals,
    service_checks,
    slos,
    stacking,
    structure,
    style,
    sums,
    variables,
    windows,
)
from .findings import RULES, LintFinding, Rule
from .selection import Profile, Selection
from .thresholds import Thresholds
from .view import View
from .waivers import Waiver, WaiverError, load_waivers, waive

__all__ = [
    'RULES',
    'LintFinding',
    'Profile',
    'Rule',
    'Selection',
    'Waiver',
    'WaiverError',
    'lint',
    'load_waivers',
    'rules',
]

COVERAGE = 'MC11'
ALL = Selection()
LEVELS = ('error', 'warning', 'info')
# Descriptions of the rules that are not functions of one asset.
OTHER_RULES = {
    COVERAGE: 'Metrics of the catalogs that no asset shows, for information.',
    'WAIVER': 'Waivers that accept nothing.',
}
_MODULES = (
    *(format, refusals, queries, layout, variables, structure, style, agreement),
    *(monitors, messages, service_checks, slos, stacking, sums, windows),
)


def rules() -> dict[str, str]:
    """Return every rule with its requirement."""
    found: dict[str, str] = {}
    for rule in RULES:
        found[rule.id] = f'{found[rule.id]} {rule.description}' if rule.id in found else rule.description
    return dict(sorted((found | OTHER_RULES).items()))


def lint(
    assets: Sequence[Asset],
    catalogs: Mapping[str, Declared] | None = None,
    *,
    waivers: Sequence[Waiver] = (),
    complete: bool = True,
    selection: Selection = ALL,
) -> list[LintFinding]:
    """Return the findings about the assets, most severe first within each asset.

    `catalogs` are the metrics that queries may name (default: those of all sources). `complete` says that these are all
    assets, so that unused metrics and unused waivers can be reported. With the profile `datadog`, metrics must be in a
    catalog only if their namespace is (`metta` of `metta.github.prs.open`).
    """
    known = declared() if catalogs is None else catalogs
    thresholds = agreement.gather(View(asset, known, Thresholds()) for asset in assets)
    anybody = selection.profile is Profile.DATADOG
    covered = {name.partition('.')[0] for name in known} if anybody else None
    views = [View(asset, known, thresholds, assets, covered=covered) for asset in assets]
    findings = [one for view in views for one in sorted(_findings(view, selection), key=_order)]
    # Two rules may share an id, of which a profile takes one: its waivers may be for the other one.
    partial = {rule.id for rule in RULES if not selection.takes(rule)}
    kept = waive(findings, [one for one in waivers if selection.takes_id(one.rule)], partial)
    if not complete:
        return [one for one in kept if one.rule != 'WAIVER']
    return [*kept, *(_coverage(views, known) if selection.takes_id(COVERAGE) and not anybody else ())]


def _order(finding: LintFinding) -> int:
    return LEVELS.index(finding.level)


def _findings(view: View, selection: Selection) -> Iterator[LintFinding]:
    asset = view.asset
    for rule in RULES:
        if view.kind in rule.kinds and selection.takes(rule):
            for one in rule.check(view):
                title = view.title_at(one.path) if view.kind == 'dashboard' else asset.title
                level = one.level or rule.level
                yield LintFinding(level, rule.id, asset.name, asset.file, one.path, one.message, title)


def _coverage(views: Sequence[View], catalogs: Mapping[str, Declared]) -> Iterator[LintFinding]:
    shown = {metric for view in views for request in view.requests for metric in request.metrics}
    missing: dict[str, list[str]] = {}
    for name, metric in catalogs.items():
        if name not in shown:
            missing.setdefault(metric.source, []).append(name)
    for source, names in sorted(missing.items()):
        total = sum(metric.source == source for metric in catalogs.values())
        message = f'{source}: {len(names)} of {total} metrics are not shown by any asset: {", ".join(names)}'
        yield LintFinding('info', COVERAGE, '', '', '', message)
