"""A source of three blocks and the service it reads, to test what all sources have in common over real sockets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request, Response

from metta_checks.core.blocks import block
from metta_checks.core.diagnosis import Finding
from metta_checks.core.http import BearerAuth, Endpoint
from metta_checks.core.refresh import Attempt, Event, Sample
from metta_checks.core.source import Source
from metta_checks.core.stored import NoMemory
from sandbox import Service

if TYPE_CHECKING:
    from .config_models import InstanceConfig


class FakeService(Service):
    """Serves /numbers, /other and /slow."""

    name = 'fake'
    numbers: tuple[int, ...] = (1, 2, 3)
    # Counts by name.
    by_parity: Mapping[str, int] = MappingProxyType({})
    largest: Mapping[str, int] = MappingProxyType({})

    def answer(self, request: Request) -> Response:
        if request.headers.get('Authorization') != 'Bearer right-token':
            return self.json({'message': 'bad credentials'}, 401)
        by_parity = {'numbers.by_parity': dict(self.by_parity), 'numbers.largest': dict(self.largest)}
        return self.json({'values': list(self.numbers), **by_parity})

    def instance(self) -> dict:
        return {'source': 'fake', 'url': self.url, 'token': 'right-token'}


class FakeCheck(Source['InstanceConfig', NoMemory]):
    """Reads FakeService."""

    SOURCE = 'fake'
    MEMORY = NoMemory
    SECRET_OPTIONS = ('token',)

    def connect(self) -> None:
        endpoint = Endpoint(
            self.config.url,
            'Fake',
            auth=BearerAuth(self.instance['token']),
            remedies={'auth': 'check option `token`'},
        )
        self.service = self.api(endpoint)

    def slow_interval(self) -> float:
        return 3600

    @block(part='a', state=list[int])
    def numbers(self, attempt: Attempt[list[int]]) -> list[int]:
        attempt.tags = {'subject': 'a'}
        answer = self.service.get('numbers').json_object()
        numbers: list[int] = answer['values']
        known = set(attempt.state or ())
        attempt.emit([Sample('numbers.sum', sum(numbers)), Sample('numbers.by_parity', None, {'parity': 'odd'})])
        for name in ('numbers.by_parity', 'numbers.largest'):
            attempt.emit(Sample(name, count, {'parity': parity}) for parity, count in answer[name].items())
        if not attempt.cold:
            attempt.emit([Sample('numbers.seen', len(set(numbers) - known))])
            attempt.emit(Sample('numbers.size', number) for number in numbers if number not in known)
            if set(numbers) - known:
                attempt.event(Event('New numbers', 'They came.', 'numbers'))
        attempt.state = numbers
        return numbers

    @block(numbers, part='a')
    def doubled(self, attempt: Attempt[None], numbers: list[int]) -> None:
        attempt.tags = {'subject': 'a'}
        attempt.emit([Sample('doubled.sum', 2 * sum(numbers))])

    @block(part='b')
    def other(self, attempt: Attempt[None]) -> None:
        attempt.tags = {'subject': 'B'}
        attempt.emit([Sample('other.value', len(self.service.get('other').json_object()['values']))])

    @block(every=slow_interval)
    def slow(self, attempt: Attempt[None]) -> None:
        attempt.emit([Sample('slow.value', len(self.service.get('slow').json_object()['values']))])

    def probe(self) -> Iterator[Finding]:
        self.service.get('other')
        yield Finding('credentials', 'ok', 'accepted')
