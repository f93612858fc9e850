"""The documentation as a site: its pages, the links out of docs/, and the anchors of metrics."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest
import yaml

from tests.docs.pages import ROOT
from tools import addresses, site_hooks

pytestmark = pytest.mark.unit

REPOSITORY = 'https://git.example/acme/checks'


def rendered(text: str, page: str = 'faq.md') -> str:
    """Return a page of docs/ as MkDocs gets it."""
    return site_hooks.on_page_markdown(
        text, SimpleNamespace(file=SimpleNamespace(src_uri=page)), SimpleNamespace(repo_url=REPOSITORY)
    )


def test_every_page_is_in_the_navigation_once():
    text = (ROOT / 'mkdocs.yml').read_text(encoding='utf-8')
    listed = [page for group in yaml.safe_load(text)['nav'] for pages in group.values() for page in pages]
    assert sorted(listed) == sorted(str(path.relative_to(ROOT / 'docs')) for path in (ROOT / 'docs').rglob('*.md'))


@pytest.mark.parametrize(
    ('page', 'link', 'expected'),
    [
        ('faq.md', '../CONTRIBUTING.md', f'{REPOSITORY}/blob/main/CONTRIBUTING.md'),
        ('faq.md', '../README.md#setup', f'{REPOSITORY}/blob/main/README.md#setup'),
        ('sources/ec2.md', '../../deploy/iam', f'{REPOSITORY}/tree/main/deploy/iam'),
        ('sources/ec2.md', '../faq.md#costs', '../faq.md#costs'),
        ('faq.md', 'secrets.md', 'secrets.md'),
        # A broken link stays, so that the build names it.
        ('faq.md', '../no-such-file.md', '../no-such-file.md'),
    ],
)
def test_links_to_files_outside_lead_to_the_repository(page, link, expected):
    assert rendered(f'See [it]({link}).', page) == f'See [it]({expected}).'


def test_a_fence_keeps_only_its_language():
    assert rendered('```console cluster\nls\n```\n\n  ```yaml\n') == '```console\nls\n```\n\n  ```yaml\n'


@pytest.mark.parametrize('source', sorted(path.stem for path in (ROOT / 'docs' / 'metrics').glob('*.md')))
def test_every_metric_is_a_section_of_the_catalog(source):
    # The search of the site finds sections, and a row of a wide table is cut on a phone.
    page = (ROOT / 'docs' / 'metrics' / f'{source}.md').read_text(encoding='utf-8')
    text = rendered(page, f'metrics/{source}.md')
    names = re.findall(r'^\| `([\w.*]+)` \| (?:gauge|count|rate|histogram)\b', page, re.MULTILINE)
    assert names
    assert re.findall(r'^### `metta\.(\S+)` ', text, re.MULTILINE) == [f'{source}.{name}' for name in names]
    anchors = re.findall(r'{ #(metta\.\S+) ', text)
    assert len(set(anchors)) == len(names)
    assert '| definition |' not in text
    assert rendered(page) == page


def test_a_section_has_the_facts_and_the_definition_of_a_metric():
    table = '| name | type | unit | better | tags | definition |\n| --- | --- | --- | --- | --- | --- |\n'
    rows = '| `runs.stale` | gauge | run | lower |  | Runs that hang. |\n| `cost.*` | gauge |  |  | `team` | Cost. |\n'
    assert rendered(f'{table}{rows}\nMore.\n', 'metrics/wandb.md').split('\n\n') == [
        '### `metta.wandb.runs.stale` { #metta.wandb.runs.stale .metric data-toc-label="runs.stale" }',
        'gauge · run · lower is better\n{ .facts }',
        'Runs that hang.',
        '### `metta.wandb.cost.*` { #metta.wandb.cost.any .metric data-toc-label="cost.*" }',
        'gauge · tags `team`\n{ .facts }',
        'Cost.',
        'More.\n',
    ]


def test_the_cells_of_a_wide_table_name_their_columns():
    table = '<table>\n<tr>\n<th>a</th>\n<th>b <code>x</code></th>\n<th>"c"</th>\n</tr>\n<tr>\n{}\n</tr>\n</table>'
    before = table.format('<td>1</td>\n<td style="text-align: right;">2</td>\n<td></td>')
    cells = (
        '<td data-label="a">1</td>\n<td data-label="b x" style="text-align: right;">2</td>\n'
        '<td data-label="&quot;c&quot;"></td>'
    )
    assert site_hooks.on_page_content(f'<p>{before}</p>') == f'<p><div class="wide">{table.format(cells)}</div></p>'
    narrow = '<table>\n<tr>\n<th>a</th>\n<th>b</th>\n</tr>\n<tr>\n<td>1</td>\n<td>2</td>\n</tr>\n</table>'
    assert site_hooks.on_page_content(narrow) == narrow


def test_long_names_in_tables_can_break():
    before = '<table><tr><td><code>ec2:prs.open_7d. x</code></td></tr></table><code>a.b</code>'
    after = '<table><tr><td><code>ec2:<wbr>prs.<wbr>open_<wbr>7d. x</code></td></tr></table><code>a.b</code>'
    assert site_hooks.on_page_content(before) == after


def test_the_manifest_has_the_addresses_of_pyproject():
    known = addresses.load(ROOT)
    manifest = json.loads((ROOT / 'manifest.json').read_text(encoding='utf-8'))
    assert set(manifest['author'].values()) == {known.author, known.email, known.homepage}


def test_the_site_has_the_addresses_of_pyproject():
    config = site_hooks.on_config(SimpleNamespace())
    known = addresses.load(ROOT)
    assert (config.site_url, config.repo_url) == (known.documentation, known.repository)
    assert known.repository.endswith(f'/{config.repo_name}')
