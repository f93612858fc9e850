"""Names of sections, which people choose and change freely."""

from __future__ import annotations

import unicodedata
from datetime import timedelta

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Driver

from ..case import case

BUGS = 'metta.asana.projects.bugs.'
IN_PROGRESS = 'metta.asana.wip.count'


def put(asana, *sections):
    """Create one open bug in each of these sections of the Bugs project."""
    asana.workspace.projects[asana.bugs_project].sections = sections
    for section in sections:
        asana.create_task({asana.bugs_project: section})


def counts(run):
    return {kind: run.value(f'{BUGS}{kind}_count') for kind in ('triage', 'active', 'backlog', 'other')}


@case('A', 'https://forum.asana.com/t/add-a-not-started-project-status/1048258')
@pytest.mark.parametrize('section', ['Not active', 'Non-active', 'In-active', 'No longer active', "Isn't active"])
def test_negated(asana, section):
    """A section whose name negates the word.

    A Bugs project has the sections "Active" and "Not active" (or "Non-active", "In-active", "No longer active",
    "Isn't active"), with one open bug each.

    Right: `projects.bugs.active_count` is 1 and `projects.bugs.other_count` is 1. The word "active" is in both
    names, but a reader understands the second one as its opposite.

    Unchanged: `projects.bugs.total_open` is 2, and the four counts add up to it.
    """
    put(asana, 'Active', section)
    run = Driver.of(asana).run()
    assert counts(run) == {'triage': 0, 'active': 1, 'backlog': 0, 'other': 1}
    assert run.value(f'{BUGS}total_open') == 2


@case('A', guard=True)
@pytest.mark.parametrize(
    'section', ['In active development', 'Not started / active', 'Now active', 'Active, not triaged']
)
def test_not_negated(asana, section):
    """A negation that belongs to another word.

    The only section with bugs is called "In active development", "Not started / active", "Now active" or
    "Active, not triaged".

    Right: `projects.bugs.active_count` is 1: no word in these names reverses "active".

    Unchanged: `projects.bugs.other_count` is 0.
    """
    put(asana, section)
    assert counts(Driver.of(asana, section_map={'active': ['active']}).run())['active'] == 1


@case('A', 'https://github.com/uewepuep/FPVTracksideCore/pull/75')
@pytest.mark.parametrize('form', ['NFC', 'NFD'])
def test_decomposed(asana, form):
    """A name in decomposed Unicode.

    `section_map` says `active: [prüfung]`, typed on one computer. The section "Prüfung" was typed on another
    one, whose "ü" consists of two characters: "u" and a combining diaeresis.

    Right: `projects.bugs.active_count` is 1: both names look the same on every screen.

    Unchanged: A section "Prufung", without the diaeresis, is another name and counts in
    `projects.bugs.other_count`.
    """
    put(asana, unicodedata.normalize(form, 'Prüfung'), 'Prufung')
    assert counts(Driver.of(asana, section_map={'active': ['prüfung']}).run()) == {
        'triage': 0, 'active': 1, 'backlog': 0, 'other': 1,
    }  # fmt: skip


@case('A', 'https://github.com/breferrari/obsidian-mind/issues/11')
@pytest.mark.parametrize('section', ['対応中Active', 'Active対応中', 'Active1️⃣', '\uff21\uff23\uff34\uff29\uff36\uff25'])
def test_beside_other_scripts(asana, section):
    """A word that touches Japanese text or an emoji.

    A section is called "対応中Active", "Active対応中", "Active" with the emoji of a boxed 1, or "Active" in
    full-width letters. Japanese and Chinese are written without spaces, and in Unicode their characters are
    letters.

    Right: `projects.bugs.active_count` is 1: a reader sees the word "Active" in each of them.

    Unchanged: "Interactive" is a longer word of the same script and counts in `projects.bugs.other_count`.
    """
    put(asana, section, 'Interactive')
    assert counts(Driver.of(asana).run()) == {'triage': 0, 'active': 1, 'backlog': 0, 'other': 1}


@case('A', 'https://github.com/vi3k6i5/flashtext/issues/113')
def test_words_of_scripts_without_spaces(asana):
    """A word of a script without spaces.

    `section_map` says `active: [进行中]` ("in progress"). The sections are "🔧进行中的缺陷" ("defects in progress") and
    "未进行中" ("not in progress").

    Right: `projects.bugs.active_count` is 1, and the negated section counts in `projects.bugs.other_count`.

    Unchanged: `projects.bugs.total_open` is 2.
    """
    put(asana, '🔧进行中的缺陷', '未进行中')
    run = Driver.of(asana, section_map={'active': ['进行中']}).run()
    assert counts(run) == {'triage': 0, 'active': 1, 'backlog': 0, 'other': 1}
    assert run.value(f'{BUGS}total_open') == 2


