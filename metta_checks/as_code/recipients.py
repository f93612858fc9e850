"""Recipients of a monitor's notifications: those of the files, and those that people added in Datadog.

Recipients of the files are on a line of their own, `Notifies: @slack-ops @pagerduty-web`, so that one that was removed
from the files is removed from Datadog, too. All others in Datadog were added by people, and stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any

from . import marker
from .asset import Asset, AssetError
from .message import HANDLE, LINE, OF_FILES, Block, pieces

PRIORITIES = (1, 2, 3, 4, 5)
# Priority of a monitor that has none, as an option names it.
ANY = 0
_EMPTY_BLOCK = re.compile(r'\{\{[#^]\s*(\w+)[^}]*\}\}\s*\{\{/\1\}\}')
# A recipient in Datadog, with the blocks around it.
Addition = tuple[tuple[Block, ...], str]


def parse(options: Iterable[str]) -> dict[int, tuple[str, ...]]:
    """Return the recipients by priority from `HANDLE` (key ANY) and `PRIORITY=HANDLE`. Raises AssetError."""
    found: dict[int, tuple[str, ...]] = {}
    for option in options:
        priority, equals, handle = option.rpartition('=')
        number = int(priority) if priority in map(str, PRIORITIES) else ANY
        if equals and number == ANY:
            raise AssetError(f'--notify {option}: the priority must be 1 to 5, as in 2=@slack-ops')
        if not HANDLE.fullmatch(handle):
            raise AssetError(
                f'--notify {option}: expected a recipient such as @slack-ops, @team-web or @me@example.com'
            )
        found[number] = (*found.get(number, ()), handle)
    return found


def told(asset: Asset, recipients: Mapping[int, tuple[str, ...]]) -> Asset:
    """Return the asset with the recipients of its priority in its message; another kind than a monitor as it is."""
    if asset.kind != 'monitor':
        return asset
    handles = (*recipients.get(ANY, ()), *recipients.get(asset.body.get('priority') or ANY, ()))
    message = _message(asset.body)
    new = [handle for handle in dict.fromkeys(handles) if handle not in HANDLE.findall(message)]
    return _with_message(asset, f'{message}\n\n{LINE} {" ".join(new)}') if new else asset


def _message(body: Mapping[str, Any]) -> str:
    """Return the message of a monitor without the marker."""
    message = body.get('message')
    return marker.strip(message) if isinstance(message, str) else ''


def _with_message(asset: Asset, message: str) -> Asset:
    return replace(asset, document={**asset.document, 'definition': {**asset.body, 'message': message}})


def added(asset: Asset, live: Mapping[str, Any]) -> list[Addition]:
    """Return the recipients in Datadog that are neither in the file's message nor of the line of the files."""
    if asset.kind != 'monitor':
        return []
    known = set(HANDLE.findall(_message(asset.body)))
    return [
        (piece.blocks, handle)
        for piece in pieces(OF_FILES.sub('', _message(live)))
        for handle in HANDLE.findall(piece.text)
        if handle not in known
    ]


def without(body: Mapping[str, Any], additions: Iterable[Addition]) -> dict[str, Any]:
    """Return a monitor without these recipients, without blocks that held nothing else, and with plain white space."""
    gone = {handle for _, handle in additions}
    message = HANDLE.sub(lambda found: '' if found[0] in gone else found[0], _message(body))
    before = ''
    while before != message:
        before, message = message, _EMPTY_BLOCK.sub('', message)
    return {**body, 'message': re.sub(r'\n{3,}', '\n\n', re.sub(r'[ \t]+(?=\n|$)', '', message)).strip()}


def with_additions(asset: Asset, additions: Iterable[Addition]) -> Asset:
    """Return the monitor with these recipients below its message, a line for each set of blocks around them."""
    lines = [
        ''.join(block.opening for block in blocks)
        + ' '.join(dict.fromkeys(handle for _, handle in together))
        + ''.join(block.closing for block in reversed(blocks))
        for blocks, together in groupby(sorted(additions, key=_opening), key=lambda addition: addition[0])
    ]
    return _with_message(asset, '\n\n'.join((_message(asset.body), *lines)))


def _opening(addition: Addition) -> str:
    return ''.join(block.opening for block in addition[0])
