"""GitHub's GraphQL: one operation at a time, in the page sizes and with the fields that the server supports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from ..core.errors import BadPayload, Rejected, Unavailable
from ..core.fields import integer, items, mapping
from ..core.memo import Ages, Learned
from ..core.stored import stored
from . import queries
from .connections import GITHUB, descend
from .enterprise import is_enterprise
from .refusals import NOT_FOUND, GraphqlError, Path, has_data, sign_on, with_advice
from .session import Session

T = TypeVar('T')

# Findings about a server are tried again after a day.
DIALECT_AGES = Ages(fresh=24 * 3600, usable=24 * 3600)
# Reasons of an error after which a smaller page may succeed.
TRY_SMALLER = ('http_5xx', 'timeout', 'too_heavy')
TOO_HEAVY = ('RESOURCE_LIMITS_EXCEEDED', 'MAX_NODE_LIMIT_EXCEEDED')


@stored
class Dialect:
    """Limits of the server's GraphQL, so that a refresh does not repeat requests that fail.

    Each finding is dropped after a day.

    Attributes:
        page_sizes: the page size that succeeded after a larger page was too heavy, by query
        unknown_fields: the fields that the server does not know, by query
        refused_parts: GitHub's messages about parts of the first query that it refuses, by repository and part
        heavy: the repositories that share no query with others, because it was too heavy
    """

    page_sizes: dict[str, Learned[int]] = field(default_factory=dict)
    unknown_fields: dict[str, Learned[frozenset[str]]] = field(default_factory=dict)
    refused_parts: dict[str, dict[str, Learned[str]]] = field(default_factory=dict)
    heavy: dict[str, Learned[bool]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """The data of a GraphQL answer.

    Attributes:
        data: the data
        errors: the messages of the errors inside, by path (`('repository', 'mergeQueue')`)
        found: all errors of the answer
    """

    data: Mapping[str, Any]
    errors: Mapping[Path, str]
    found: Sequence[GraphqlError] = ()


class GraphQL:
    """The operations of `queries`, sent to one server.

    Attributes:
        dialect: findings about the server, which the check stores
        points: rate-limit points that the operations cost since `start_count`, by repository (owner/name in lower
            case); those of operations that name no repository, or several, are under the empty name
        sent: number of operations since `start_count`, by repository
    """

    def __init__(
        self,
        session: Session,
        clock: Callable[[], datetime],
        unused: Collection[str] = (),
    ) -> None:
        """`unused` are fields of the queries that the configuration does not need, which are never asked for."""
        self._session = session
        self._clock = clock
        self._unused = frozenset(unused)
        self._url = graphql_url(session.base_url)
        self.dialect = Dialect()
        self.start_count()

    def start_count(self) -> None:
        """Count points and operations from 0."""
        self.points: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()

    def ask(
        self,
        document: str,
        variables: Mapping[str, Any],
        *,
        partial: bool = False,
        left_out: Collection[str] = (),
        repositories: int = 1,
    ) -> Answer:
        """Send an operation. Fields that the server does not know are left out, and tried again after a day.

        With `partial`, errors inside the data are returned; otherwise any error is raised. `repositories` is their
        number, for a document that can ask for several.
        """
        data, found = self._operation(document, variables, left_out, repositories)
        unknown = _undefined_fields(found)
        if unknown:
            self._remember_unknown(document, unknown)
            data, found = self._operation(document, variables, left_out, repositories)
        errors = _messages(found, is_answered=has_data(data))
        if errors and not (partial and data):
            [first, *_] = (error for error in found if error.message in errors.values())
            raise first.raised(_rejects(document))
        if data is None:
            raise BadPayload(f'GitHub answered the query `{document}` without data')
        return Answer(data, errors, found)

    def page(
        self,
        document: str,
        variables: Mapping[str, Any],
        size: int | None = None,
        *,
        partial: bool = False,
        left_out: Collection[str] = (),
    ) -> Answer:
        """Ask for a page, whose size is the variable `page`; `size` makes it smaller than usual."""
        return self.sized(
            document,
            size,
            lambda page: self.ask(document, {**variables, 'page': page}, partial=partial, left_out=left_out),
        )

    def sized(self, document: str, size: int | None, ask: Callable[[int], T]) -> T:
        """Ask for a page of a size; when GitHub finds it too heavy, at once for a smaller one, at most twice.

        A size that succeeded is used for a day. When none did, the server is unavailable, and the usual size stays.
        """
        first, *smaller = self._page_sizes(document, size)
        page = first
        while True:
            try:
                answer = ask(page)
            except Unavailable as error:
                if error.reason not in TRY_SMALLER or not smaller:
                    raise
                page = smaller.pop(0)
            else:
                break
        if page < first:
            self.remember_size(document, page)
        return answer

    def known_size(self, what: str, size: int) -> int:
        """Return a size, or a smaller one if GitHub has found it too heavy in the last day."""
        known = self.dialect.page_sizes.get(what)
        return min(known.value, size) if known is not None and self._is_fresh(known) else size

    def remember_size(self, what: str, size: int) -> None:
        """Remember a size that succeeded after a larger one was too heavy."""
        sizes = {**self.dialect.page_sizes, what: Learned(size, self._now())}
        self.dialect = replace(self.dialect, page_sizes=sizes)

    def refused_parts(self, repository: str) -> dict[str, str]:
        """Return GitHub's messages about the parts of the first query that it refused in the last day, by part."""
        known = self.dialect.refused_parts.get(repository, {})
        return {part: refused.value for part, refused in known.items() if self._is_fresh(refused)}

    def remember_refused(self, repository: str, messages: Mapping[str, str]) -> None:
        """Remember the parts of the first query that GitHub refuses for a repository."""
        parts = {part: Learned(message, self._now()) for part, message in messages.items()}
        self.dialect = replace(self.dialect, refused_parts={**self.dialect.refused_parts, repository: parts})

    def is_heavy(self, repository: str) -> bool:
        """Return whether a query for the repository and others was too heavy in the last day."""
        known = self.dialect.heavy.get(repository)
        return known is not None and self._is_fresh(known)

    def remember_heavy(self, repositories: Iterable[str]) -> None:
        """Remember repositories that have to be asked for alone."""
        heavy = {one: learned for one, learned in self.dialect.heavy.items() if self._is_fresh(learned)}
        heavy |= {one: Learned(True, self._now()) for one in repositories}
        self.dialect = replace(self.dialect, heavy=heavy)

    def _page_sizes(self, document: str, size: int | None) -> list[int]:
        """Return the page size to begin with, and the smaller ones to fall back to."""
        sizes = queries.PAGES[document]
        first = self.known_size(document, min(size or sizes[0], sizes[0]))
        return [first, *(smaller for smaller in sizes if smaller < first)]

    def _operation(
        self, document: str, variables: Mapping[str, Any], left_out: Collection[str], repositories: int
    ) -> tuple[Mapping[str, Any] | None, list[GraphqlError]]:
        fields = self._unknown_fields(document).union(left_out, self._unused)
        query = queries.without(queries.document(document, repositories), fields)
        slug = f'{variables["owner"]}/{variables["name"]}'.lower() if 'owner' in variables else ''
        self.sent[slug] += 1
        response = self._session.post(self._url, {'query': query, 'variables': dict(variables)})
        answer = response.json_object()
        data = GITHUB.optional(mapping, answer, 'data')
        self.points[slug] += GITHUB.optional(integer, descend(data or {}, 'rateLimit') or {}, 'cost') or 0
        errors = [GraphqlError.parse(error) for error in GITHUB.optional(items, answer, 'errors') or ()]
        return data, with_advice(errors, sign_on(response))

    def _unknown_fields(self, document: str) -> frozenset[str]:
        known = self.dialect.unknown_fields.get(document)
        return known.value if known is not None and self._is_fresh(known) else frozenset()

    def _remember_unknown(self, document: str, names: Collection[str]) -> None:
        fields = Learned(self._unknown_fields(document).union(names), self._now())
        self.dialect = replace(self.dialect, unknown_fields={**self.dialect.unknown_fields, document: fields})

    def _is_fresh(self, learned: Learned[Any]) -> bool:
        return learned.is_fresh(self._now(), DIALECT_AGES)

    def _now(self) -> float:
        return self._clock().timestamp()


