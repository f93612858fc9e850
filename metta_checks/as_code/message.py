"""The message of a monitor: its parts with the conditional blocks around them, and the text of each state.

https://docs.datadoghq.com/monitors/notify/variables/ describes the blocks, such as `{{#is_alert}}...{{/is_alert}}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# States that a monitor tells about, by the block for each.
STATES = {'is_alert': 'alert', 'is_warning': 'warning', 'is_no_data': 'no data', 'is_recovery': 'recovery'}
# Blocks for a part of a state: text in them is not shown in every message about the state.
PARTIAL = frozenset(
    (
        *('is_alert_recovery', 'is_warning_recovery', 'is_no_data_recovery', 'is_alert_to_warning', 'is_renotify'),
        *('is_unknown', 'is_no_data_to_alert', 'is_alert_to_no_data', 'is_warning_to_alert'),
    )
)
# The line with the recipients of the files.
LINE = 'Notifies:'
OF_FILES = re.compile(rf'^{LINE}.*$\n?', re.MULTILINE)
_TAG = re.compile(r'\{\{([#^/])\s*(\w+)[^}]*\}\}')
# A recipient: a person, a channel of an integration, a team. It may hold variables, as in `@slack-{{owner.name}}`.
HANDLE = re.compile(r'(?<![\w@./+-])@(?:\{\{[^{}#^/]*\}\}|[\w+/-]|\.(?=\w))+(?:@[\w-]+(?:\.[\w-]+)*)?')


@dataclass(frozen=True, slots=True)
class Block:
    """A conditional block. `opening` is its first tag, for example `{{#is_match "host.name" "web"}}`."""

    opening: str
    name: str
    is_negated: bool

    @property
    def closing(self) -> str:
        """The last tag."""
        return f'{{{{/{self.name}}}}}'


@dataclass(frozen=True, slots=True)
class Piece:
    """A text between two tags, with the blocks around it, the outermost first."""

    text: str
    blocks: tuple[Block, ...]

    def is_shown(self, state: str) -> bool:
        """Return whether every message about a state shows it. Blocks by group or priority count as shown."""
        return all(_holds(block, state) for block in self.blocks)


def _holds(block: Block, state: str) -> bool:
    if block.name in PARTIAL:
        return block.is_negated
    return block.name not in STATES or (STATES[block.name] == state) != block.is_negated


def pieces(message: str) -> Iterator[Piece]:
    """Yield the texts of a message in order. A closing tag without its opening one is ignored."""
    blocks: list[Block] = []
    start = 0
    for tag in _TAG.finditer(message):
        if tag.start() > start:
            yield Piece(message[start : tag.start()], tuple(blocks))
        start = tag.end()
        mark, name = tag.groups()
        if mark != '/':
            blocks.append(Block(tag[0], name, mark == '^'))
        elif blocks and blocks[-1].name == name:
            blocks.pop()
    if start < len(message):
        yield Piece(message[start:], tuple(blocks))


def text_of(message: str, state: str) -> str:
    """Return the words that people read in a state, without recipients; empty without any."""
    shown = ' '.join(piece.text for piece in pieces(OF_FILES.sub('', message)) if piece.is_shown(state))
    return ' '.join(HANDLE.sub('', shown).split())
