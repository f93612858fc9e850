"""Blocks: the parts of a refresh, declared once, as methods of the check of a source.

    class Ec2Check(Source['InstanceConfig', Known]):
        @block()
        def instances(self, attempt: Attempt) -> Fleet: ...

        @block(every=idle_interval, when=finds_idle, uses=instances)
        def idle(self, attempt: Attempt, fleet: Fleet | None) -> None: ...

        @subjects
        def repositories(self, refresh: Refresh) -> Iterator[Repository]: ...

        @repositories.batch()
        def overviews(self, refresh: Refresh, wanted: Sequence[Repository]) -> Mapping[str, Overview]: ...

        @repositories.block(overviews)
        def repository(self, attempt: Attempt, repository: Repository, overview: Overview) -> None: ...

Blocks are attempted in the order of their declaration. The method gets its subject, if it has one, and then the results
of the blocks that it needs; the block fails if one of them has no result in this refresh. For a block that it `uses`
and that has no result, it gets None. References are block objects, so that a type checker finds a misspelled one and a
parameter of another type.

A *batch* reads something for many subjects at once, where a request per subject would be too many. A block refers to it
as to another block, and gets the part of its subject.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

from .errors import SourceError
from .refresh import Attempt, Refresh, need

if TYPE_CHECKING:
    import typing_extensions

    # The state of a block; None, unless its declaration names a type.
    State = typing_extensions.TypeVar('State', default=None)

# The check, a subject, the result of a block, and those of the blocks it refers to.
Check = TypeVar('Check')
SubjectT = TypeVar('SubjectT', bound='Subject')
Result = TypeVar('Result')
First = TypeVar('First')
Second = TypeVar('Second')
Used = TypeVar('Used')
UsedSecond = TypeVar('UsedSecond')
T_co = TypeVar('T_co', covariant=True)
# Results of blocks, and parts of batches or their errors.
Results = Mapping['Reference[Any]', Any]


class Subject(Protocol):
    """One of the things that an instance reads: a repository, a project."""

    @property
    def key(self) -> str:
        """Identifies the subject in the snapshot and in messages."""

    @property
    def tags(self) -> Mapping[str, str]:
        """The base tags of its samples."""


class Reference(Generic[T_co]):
    """Something that a block may need or use: another block, the state of one, or a batch."""

    @property
    def name(self) -> str:
        """The name of the block or batch in messages."""
        raise NotImplementedError


class Block(Reference[T_co]):
    """First declared block, generic in what its method returns.

    Attributes:
        name: its name in metrics.yaml, in tags and in messages
        part: tells blocks of one name apart in the snapshot
        needs, uses: the parameters of its method
        every: returns its own interval in seconds; None: every full refresh covers it
        when: returns whether the configuration switches it on
        given: returns, from what the block uses, whether there is anything to do; if not, the
            block is not attempted and stays as it is
        state: the type of its state, as in its parameter `attempt`; NoneType for none
    """

    def __init__(self, read: Callable[..., T_co], options: Options) -> None:
        self.read = read
        self._name = options.name
        self.part = options.part
        self.needs = options.needs
        self.uses = options.uses
        self.every = options.every
        self.when = options.when
        self.given = options.given
        self.state = options.state
        self.subjects: Subjects[Any] | None = None

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = self._name or name.strip('_')

    @property
    def name(self) -> str:
        """The name of the block."""
        return self._name

    @property
    def batches(self) -> list[Batch[Any]]:
        """The batches that the block refers to."""
        return [one for one in (*self.needs, *self.uses) if isinstance(one, Batch)]

    def key(self, subject: Subject | None = None) -> tuple[str, str]:
        """Return the key of the block of a subject in the snapshot."""
        return (subject.key if subject else self.part, self.name)


class Stored(Reference[T_co]):
    """The state of a block, from this refresh or an earlier one, instead of its result in this refresh."""

    def __init__(self, block: Block[Any]) -> None:
        self.block = block

    @property
    def name(self) -> str:
        """The name of the block that has the state."""
        return self.block.name


class Batch(Reference[T_co]):
    """A reading of many subjects at once, generic in the part that each subject gets.

    Its method gets the subjects that have all that the batch needs, in their order. It returns, by the key of the
    subject, the part or the error that the block of the subject fails with; a subject without an entry has no part. An
    error that the method raises is that of all subjects.

    A batch is read before the first block that refers to it, and only for subjects that have this block.

    Attributes:
        read: the method
        needs: results of blocks, or parts of other batches; with one, the method gets pairs of a subject and the result
    """

    def __init__(
        self, read: Callable[..., Mapping[str, T_co | SourceError]], needs: tuple[Reference[Any], ...]
    ) -> None:
        self.read = read
        self.needs = needs
        self._name = ''

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name.strip('_')

    @property
    def name(self) -> str:
        """The name of the method."""
        return self._name


@dataclass(frozen=True, slots=True)
class Options:
    """The declaration of a block, see Block."""

    needs: tuple[Reference[Any], ...]
    uses: tuple[Reference[Any], ...]
    every: Callable[[Any], float] | None = None
    when: Callable[[Any], bool] | None = None
    given: Callable[..., bool] | None = None
    state: type[Any] = NoneType
    name: str = ''
    part: str = ''


class Subjects(Generic[SubjectT]):
    """The subjects of an instance, each of which has blocks of its own.

    The method yields the subjects to read, in their order.

    Attributes:
        eager: a subject that was never read does not wait for the next full refresh
        together: the number of subjects that batches cover. Their blocks are attempted block by block: the first block
            of all these subjects, then the second one. With 1, the blocks of a subject run while it is yielded
    """

    def __init__(self, find: Callable[[Any, Refresh], Iterable[SubjectT]], *, eager: bool, together: int) -> None:
        self.find = find
        self.eager = eager
        self.together = together

    @overload
    def block(
        self,
        *,
        when: Callable[[Check], bool] | None = None,
        given: Callable[..., bool] | None = None,
        state: type[State] = ...,
        name: str = '',
    ) -> Callable[[Callable[[Check, Attempt[State], SubjectT], Result]], Block[Result]]: ...

    @overload
    def block(
        self,
        first: Reference[First],
        /,
        *,
        when: Callable[[Check], bool] | None = None,
        given: Callable[..., bool] | None = None,
        state: type[State] = ...,
        name: str = '',
    ) -> Callable[[Callable[[Check, Attempt[State], SubjectT, First], Result]], Block[Result]]: ...

    @overload
    def block(
        self,
        *,
        uses: Reference[Used],
        when: Callable[[Check], bool] | None = None,
        given: Callable[..., bool] | None = None,
        state: type[State] = ...,
        name: str = '',
    ) -> Callable[[Callable[[Check, Attempt[State], SubjectT, Used | None], Result]], Block[Result]]: ...

    @overload
    def block(
        self,
        first: Reference[First],
        second: Reference[Second],
        /,
        *,
        when: Callable[[Check], bool] | None = None,
        given: Callable[..., bool] | None = None,
        state: type[State] = ...,
        name: str = '',
    ) -> Callable[[Callable[[Check, Attempt[State], SubjectT, First, Second], Result]], Block[Result]]: ...

    @overload
    def block(
        self,
        first: Reference[First],
        /,
        *,
        uses: Reference[Used],
        when: Callable[[Check], bool] | None = None,
        given: Callable[..., bool] | None = None,
        state: type[State] = ...,
        name: str = '',
    ) -> Callable[[Callable[[Check, Attempt[State], SubjectT, First, Used | None], Result]], Block[Result]]: ...

    @overload
    def block(
        self,
        first: Reference[First],
        /,
        *,
        uses: tuple[Reference[Used], Reference[UsedSecond]],
        when: Callable[[Check], bool] | None = None,
        given: Callable[..., bool] | None = None,
        state: type[State] = ...,
        name: str = '',
    ) -> Callable[
        [Callable[[Check, Attempt[State], SubjectT, First, Used | None, UsedSecond | None], Result]], Block[Result]
    ]: ...

    def block(self, *needs: Reference[Any], **how: Any) -> Callable[[Callable[..., Any]], Block[Any]]:
        """Declare a block that every subject has; see Block for the parameters."""

        def declared(read: Callable[..., Any]) -> Block[Any]:
            made = Block(read, _options(needs, **how))
            made.subjects = self
            return made

        return declared

    @overload
    def batch(
        self,
    ) -> Callable[
        [Callable[[Check, Refresh, Sequence[SubjectT]], Mapping[str, Result | SourceError]]], Batch[Result]
    ]: ...

    @overload
    def batch(
        self, first: Reference[First], /
    ) -> Callable[
        [Callable[[Check, Refresh, Sequence[tuple[SubjectT, First]]], Mapping[str, Result | SourceError]]],
        Batch[Result],
    ]: ...

    def batch(self, *needs: Reference[Any]) -> Callable[[Callable[..., Any]], Batch[Any]]:
        """Declare a batch for the subjects; see Batch."""
        return lambda read: Batch(read, needs)


@overload
def subjects(find: Callable[[Check, Refresh], Iterable[SubjectT]]) -> Subjects[SubjectT]: ...


@overload
def subjects(
    *, eager: bool = ..., together: int = ...
) -> Callable[[Callable[[Check, Refresh], Iterable[SubjectT]]], Subjects[SubjectT]]: ...


def subjects(
    find: Callable[[Any, Refresh], Iterable[Any]] | None = None, *, eager: bool = False, together: int = 1
) -> Any:
    """Declare the subjects of a source; see Subjects."""
    made = functools.partial(Subjects, eager=eager, together=together)
    return made if find is None else made(find)


@overload
def block(
    *,
    every: Callable[[Check], float] | None = None,
    when: Callable[[Check], bool] | None = None,
    given: Callable[..., bool] | None = None,
    state: type[State] = ...,
    name: str = '',
    part: str = '',
) -> Callable[[Callable[[Check, Attempt[State]], Result]], Block[Result]]: ...


@overload
def block(
    first: Reference[First],
    /,
    *,
    every: Callable[[Check], float] | None = None,
    when: Callable[[Check], bool] | None = None,
    given: Callable[..., bool] | None = None,
    state: type[State] = ...,
    name: str = '',
    part: str = '',
) -> Callable[[Callable[[Check, Attempt[State], First], Result]], Block[Result]]: ...


@overload
def block(
    first: Reference[First],
    second: Reference[Second],
    /,
    *,
    every: Callable[[Check], float] | None = None,
    when: Callable[[Check], bool] | None = None,
    given: Callable[..., bool] | None = None,
    state: type[State] = ...,
    name: str = '',
    part: str = '',
) -> Callable[[Callable[[Check, Attempt[State], First, Second], Result]], Block[Result]]: ...


@overload
def block(
    *,
    uses: Reference[Used],
    every: Callable[[Check], float] | None = None,
    when: Callable[[Check], bool] | None = None,
    given: Callable[..., bool] | None = None,
    state: type[State] = ...,
    name: str = '',
    part: str = '',
) -> Callable[[Callable[[Check, Attempt[State], Used | None], Result]], Block[Result]]: ...


@overload
def block(
    *,
    uses: tuple[Reference[Used], Reference[UsedSecond]],
    every: Callable[[Check], float] | None = None,
    when: Callable[[Check], bool] | None = None,
    given: Callable[..., bool] | None = None,
    state: type[State] = ...,
    name: str = '',
    part: str = '',
) -> Callable[[Callable[[Check, Attempt[State], Used | None, UsedSecond | None], Result]], Block[Result]]: ...


@overload
def block(
    first: Reference[First],
    /,
    *,
    uses: Reference[Used],
    every: Callable[[Check], float] | None = None,
    when: Callable[[Check], bool] | None = None,
    given: Callable[..., bool] | None = None,
    state: type[State] = ...,
    name: str = '',
    part: str = '',
) -> Callable[[Callable[[Check, Attempt[State], First, Used | None], Result]], Block[Result]]: ...


@overload
def block(
    first: Reference[First],
    second: Reference[Second],
    /,
    *,
    uses: Reference[Used],
    every: Callable[[Check], float] | None = None,
    when: Callable[[Check], bool] | None = None,
    given: Callable[..., bool] | None = None,
    state: type[State] = ...,
    name: str = '',
    part: str = '',
) -> Callable[[Callable[[Check, Attempt[State], First, Second, Used | None], Result]], Block[Result]]: ...


def block(*needs: Reference[Any], **how: Any) -> Callable[[Callable[..., Any]], Block[Any]]:
    """Declare a block of the instance as a whole; see Block for the parameters."""
    return lambda read: Block(read, _options(needs, **how))


def _options(needs: tuple[Reference[Any], ...], *, uses: Any = (), **how: Any) -> Options:
    return Options(needs, uses if isinstance(uses, tuple) else (uses,), **how)


def table(check_class: type) -> tuple[Block[Any], ...]:
    """Return the blocks of a check, in the order of their declaration."""
    return tuple(value for value in vars(check_class).values() if isinstance(value, Block))


class BlockRunner:
    """Runs the blocks of a check, in one refresh."""

    def __init__(self, check: Any, refresh: Refresh) -> None:
        self._check = check
        self._refresh = refresh
        self._table = check.table
        # Blocks of the instance as a whole without a state, or with one of another shape.
        self._had_no_state = {
            one.key() for one in self._table if one.subjects is None and refresh.stored(one.key(), one.state) is None
        }

    def run(self) -> None:
        """Attempt all blocks that are due; those of subjects one subject after the other."""
        results: dict[Reference[Any], Any] = {}
        group: list[Block[Any]] = []
        for one in self._table:
            if group and one.subjects is not group[0].subjects:
                self._subjects(group, results)
                group = []
            if one.subjects is None:
                self._instance(one, results)
            else:
                group.append(one)
        if group:
            self._subjects(group, results)

    def _instance(self, block: Block[Any], results: dict[Reference[Any], Any]) -> None:
        if not self._is_on(block, block.key()):
            return
        due = self._refresh.due(block.name, block.part, every=self._every(block), group=self._instance_keys)
        if due or self._gained_needed_state(block):
            results[block] = self._attempt(block, results, None)

    def _subjects(self, blocks: Sequence[Block[Any]], results: Results) -> None:
        found = blocks[0].subjects
        assert found is not None
        due = self._due(found, blocks[0].name)
        while group := list(islice(due, found.together)):
            self._group(blocks, group, results)

    def _due(self, found: Subjects[Any], first: str) -> Iterator[Subject]:
        """Yield the subjects that this refresh covers."""
        for subject in found.find(self._check, self._refresh):
            never = found.eager and self._refresh.refreshed_at(first, subject.key) is None
            if never or self._refresh.due(first, subject.key):
                yield subject

    def _group(self, blocks: Iterable[Block[Any]], group: Sequence[Subject], results: Results) -> None:
        """Attempt the blocks of subjects that are read together."""
        inner: dict[str, dict[Reference[Any], Any]] = {subject.key: dict(results) for subject in group}
        for one in blocks:
            having = [subject for subject in group if self._is_on(one, one.key(subject))]
            for batch in one.batches:
                self._read(batch, having, inner)
            for subject in having:
                inner[subject.key][one] = self._attempt(one, inner[subject.key], subject)

    def _read(
        self, batch: Batch[Any], group: Sequence[Subject], results: Mapping[str, dict[Reference[Any], Any]]
    ) -> None:
        """Add the parts of a batch to the results of the subjects that lack them."""
        missing = [subject for subject in group if batch not in results[subject.key]]
        for one in batch.needs:
            if isinstance(one, Batch):
                self._read(one, missing, results)
        wanted: list[Any] = []
        for subject in missing:
            try:
                needed = self._needed(batch.needs, results[subject.key])
            except Exception as error:
                results[subject.key][batch] = error
            else:
                wanted.append((subject, *needed) if needed else subject)
        parts = self._parts(batch, wanted)
        for subject in missing:
            results[subject.key].setdefault(batch, parts.get(subject.key))

    def _parts(self, batch: Batch[Any], wanted: Sequence[Any]) -> Mapping[str, Any]:
        """Return the parts of a batch, or the error of each subject, by key."""
        if not wanted:
            return {}
        try:
            if self._refresh.fatal is not None:
                raise self._refresh.fatal
            parts: Mapping[str, Any] = batch.read(self._check, self._refresh, wanted)
        except Exception as error:
            # Raised again by the block of each subject, whose attempt reports it.
            keys = [(one[0] if isinstance(one, tuple) else one).key for one in wanted]
            return dict.fromkeys(keys, error)
        return parts

    def _attempt(self, block: Block[Any], results: Results, subject: Subject | None) -> Any:
        used = [self._used(one, results) for one in block.uses]
        about = () if subject is None else (subject,)
        if block.given is not None and not block.given(self._check, *about, *used):
            return None

        def read(attempt: Attempt[Any]) -> Any:
            return block.read(self._check, attempt, *about, *self._needed(block.needs, results), *used)

        tags = self._check.base_tags() if subject is None else subject.tags
        return self._refresh.attempt(block.key(subject), tags, read, block.state)

    def _found(self, reference: Reference[Any], results: Results) -> Any:
        """Return a result, the error of a batch, or None without either."""
        if isinstance(reference, Stored):
            return self._refresh.stored(reference.block.key(), reference.block.state)
        return results.get(reference)

    def _needed(self, references: Iterable[Reference[Any]], results: Results) -> list[Any]:
        """Return the results of these references. Raises the error of a batch, or DependencyFailed."""
        needed = []
        for one in references:
            found = self._found(one, results)
            if isinstance(found, Exception):
                raise found
            needed.append(need(found, one.name))
        return needed

    def _used(self, reference: Reference[Any], results: Results) -> Any:
        """Return a result, None without one."""
        found = self._found(reference, results)
        return None if isinstance(found, Exception) else found

    def _is_on(self, block: Block[Any], key: tuple[str, str]) -> bool:
        """Return True if a block is switched on. The samples of one that is switched off are no longer shown."""
        on = block.when is None or block.when(self._check)
        if not on:
            self._refresh.forget(*key)
        return on

    def _every(self, block: Block[Any]) -> float | None:
        return None if block.every is None else block.every(self._check)

    def _gained_needed_state(self, block: Block[Any]) -> bool:
        """Return True if a needed `Stored` state was missing when the refresh began, and exists now."""
        return any(
            isinstance(one, Stored)
            and one.block.key() in self._had_no_state
            and self._refresh.has_state(one.block.key())
            for one in block.needs
        )

    @functools.cached_property
    def _instance_keys(self) -> frozenset[tuple[str, str]]:
        return frozenset(one.key() for one in self._table if one.subjects is None)
