"""The subset of Markdown in notes: headings, lists, emphasis, code, links, rules and tables. The rest is text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .svg import Markup, escape, join, tag

_HEADING = re.compile(r'(#{1,6})\s+(.*?)\s*#*$')
_ITEM = re.compile(r'(\s*)(?:[-*+]|(\d+)[.)])\s+(.*)')
_RULE = re.compile(r'\s*(?:-{3,}|\*{3,}|_{3,})\s*')
_ROW = re.compile(r'\s*\|?(.+?)\|?\s*')
_DIVIDER = re.compile(r'\s*\|?(?:\s*:?-+:?\s*\|)+\s*:?-*:?\s*\|?\s*')
# Code first: its content is not markup. An image becomes its text, as the page loads nothing.
_INLINE = re.compile(
    r'`(?P<code>[^`]+)`'
    r'|!\[(?P<alt>[^\]]*)\]\((?P<image>[^)\s]+)[^)]*\)'
    r'|\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<link>[^)\s]+)[^)]*\)'
    r'|\*\*(?P<strong>.+?)\*\*'
    r'|__(?P<strong2>.+?)__'
    r'|(?<![\w*])\*(?P<em>[^*\s](?:[^*]*[^*\s])?)\*(?![\w*])'
    r'|(?<!\w)_(?P<em2>[^_\s](?:[^_]*[^_\s])?)_(?!\w)'
    r'|~~(?P<gone>.+?)~~'
    r'|<(?P<auto>https?://[^\s<>]+)>'
    r'|(?P<bare>https?://[^\s<>()]*[^\s<>().,;:!?])'
)
_ELEMENTS = {'strong': 'strong', 'strong2': 'strong', 'em': 'em', 'em2': 'em', 'gone': 's'}
_SAFE_LINK = re.compile(r'(?:https?://|mailto:|/|#)', re.IGNORECASE)


def render(text: str) -> Markup:
    """Return a note's text as HTML. Raw HTML appears as text; links other than http(s), mailto and paths stay text."""
    return join(_blocks(text.replace('\r\n', '\n').split('\n')))


def _blocks(lines: list[str]) -> Iterator[Markup]:
    paragraph: list[str] = []
    index = 0
    while index < len(lines):
        line = lines[index]
        special = _special(lines, index)
        if (special or not line.strip()) and paragraph:
            yield _paragraph(paragraph)
            paragraph = []
        if special:
            markup, index = special
            yield markup
            continue
        if line.strip():
            paragraph.append(line.strip())
        index += 1
    if paragraph:
        yield _paragraph(paragraph)


def _paragraph(lines: list[str]) -> Markup:
    return tag('p', inline('\n'.join(lines)))


def _special(lines: list[str], index: int) -> tuple[Markup, int] | None:
    """Return a block other than a paragraph that begins here, and the line after it."""
    line = lines[index]
    if heading := _HEADING.fullmatch(line.strip()):
        # The page and its groups use the first two levels.
        return tag(f'h{min(6, len(heading[1]) + 2)}', inline(heading[2])), index + 1
    if _RULE.fullmatch(line):
        return Markup('<hr>'), index + 1
    if line.strip().startswith('```'):
        end = next((at for at in range(index + 1, len(lines)) if lines[at].strip().startswith('```')), len(lines))
        return tag('pre', tag('code', '\n'.join(lines[index + 1 : end]))), end + 1
    if item := _ITEM.fullmatch(line):
        return _list(lines, index, item)
    if _is_quoted(line):
        return _quote(lines, index)
    if '|' in line and index + 1 < len(lines) and _DIVIDER.fullmatch(lines[index + 1]):
        return _table(lines, index)
    return None


def _is_quoted(line: str) -> bool:
    return line.lstrip().startswith('>')


def _quote(lines: list[str], index: int) -> tuple[Markup, int]:
    end = next((at for at in range(index, len(lines)) if not _is_quoted(lines[at])), len(lines))
    inner = [line.lstrip()[1:].removeprefix(' ') for line in lines[index:end]]
    return tag('blockquote', *_blocks(inner)), end


def _list(lines: list[str], index: int, first: re.Match[str]) -> tuple[Markup, int]:
    """Return the list whose first item is `lines[index]`, matched as `first`, and the line after the list."""
    indent = len(first[1])
    items: list[list[object]] = []
    while index < len(lines):
        found = _ITEM.fullmatch(lines[index])
        if found and len(found[1]) > indent + 1 and items:
            nested, index = _list(lines, index, found)
            items[-1].append(nested)
        elif found and len(found[1]) >= indent:
            items.append([inline(found[3])])
            index += 1
        elif not found and lines[index].startswith(' ' * (indent + 2)) and lines[index].strip():
            items[-1].append(join((' ', inline(lines[index].strip()))))
            index += 1
        else:
            break
    number = first[2]
    start = number if number and number != '1' else None
    return tag('ol' if number else 'ul', *(tag('li', *item) for item in items), start=start), index


def _table(lines: list[str], index: int) -> tuple[Markup, int]:
    head = tag('tr', *(tag('th', inline(cell), scope='col') for cell in _cells(lines[index])))
    index += 2
    rows = []
    while index < len(lines) and '|' in lines[index]:
        rows.append(tag('tr', *(tag('td', inline(cell)) for cell in _cells(lines[index]))))
        index += 1
    return tag('table', tag('thead', head), tag('tbody', *rows)), index


def _cells(line: str) -> list[str]:
    row = _ROW.fullmatch(line)
    return [cell.strip() for cell in row[1].split('|')] if row else []


def inline(text: str) -> Markup:
    """Return text with emphasis, code and links."""
    found: list[object] = []
    position = 0
    for match in _INLINE.finditer(text):
        found.append(_breaks(text[position : match.start()]))
        found.append(_span(match))
        position = match.end()
    found.append(_breaks(text[position:]))
    return join(found)


def _breaks(text: str) -> Markup:
    return Markup(escape(text).replace('\n', '<br>'))


def _span(match: re.Match[str]) -> Markup:
    if code := match['code']:
        return tag('code', code)
    if match['image']:
        return tag('span', match['alt'] or 'image', class_='image')
    if link := match['link']:
        return _link(link, inline(match['text']))
    if address := match['auto'] or match['bare']:
        return _link(address, escape_text(address))
    return next(tag(element, inline(match[group])) for group, element in _ELEMENTS.items() if match[group])


def escape_text(text: str) -> Markup:
    """Return plain text, escaped."""
    return Markup(escape(text))


def _link(address: str, text: Markup) -> Markup:
    if not _SAFE_LINK.match(address):
        return tag('span', text)
    return tag('a', text, href=address, rel='noopener noreferrer', target='_blank')
