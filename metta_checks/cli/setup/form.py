"""The options of one instance, as they are given on the command line, chosen from a list, or typed."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from metta_checks.core.text import one_line, printable

from ..terminal import say
from ..vault import HANDLE, UnknownSecret, Vault

# Choices that are listed; others can be typed.
MAX_LISTED = 50


class MissingOption(Exception):
    """An option is needed, and nobody may be asked for it; one line that says how to give it."""


class NoAnswer(Exception):
    """A service did not tell its choices; one line."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of an option, and the name by which people know it."""

    value: str
    name: str = ''

    @property
    def line(self) -> str:
        """Return the choice as it is listed."""
        return printable(f'{self.value}  {self.name}' if self.name else self.value)


class Form:
    """The options so far.

    Parameters:
        given: options from the command line, by name
        asks: False: a missing option raises MissingOption
    """

    def __init__(self, given: Mapping[str, Any], *, asks: bool) -> None:
        self.values: dict[str, Any] = dict(given)
        self._asks = asks
        self._vault = Vault()

    def has(self, *options: str) -> bool:
        """Return True if one of the options is set."""
        return any(self.values.get(option) not in (None, '', []) for option in options)

    def resolved(self, option: str) -> str:
        """Return the value of a secret option, looked up if it is a reference. Raises NoAnswer."""
        try:
            return str(self._vault.resolve(self.values.get(option) or ''))
        except UnknownSecret as error:
            raise NoAnswer(str(error)) from error

    def text(self, option: str, question: str, default: str = '', *, optional: bool = False) -> None:
        """Ask for a text. Without anybody to ask, the default is taken."""
        if self.has(option):
            return
        if self._asks:
            answer = typer.prompt(question, default=default, show_default=bool(default), err=True).strip()
        else:
            answer = default
        self._keep(option, answer, '', optional=optional)

    def secret(self, option: str, question: str, *, optional: bool = False) -> None:
        """Ask for a secret, which is not shown: its value, `$NAME` of a variable, or a reference `ENC[...]`."""
        if self.has(option):
            return
        answer = ''
        if self._asks:
            hint = 'not shown; also $VARIABLE or ENC[name;key]' + ('; empty: none' if optional else '')
            answer = typer.prompt(f'{question} ({hint})', default='', hide_input=True, show_default=False, err=True)
        answer = answer.strip()
        if answer.startswith('$'):
            answer = from_environment(answer[1:])
        self._keep(option, answer, f'--secret {option}=NAME with the name of a variable', optional=optional)

    def choose(
        self, option: str, question: str, find: Callable[[], Sequence[Choice]], *, several: bool = False,
        optional: bool = False, default: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Ask for one or several of the choices that a service offers; any other text can be typed, too.

        Without anybody to ask, the default or the only choice is taken.
        """
        if self.has(option):
            return
        try:
            choices = find()
        except NoAnswer as error:
            say(str(error), 'yellow')
            choices = ()
        if self._asks:
            chosen = self._ask(question, choices, several=several, optional=optional, default=default)
        else:
            chosen = list(default) or ([choices[0].value] if len(choices) == 1 and not optional else [])
        if not chosen and not optional:
            raise MissingOption(_missing(option, f"--set '{option}=[VALUE]'" if several else '', choices))
        if chosen:
            self.values[option] = chosen if several else chosen[0]

    def _keep(self, option: str, answer: str, how: str, *, optional: bool) -> None:
        if answer:
            self.values[option] = answer
        elif not optional:
            raise MissingOption(_missing(option, how, ()))

    @staticmethod
    def _ask(
        question: str, choices: Sequence[Choice], *, several: bool, optional: bool, default: Sequence[str]
    ) -> list[str]:
        for number, choice in enumerate(choices[:MAX_LISTED], 1):
            say(f'{number:3}  {choice.line}')
        if len(choices) > MAX_LISTED:
            say(f'     ... {len(choices) - MAX_LISTED} more, which can be typed')
        how = 'numbers or names, separated by commas' if several else 'a number or a name'
        hint = f'{how}; empty: none' if optional else how
        shown = ','.join(default)
        answer = typer.prompt(f'{question} ({hint})', default=shown, show_default=bool(shown), err=True)
        parts = [part.strip() for part in (answer.split(',') if several else [answer])]
        return [_chosen(part, choices) for part in parts if part]


def _chosen(answer: str, choices: Sequence[Choice]) -> str:
    """Return the value of a choice by its number or its name; any other answer as it is."""
    if answer.isdecimal() and 1 <= int(answer) <= min(len(choices), MAX_LISTED):
        return choices[int(answer) - 1].value
    return next((one.value for one in choices if answer in (one.value, one.name)), answer)


def _missing(option: str, how: str, choices: Sequence[Choice]) -> str:
    """Return the line about a missing option; `how` to give it on the command line, if not as one value."""
    listed = ', '.join(choice.value for choice in choices[:MAX_LISTED])
    seen = f'; the service offers: {listed}' if listed else ''
    return one_line(f'option `{option}` is needed: {how or f"--set {option}=VALUE"}{seen}', 1000)


def from_environment(name: str) -> str:
    """Return the value of a variable. Raises MissingOption for an empty one."""
    value = os.environ.get(name, '').strip()
    if not value:
        raise MissingOption(f'the variable {one_line(name, 60)} is not set')
    return value


def secret_from(option: str, origin: str) -> str:
    """Return a secret for the file: the value of a variable by its name, a reference `ENC[...]` as it is.

    Raises MissingOption for another text: on the command line, a secret would be seen by others.
    """
    if HANDLE.fullmatch(origin):
        return origin
    if origin.isidentifier():
        return from_environment(origin)
    raise MissingOption(f'--secret {option}: give the name of a variable, or a reference ENC[name;key]')


def is_secret(option: str, secrets: Collection[str]) -> bool:
    """Return True if the value of an option is a secret."""
    return option in secrets or option.endswith(('password', 'token', 'secret', 'private_key'))
