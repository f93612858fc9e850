"""Follows a page: writes the files it shows and types the commands it shows, in order, in a scratch copy of the
project.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from .pages import EXCUSES, FAILS, MARKS, ROOT, Fence

# Blocks marked `slow` are run when this is set.
OPT_IN = 'METTA_DOCS_SLOW'
# Commands that run until somebody stops them, and the text that they print when they are ready.
SERVES = re.compile(r'python -m sandbox(?!\.)')
READY = 'Ctrl-C to stop'
START_SECONDS = 60
COMMAND_SECONDS = 240
SLOW_SECONDS = 3600
# Variables that a developer's shell may have and a new user's does not.
FOREIGN = re.compile(r'(AWS|DD|DATADOG|GITHUB|GH|ASANA|WANDB|KUBE|SKYPILOT|PYTEST|METTA)_|PYTHON')


class PageFailed(AssertionError):
    """A block of a page does not work; the text names the line."""


def scratch(directory: Path) -> Path:
    """Copy the files of a clone, with changes that are not committed yet. Return the folder of the copy."""
    copy = directory / 'metta-checks'
    command = ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard']
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split('\0')):
        source, target = ROOT / name, copy / name
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    # Some tests of the project list files with git.
    subprocess.run(['git', 'init', '--quiet', '.'], cwd=copy, check=True)
    return copy


class Reader:
    """A reader who follows a page exactly. As a context manager, it stops servers at the end."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        # The environment and the folder that a block leaves to the next one.
        self._state = home / 'state.sh'
        self._state.write_text(f"cd '{folder}'\n", encoding='utf-8')
        self._serving: list[subprocess.Popen] = []
        self.ran: list[str] = []

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._serving:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a clean shell, in which the virtual environment and the copy come first."""
        kept = {name: value for name, value in os.environ.items() if not FOREIGN.match(name)}
        return {
            **kept,
            'HOME': str(self.home),
            'PATH': f'{Path(sys.executable).parent}{os.pathsep}{kept["PATH"]}',
            'PYTHONPATH': str(self.folder),
            'NO_COLOR': '1',
            'COLUMNS': '140',
        }

    def follow(self, fence: Fence) -> None:
        """Write the file or run the commands of one block. Raises PageFailed."""
        if fence.file:
            self._write(fence, self.folder / fence.file)
        elif fence.language == 'console':
            self._type(fence)

    def _write(self, fence: Fence, path: Path) -> None:
        if fence.language == 'diff':
            text = path.read_text(encoding='utf-8')
            lines = fence.text.splitlines(keepends=True)
            before = ''.join(line[1:] for line in lines if line[0] in ' -')
            after = ''.join(line[1:] for line in lines if line[0] in ' +')
            if text.count(before) != 1:
                raise PageFailed(f'{fence.place}: {fence.file} has {text.count(before)} places for this change')
            path.write_text(text.replace(before, after), encoding='utf-8')
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(fence.text, encoding='utf-8')

    def _type(self, fence: Fence) -> None:
        if unknown := set(fence.words) - MARKS:
            raise PageFailed(f'{fence.place}: unknown mark {", ".join(sorted(unknown))}; known: {", ".join(MARKS)}')
        slow = 'slow' in fence.words and OPT_IN in os.environ
        if set(fence.words) & EXCUSES.keys() and not slow:
            return
        commands, expected = parts(fence)
        self.ran.append(commands)
        if SERVES.match(commands):
            self._serve(fence, commands, expected)
            return
        script = f'set -e\n. "{self._state}"\n{commands}\n{{ export -p; printf "cd %q\\n" "$PWD"; }} >"{self._state}"\n'
        try:
            done = subprocess.run(
                ['bash', '-c', script],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=SLOW_SECONDS if slow else COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise PageFailed(f'{fence.place}: {commands}\ndid not end within {error.timeout:.0f} s') from error
        if (done.returncode != 0) != (FAILS in fence.words):
            raise PageFailed(f'{fence.place}: {commands}\nended with {done.returncode}:\n{done.stdout}')
        compare(fence, expected, done.stdout)

    def _serve(self, fence: Fence, command: str, expected: list[str]) -> None:
        output = self.home / f'served-{len(self._serving)}.txt'
        with output.open('w') as file:
            process = subprocess.Popen(
                ['bash', '-c', f'. "{self._state}"\nexec {command}'],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._serving.append(process)
        deadline = time.monotonic() + START_SECONDS
        while READY not in (text := output.read_text()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise PageFailed(f'{fence.place}: {command}\nis not ready:\n{text}')
            time.sleep(0.05)
        compare(fence, expected, text)


def parts(fence: Fence) -> tuple[str, list[str]]:
    """Return the commands and the output of a block. With prompts (`$ `), all other lines are output."""
    lines = fence.text.splitlines()
    if not any(line.startswith('$ ') for line in lines):
        return '\n'.join(lines), []
    typed: list[str] = []
    output: list[str] = []
    for line in lines:
        if line.startswith('$ '):
            typed.append(line[2:])
        elif typed and typed[-1].endswith('\\') and not output:
            typed.append(line)
        else:
            output.append(line)
    return '\n'.join(typed), output


def compare(fence: Fence, expected: list[str], printed: str) -> None:
    """Every shown line was printed, in this order; `<...>` stands for anything, a line of dots for any lines.

    Runs of blanks and the lines of tables count as one blank. Raises PageFailed.
    """
    lines = [squeezed(line) for line in printed.splitlines()]
    position = 0
    for line in filter(None, map(squeezed, expected)):
        if line == '...':
            continue
        pattern = re.compile(placeholders(line))
        found = next((at for at in range(position, len(lines)) if pattern.fullmatch(lines[at])), None)
        if found is None:
            raise PageFailed(f'{fence.place}: the page shows\n  {line}\nbut printed is\n{printed}')
        position = found + 1


def squeezed(line: str) -> str:
    """Return a line without table rules and column widths."""
    return ' '.join(re.sub(r'[\u2500-\u257f]+', ' ', line).split())


def placeholders(line: str) -> str:
    """Return a regular expression that matches the line, with any text for `<...>`."""
    return '.+'.join(map(re.escape, re.split(r'<[^<>]+>', line)))
