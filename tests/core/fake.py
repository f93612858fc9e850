"""A source of three blocks and the service it reads, to test what all sources have in common over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request, Response

from metta_checks.diagnosis import Finding
from metta_checks.http import BearerAuth, Endpoint
from metta_checks.refresh import Block, Event, Refresh, Sample, need
from metta_checks.source import Source
from sandbox import Service

if TYPE_CHECKING:
    from .config_models import InstanceConfig


class FakeService(Service):
    """Serves /numbers, /other and /slow."""

    name = 'fake'
    numbers: tuple[int, ...] = (1, 2, 3)

    def answer(self, request: Request) -> Response:
        if request.headers.get('Authorization') != 'Bearer right-token':
            return self.json({'message': 'bad credentials'}, 401)
        return self.json({'values': list(self.numbers)})

    def instance(self) -> dict:
        return {'source': 'fake', 'url': self.url, 'token': 'right-token'}


class FakeCheck(Source['InstanceConfig']):
    """Reads FakeService."""

    SOURCE = 'fake'
    IDENTITY_OPTIONS = ('url',)
    SECRET_OPTIONS = ('token',)

    def connect(self) -> None:
        endpoint = Endpoint(
            self.config.url,
            'Fake',
            auth=BearerAuth(self.instance['token']),
            remedies={'auth': 'check option `token`'},
        )
        self.numbers = self.api(endpoint)

    def refresh(self, refresh: Refresh) -> None:
        numbers = refresh.attempt_for('a', {'subject': 'a'}, 'numbers', self._numbers)
        refresh.attempt_for('a', {'subject': 'a'}, 'doubled', self._doubled, numbers)
        refresh.attempt_for('b', {'subject': 'B'}, 'other', self._other)
        if refresh.due('slow', every=3600):
            refresh.attempt('slow', self._slow)

    def _numbers(self, block: Block) -> list[int]:
        numbers = self.numbers.get('numbers').json_object()['values']
        known = set(block.state or ())
        block.emit([Sample('numbers.sum', sum(numbers)), Sample('numbers.by_parity', None, {'parity': 'odd'})])
        if not block.cold:
            block.emit([Sample('numbers.seen', len(set(numbers) - known))])
            block.emit(Sample('numbers.size', number) for number in numbers if number not in known)
            if set(numbers) - known:
                block.event(Event('New numbers', 'They came.', 'numbers'))
        block.state = numbers
        return numbers

    def _doubled(self, block: Block, numbers: list[int] | None) -> None:
        block.emit([Sample('doubled.sum', 2 * sum(need(numbers, 'numbers')))])

    def _other(self, block: Block) -> None:
        block.emit([Sample('other.value', len(self.numbers.get('other').json_object()['values']))])

    def _slow(self, block: Block) -> None:
        block.emit([Sample('slow.value', len(self.numbers.get('slow').json_object()['values']))])

    def block_interval(self, name: str) -> float:
        return 3600 if name == 'slow' else 0

    def probe(self) -> Iterator[Finding]:
        self.numbers.get('other')
        yield Finding('credentials', 'ok', 'accepted')
