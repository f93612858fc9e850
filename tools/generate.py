"""Write every generated file: `python -m tools.generate`; with `--check`, list outdated files and exit with 1.

Sources of truth: assets/configuration/spec.yaml (conf.d examples, config models), the metrics.yaml files (metadata.csv,
docs/metrics, dashboards/lib/catalog.libsonnet), tools/glossary.yaml (docs/glossary.md), the docstrings of modules
(docs/modules.md), the types of stored states (docs/stored.md), metta_checks/cli/examples.py (docs/command-line.md),
tests/field (docs/field-cases.md), dashboards/ (assets/dashboards, monitors, slos, their lists in manifest.json), and
the Datadog client's models (metta_checks/as_code/schema.json).
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from datadog_checks.dev.tooling.configuration import ConfigSpec
from datadog_checks.dev.tooling.configuration.consumers import ExampleConsumer, ModelConsumer
from datadog_checks.dev.tooling.constants import set_root

from datadog_checks.metta_checks import __version__
from metta_checks.check import SOURCES
from metta_checks.core import catalog
from metta_checks.core.catalog import HISTOGRAM_SERIES, Catalog, Metric, Tag

from . import (
    api_schema,
    assets,
    block_table,
    examples_page,
    field_page,
    glossary,
    jsonnet_catalog,
    module_page,
    stored_page,
)

ROOT = Path(__file__).resolve().parent.parent
SPEC = ROOT / 'assets' / 'configuration' / 'spec.yaml'
INTEGRATION = 'metta_checks'
TITLES = {
    'collector': 'Self-metrics',
    'asana': 'Asana',
    'ec2': 'EC2',
    'github': 'GitHub',
    'kubernetes': 'Kubernetes',
    'skypilot': 'SkyPilot',
    'wandb': 'Weights & Biases',
}
TAGS = (
    'A limit holds for each subject (repository, project), otherwise for the instance. Figures beyond it are shown '
    'under the value `other`, see [conventions](../metric-conventions.md#tags).'
)
# The toolkit's models ask for a check that the base package of the oldest supported Agent does not have.
SECURE_CHECK = 'if info.field_name in SECURE_FIELD_NAMES:'
GUARDED_SECURE_CHECK = "if info.field_name in SECURE_FIELD_NAMES and hasattr(validation, 'security'):"
# An option that is set to null takes its default, as one that is not set.
CONFIGURED_CHECK = "if field_name in info.context['configured_fields']:"
GUARDED_CONFIGURED_CHECK = "if value is not None and field_name in info.context['configured_fields']:"
OPTIONAL_FIELD = re.compile(r'^    (\w+): Optional\[(.*)\] = ', re.MULTILINE)
# Text, or text and errors, by the name of the module.
Modules = dict[str, tuple[str, list[str]]]
METADATA_COLUMNS = (
    'metric_name',
    'metric_type',
    'interval',
    'unit_name',
    'per_unit_name',
    'description',
    'orientation',
    'integration',
    'short_name',
    'curated_metric',
    'sample_tags',
)


class GenerationError(Exception):
    """A source of truth is invalid; the message names the location."""


def generated() -> Iterator[tuple[Path, str]]:
    """Every generated file with its text."""
    # Location of the ruff settings for the toolkit; by default it depends on the toolkit's own location.
    set_root(str(ROOT))
    yield from _examples()
    yield from _models()
    catalogs = [catalog.load(source) for source in ('collector', *SOURCES)]
    yield ROOT / 'metadata.csv', metadata(catalogs)
    yield from jsonnet_catalog.generated(ROOT)
    yield from api_schema.generated()
    for source_catalog in catalogs:
        yield ROOT / 'docs' / 'metrics' / f'{source_catalog.source}.md', metric_page(source_catalog)
    yield ROOT / stored_page.TARGET, stored_page.page(TITLES)
    yield ROOT / examples_page.TARGET, examples_page.page(ROOT)
    yield ROOT / field_page.TARGET, field_page.page(ROOT, TITLES)
    yield ROOT / module_page.TARGET, module_page.page(ROOT, TITLES)
    yield ROOT / glossary.TARGET, glossary.page(glossary.load(), TITLES)
    # Last: Jsonnet reads the catalog that was written above.
    yield from assets.generated(ROOT)


def _spec() -> dict[str, Any]:
    spec = ConfigSpec(SPEC.read_text(encoding='utf-8'), source=INTEGRATION, version=__version__)
    spec.load()
    if spec.errors or not spec.data:
        raise GenerationError('\n'.join(spec.errors) or f'{SPEC} is empty')
    return spec.data


def _checked(text: str, errors: list[str]) -> str:
    if errors:
        raise GenerationError('\n'.join(errors))
    return text.rstrip('\n') + '\n'


def _examples() -> Iterator[tuple[Path, str]]:
    for name, (text, errors) in ExampleConsumer(_spec()).render().items():
        yield ROOT / 'conf.d' / f'{INTEGRATION}.d' / name, _checked(text, errors)


def _models() -> Iterator[tuple[Path, str]]:
    # A separate spec: ModelConsumer changes its input.
    rendered = cast('dict[str, Modules]', ModelConsumer(_spec()).render())
    for file_name, modules in rendered.items():
        directory = ROOT / 'metta_checks' / file_name.removesuffix('.yaml') / 'config_models'
        for module, (text, errors) in modules.items():
            path = directory / module
            # Once created, validators.py is edited by hand.
            if module == 'validators.py' and path.exists():
                continue
            checked = _checked(text, errors).replace(SECURE_CHECK, GUARDED_SECURE_CHECK)
            if module == 'instance.py':
                checked = _never_none(checked.replace(CONFIGURED_CHECK, GUARDED_CONFIGURED_CHECK), modules)
            yield path, checked


def _never_none(model: str, modules: Modules) -> str:
    """Return the model of an instance without `Optional` for fields that have a default."""
    defaults = modules['defaults.py'][0]
    head, start, instance = model.partition('class InstanceConfig(')

    def narrowed(field: re.Match[str]) -> str:
        has_default = f'def instance_{field[1]}()' in defaults
        return f'    {field[1]}: {field[2]} = ' if has_default else field[0]

    return head + start + OPTIONAL_FIELD.sub(narrowed, instance)


def metadata(catalogs: list[Catalog]) -> str:
    """Return metadata.csv, sorted by name, without names that the configuration completes (`*`)."""
    rows = [
        row
        for source_catalog in catalogs
        for metric in source_catalog.metrics
        if '*' not in metric.name
        for row in _metadata_rows(source_catalog, metric)
    ]
    output = io.StringIO()
    writer = csv.writer(output, lineterminator='\n')
    writer.writerow(METADATA_COLUMNS)
    writer.writerows(sorted(rows))
    return output.getvalue()


def _metadata_rows(source_catalog: Catalog, metric: Metric) -> Iterator[tuple[str, ...]]:
    name = source_catalog.full_name(metric.name)
    tags = ','.join((*source_catalog.base_tags, *(tag for tag in metric.tags if tag != '*')))
    series = HISTOGRAM_SERIES.items() if metric.type == 'histogram' else (('', metric.type),)
    for suffix, kind in series:
        rate = suffix == 'count'
        yield (
            f'{name}.{suffix}' if suffix else name,
            kind,
            '',
            '' if rate else metric.unit,
            '' if rate else metric.per_unit,
            ' '.join(metric.description.split()),
            str(metric.orientation),
            INTEGRATION,
            metric.short_name or metric.name.replace('_', ' ').replace('.', ' '),
            '',
            tags,
        )


def metric_page(source_catalog: Catalog) -> str:
    """Return the catalog of a source as a Markdown page."""
    base_tags = ', '.join(f'`{tag}`' for tag in source_catalog.base_tags) or 'none'
    name = TITLES[source_catalog.source]
    title = f'{name} metrics' if source_catalog.source in SOURCES else name
    lines = [
        f'# {title}',
        '',
        f'<!-- Generated from {_metrics_yaml(source_catalog)}; do not edit. -->',
        '',
        f'All names begin with `{source_catalog.prefix}`. Base tags: {base_tags}, and the tags of the instance.',
        '',
    ]
    descriptions = [metric.description for metric in source_catalog.metrics]
    if terms := glossary.links(glossary.load(), source_catalog.source, descriptions):
        lines += [f'Terms with a special meaning: {terms}.', '']
    if source_catalog.source in SOURCES:
        lines += ['## Blocks', '', 'The check reads the blocks in this order. If one fails, the others go on.', '']
        lines += [*block_table.lines(source_catalog.source), '']
    lines += ['## Tags', '', TAGS, '', '| tag | meaning | values |', '|' + ' --- |' * 3]
    lines += [_tag_row(tag) for tag in source_catalog.tags.values()]
    lines.append('')
    blocks = dict.fromkeys(metric.block for metric in source_catalog.metrics)
    for block in blocks:
        lines += [f'## Block `{block}`', '', '| name | type | unit | better | tags | definition |', '|' + ' --- |' * 6]
        lines += [_metric_row(metric) for metric in source_catalog.metrics if metric.block == block]
        lines.append('')
    return '\n'.join(lines)


def _metrics_yaml(source_catalog: Catalog) -> str:
    package = 'core' if source_catalog.source == 'collector' else source_catalog.source
    return f'metta_checks/{package}/metrics.yaml'


def _tag_row(tag: Tag) -> str:
    key = 'tags of option `tag_by`' if tag.key == '*' else f'`{tag.key}`'
    bounds = [', '.join(f'`{value}`' for value in tag.values)]
    if tag.limit:
        bounds.append(f'at most {tag.limit}{" others" if tag.values else ""}, then `other`')
    if tag.option:
        bounds.append(f'limited by option `{tag.option}`')
    if tag.one_per:
        bounds.append(f'one for each {tag.one_per}')
    if tag.overlapping:
        bounds.append('a thing may have several: do not add up over this tag')
    return f'| {key} | {tag.description} | {"; ".join(filter(None, bounds))} |'


def _metric_row(metric: Metric) -> str:
    unit = f'{metric.unit} per {metric.per_unit}' if metric.per_unit else metric.unit
    better = {1: 'higher', -1: 'lower', 0: ''}[metric.orientation]
    tags = ', '.join(f'`{tag}`' for tag in metric.tags)
    option = f' Only with option `{metric.option}`.' if metric.option else ''
    description = ' '.join(metric.description.split()) + option
    kind = f'{metric.type} (sum)' if metric.additive else metric.type
    cells = (f'`{metric.name}`', kind, unit, better, tags, description)
    return f'| {" | ".join(cell.replace("|", "/") for cell in cells)} |'


def out_of_step() -> list[Path]:
    """Return the generated files that are out of date, relative to the project."""
    return [
        path.relative_to(ROOT)
        for path, text in generated()
        if not path.exists() or path.read_text(encoding='utf-8') != text
    ]


def main(arguments: list[str]) -> int:
    """Write the files, or compare them with `--check`; return the exit code."""
    try:
        if arguments == ['--check']:
            stale = out_of_step()
            for path in stale:
                print(f'out of date: {path} (run `make generate`)')
            return 1 if stale else 0
        for path, text in generated():
            if not path.exists() or path.read_text(encoding='utf-8') != text:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding='utf-8')
                print(f'written: {path.relative_to(ROOT)}')
    except (GenerationError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
