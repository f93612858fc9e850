"""Metric descriptions use words that readers know, or terms that the glossary defines."""

from __future__ import annotations

import pytest

from metta_checks.check import SOURCES
from metta_checks.core import catalog
from tests.docs import pages
from tools import glossary
from tools.glossary import Glossary

pytestmark = pytest.mark.unit

CATALOGS = ('collector', *SOURCES)
SAMPLE = """
terms:
  - {term: Steady container, source: kubernetes, meaning: A container that runs as long as its pod.}
  - {term: Refresh, meaning: A run that reads.}
vendors: {kubernetes: cordoned}
words: a as container its job long of pod read run share that
"""


def descriptions(source: str) -> dict[str, str]:
    """Return the descriptions of a source by the full name of the metric, as they are shown."""
    loaded = catalog.load(source)
    return {loaded.full_name(metric.name): ' '.join(metric.description.split()) for metric in loaded.metrics}


@pytest.mark.parametrize('source', CATALOGS)
def test_descriptions_use_known_words_and_defined_terms(source):
    known = glossary.load()
    found = {name: words for name, text in descriptions(source).items() if (words := known.undefined(source, text))}
    assert found == {}, (
        'tools/glossary.yaml has neither these words nor a term that contains them; use a plainer word, define the '
        'term, or add a word that a reader who does not know this project understands'
    )


def test_meanings_use_known_words_and_defined_terms():
    known = glossary.load()
    assert {term.name: words for term in known.terms if (words := known.undefined(term.source, term.meaning))} == {}


def test_each_term_is_used():
    known = glossary.load()
    paths = {pages.ROOT / name for name in pages.names()} - {pages.ROOT / glossary.TARGET}
    prose = '\n'.join(path.read_text(encoding='utf-8') for path in (*paths, *pages.ROOT.glob('dashboards/*.jsonnet')))
    used = {term.name for source in CATALOGS for term in known.used(source, [*descriptions(source).values(), prose])}
    assert {term.name for term in known.terms} - used == set()


@pytest.mark.parametrize(
    ('text', 'undefined'),
    [
        ('Share of steady containers.', []),
        # The term is defined, the word alone is not.
        ('Share of steady jobs.', ['steady']),
        ('Share of fresh containers that run.', ['fresh']),
        ('Refreshes that read CrashLoopBackOff or a.b_c, option pods.', ['or', 'option']),
        ('Cordoned pods.', []),
        ('Reading pods, running jobs.', []),
    ],
)
def test_a_word_is_known_or_part_of_a_term(text, undefined):
    assert Glossary.parse(SAMPLE).undefined('kubernetes', text) == undefined


def test_a_term_or_a_word_of_a_vendor_counts_for_its_source_only():
    assert Glossary.parse(SAMPLE).undefined('wandb', 'Steady containers of cordoned pods.') == ['steady', 'cordoned']


def test_a_term_is_defined_once():
    with pytest.raises(ValueError, match='refresh'):
        Glossary.parse(SAMPLE.replace('Steady container', 'refresh'))


def test_the_page_and_the_links_lead_to_the_terms():
    known = Glossary.parse(SAMPLE)
    page = glossary.page(known, {'kubernetes': 'Kubernetes', 'wandb': 'Weights & Biases'})
    assert '## All sources\n\n### Refresh\n' in page
    assert '## Kubernetes\n\n### Steady container\n\nA container that runs as long as its pod.\n' in page
    assert 'Weights' not in page
    links = glossary.links(known, 'kubernetes', ['Steady containers per refresh.'])
    assert links == '[Refresh](../glossary.md#refresh), [Steady container](../glossary.md#steady-container)'