def graphql_url(api_url: str) -> str:
    """Return the address of GraphQL, which on GitHub Enterprise Server is beside `/api/v3`, else below the API's.

    >>> graphql_url('https://github.example/api/v3')
    'https://github.example/api/graphql'
    """
    if is_enterprise(api_url):
        return api_url.rstrip('/').removesuffix('/v3') + '/graphql'
    return f'{api_url.rstrip("/")}/graphql'


def rejected(document: str, message: str) -> Rejected:
    """Return the error for a query that GitHub answers with a message."""
    return Rejected(f'{_rejects(document)}: {message}')


def _rejects(document: str) -> str:
    return f'GitHub rejected the query `{document}`'


def _undefined_fields(errors: Iterable[GraphqlError]) -> list[str]:
    """Return the names of the fields that the server does not know."""
    names = (error.extensions.get('fieldName') for error in errors if error.code == 'undefinedField')
    return [str(name) for name in names if name is not None]


def _messages(errors: Iterable[GraphqlError], *, is_answered: bool) -> dict[Path, str]:
    """Return the messages by path. Raises Unavailable when the query was too heavy."""
    messages = {}
    for error in errors:
        if error.type in TOO_HEAVY or (error.is_timeout and not is_answered):
            raise Unavailable('GitHub found the query too heavy', reason='too_heavy')
        if error.type == NOT_FOUND and error.path in (('repository',), ('repositoryOwner',)):
            # The caller sees that the data is null.
            continue
        messages[error.path] = error.message
    return messages
