"""A trial of several instances of one account in one process.

Two instances have the same key (nothing in their configuration tells them apart), a third one shows another part or has
other tags. They run in threads of their own, while another thread asks for diagnoses.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from metta_checks.testing import as_truth

from . import together
from .faults import HARMLESS
from .judge import Judge, read_snapshot
from .life import Entry, Outcome
from .once import Once
from .trial import BUDGET, SLACK, SPARED, Kill, Trial

# Runs of a process after which each of two instances with one key has been told about the other.
TOLD_AFTER = 3
# A part of the warning that tells them.
TWIN = 'another instance of this Agent'


@dataclass
class Member:
    """One of the instances."""

    name: str
    instance: Mapping[str, Any]
    judge: Judge
    # Everything that may be counted, for the truth; whether all of it must be.
    once: Once
    is_counted: bool
    snapshot: Mapping[str, Any] = field(default_factory=lambda: read_snapshot(''))
    entries: list[Entry] = field(default_factory=list)
    names: set[str] = field(default_factory=set)


@dataclass
class Crowd(Trial):
    """A trial in which three instances run at the same time. Refreshes of all of them count."""

    target: Callable[[Connection, Path, Any], None] = together.live
    # Runs of the process that is alive.
    age: int = 0

    def _prepare(self, stack: ExitStack) -> None:
        super()._prepare(stack)
        filtered = {**self.instance, **(self.scene.filtered or {'tags': ['crowd:other']})}
        self.members = [
            Member(
                name,
                instance,
                Judge(self.source, self.seed, self.scene, self.intervals),
                Once(self.scene.counted(self.service)),
                is_counted,
            )
            for name, instance, is_counted in (
                ('one', self.instance, False),
                ('twin', self.instance, False),
                # Its counts would be those of a part of the service.
                ('other', filtered, not self.scene.filtered),
            )
        ]
        self.instance = [dict(member.instance) for member in self.members]
        for member in self.members:
            member.judge.tally, member.judge.findings = self.judge.tally, self.judge.findings

    def _end_life(self) -> None:
        super()._end_life()
        self.age = 0

    def _restart(self, outcome: Outcome) -> None:
        # Both begin with the document that one of them wrote last.
        stored = [json.loads(path.read_text()) for path in self._stored()]
        twins = self.members[:2]
        for member in twins:
            if member.snapshot in stored:
                for other in twins:
                    if other is not member:
                        other.once = copy.deepcopy(member.once)
                        other.snapshot = member.snapshot
                        other.judge.take_over(member.judge)
                break
        super()._restart(outcome)

    def _turn(self, *, calm: bool, kill: Kill = SPARED) -> Outcome | None:
        self.number += 1
        outage = not calm and self.dice.random() < self.conditions.outage_share
        self.plan.rate = 0.0 if calm else self.dice.choice(self.conditions.rates)
        self.proxy.refuse(on=outage)
        moment = self._now().timestamp()
        for member in self.members:
            self.scene.prepare(self.service, member.once.looks())
            member.judge.learn(moment, as_truth(self.scene.truth(self.service, self.service.clock.now())))
        before = self.plan.struck.copy()
        joint: Any = self._run(self._now(), kill)
        struck = self.plan.struck - before
        self.judge.tally.runs += 1
        if joint is None:
            return None
        self.age += 1
        self.refreshed = False
        for member, outcome, snapshot in zip(self.members, joint.outcomes, joint.snapshots, strict=True):
            self._judge_member(member, moment, outcome, snapshot or read_snapshot(''), struck=outage or bool(struck))
            if not outage and struck.keys() <= HARMLESS:
                member.judge.needless(self.number, outcome.run)
        self.judge.diagnoses(self.number, joint.diagnoses, calm=not outage and struck.keys() <= HARMLESS)
        self.judge.exchanges(self.number, swallowed=self.proxy.swallowed, strays=self.proxy.strays)
        self.proxy.swallowed = self.proxy.strays = 0
        first: Outcome = joint.outcomes[0]
        return first

    def _judge_member(
        self, member: Member, moment: float, outcome: Outcome, snapshot: Mapping[str, Any], *, struck: bool
    ) -> None:
        run, judge = outcome.run, member.judge
        did = run.requests is not None
        judge.tally.refreshes += did
        judge.tally.struck += did and struck
        self.refreshed |= did
        self.intervals.update(outcome.intervals)
        judge.time(self.number, run.seconds - outcome.starved, BUDGET + self.patience.timeout + SLACK)
        judge.peak(self.number, outcome.idle, outcome.peak)
        gauges = [point for point in run.points if point.type == 'gauge']
        member.names |= run.names
        if self.scene.filtered and member.name == 'other':
            judge.foreign(self.number, gauges, self.scene.shown)
            own = f'{self.scene.shown[0]}:{self.scene.shown[1]}'
            gauges = [point for point in gauges if own in point.tags]
        judge.gauges(self.number, moment, gauges, snapshot)
        judge.itself(self.number, run, member.snapshot, snapshot)
        told = [warning for warning in run.warnings if TWIN in warning]
        judge.status(self.number, run, snapshot, refreshed=did, unseen=False, ignored=told)
        if (self.age >= TOLD_AFTER and not told) if member.name != 'other' else bool(told):
            judge.find('status lie', self.number, 'twin', ours=told, truth=f'instance {member.name}')
        # The service was last prepared for another member.
        self.scene.prepare(self.service, member.once.looks())
        member.once.follow(self.service, self.number, moment, snapshot)
        member.snapshot = snapshot
        member.entries += [
            Entry(self.number, point.type, point.name, point.value, list(point.tags))
            for point in run.points
            if point.type != 'gauge'
        ]
        member.entries += [
            Entry(self.number, 'event', event['msg_title'], 1.0, list(event['tags'])) for event in run.events
        ]

    def _judge_counts(self) -> None:
        for member in self.members:
            if not member.names:
                self.judge.find('foreign series', self.number, member.name, ours='no series', truth='some')
            if member.is_counted:
                got = member.once.got(member.entries)
                self.judge.totals(self.number, member.once.expected, got, excused={})
