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


def test_every_metric_has_an_anchor():
    page = (ROOT / 'docs' / 'metrics' / 'asana.md').read_text(encoding='utf-8')
    anchors = re.findall(r'{ #(\S+) }', rendered(page, 'metrics/asana.md'))
    assert 'metta.asana.tasks.total' in anchors
    assert len(anchors) == len(set(anchors))
    assert all(anchor.startswith('metta.asana.') for anchor in anchors)
    assert '{ #' not in rendered(page, 'faq.md')


def test_the_manifest_has_the_addresses_of_pyproject():
    known = addresses.load(ROOT)
    manifest = json.loads((ROOT / 'manifest.json').read_text(encoding='utf-8'))
    assert set(manifest['author'].values()) == {known.author, known.email, known.homepage}


def test_the_site_has_the_addresses_of_pyproject():
    config = site_hooks.on_config(SimpleNamespace())
    known = addresses.load(ROOT)
    assert (config.site_url, config.repo_url) == (known.documentation, known.repository)
    assert known.repository.endswith(f'/{config.repo_name}')