@case('A', 'https://github.com/reviewpad/reviewpad/issues/344')
@pytest.mark.parametrize('section', ['In Progress 🚧', 'In  progress ', 'In-progress', 'IN PROGRESS'])
def test_started_sections_by_words(asana, section):
    """A started section with an emoji, a hyphen or two spaces.

    `started_sections` says `[In progress]`. Somebody renames the section to "In Progress 🚧", "In progress " or
    "In-progress". One open task is in it, another one in "Not in progress".

    Right: `wip.count` is 1: `started_sections` compares words, as `section_map` does.

    Unchanged: `tasks.open` is 2, and there is no warning.
    """
    board = asana.create_project('Evals', [section, 'Not in progress']).gid
    asana.create_task({board: section})
    asana.create_task({board: 'Not in progress'})
    run = Driver.of(asana, started_sections=['In progress']).run()
    assert (run.value(IN_PROGRESS), run.value('metta.asana.tasks.open')) == (1, 2)
    assert run.warnings == []


@case('A', 'https://github.com/logos-messaging/logos-delivery/pull/666')
def test_entry_from_a_story_by_words(asana):
    """The history of a task names the section as it was called then.

    `use_stories` is on and `started_sections` says `[In progress]`. A task entered "In Progress 🚧" four hours
    before its completion, eight hours after its creation.

    Right: `cycle_time.avg_hours` with `basis:started` is 4: the time from the entry to the completion.

    Unchanged: `lead_time.p85_hours` is 12: from the creation to the completion.
    """
    now = asana.clock.now()
    board = asana.create_project('Evals', ['To do', 'In Progress 🚧', 'Done']).gid
    task = asana.create_task({board: 'To do'}, created_at=now - timedelta(hours=12))
    asana.workspace.place(task, board, 'In Progress 🚧', now - timedelta(hours=4))
    asana.complete_task(task)
    options = {'started_sections': ['In progress'], 'use_stories': True, 'cycle_time_basis': 'started'}
    run = Driver.of(asana, **options).run()
    assert run.value('metta.asana.cycle_time.avg_hours', 'basis:started') == 4
    assert run.value('metta.asana.lead_time.p85_hours') == 12


@case('C', 'https://github.com/logos-messaging/logos-delivery/pull/666')
def test_a_map_that_matches_nothing(asana):
    """A section map that matches nothing.

    The Bugs project has the sections "New" and "Doing", with one open bug each, and `section_map` is not set.

    Right: The service check is WARNING and names both sections. The counts of triage, active and backlog are 0,
    which is true of the map, but nobody meant it.

    Unchanged: `projects.bugs.other_count` is 2.
    """
    put(asana, 'New', 'Doing')
    run = Driver.of(asana).run()
    assert run.status == AgentCheck.WARNING
    assert 'option `section_map` matches no section of the Bugs project' in run.message
    assert '"Doing", "New"' in run.message
    assert counts(run)['other'] == 2


@case('C', 'https://github.com/NangoHQ/integration-templates/pull/457')
@pytest.mark.parametrize('refused', [False, True])
def test_a_map_whose_sections_are_empty(asana, refused):
    """A section map whose sections are empty at the moment.

    All open bugs are in "Parked". The section "Active" exists and is empty. On some plans, Asana refuses the
    list of sections.

    Right: There is no warning, since the map matches a section of the project. If Asana refuses the list of
    sections, the sections of the bugs are the only ones known, and the warning names "Parked".

    Unchanged: `projects.bugs.other_count` is 1, and no other block fails.
    """
    put(asana, 'Parked')
    asana.workspace.projects[asana.bugs_project].sections = ('Active', 'Parked')
    if refused:
        asana.faults.add('status', status=402, path='*/sections')
    run = Driver.of(asana).run()
    assert bool(run.warnings) == refused
    assert '"Parked"' in run.message or not refused
    assert counts(run)['other'] == 1


@case('C', 'https://github.com/mbta/skate/pull/2995')
def test_started_sections_that_match_nothing(asana):
    """Started sections that match nothing.

    `started_sections` says `[Doing]`. Two open tasks are in "To do" and "Review".

    Right: The service check is WARNING and names the sections that tasks are in. `wip.count` is 0.

    Unchanged: `tasks.open` is 2.
    """
    board = asana.create_project('Evals', ['To do', 'Review']).gid
    for section in ('To do', 'Review'):
        asana.create_task({board: section})
    run = Driver.of(asana, started_sections=['Doing']).run()
    assert run.status == AgentCheck.WARNING
    assert (
        'option `started_sections` matches no section with tasks; sections with tasks are: "Review", "To do"'
        in run.message
    )
    assert (run.value(IN_PROGRESS), run.value('metta.asana.tasks.open')) == (0, 2)
