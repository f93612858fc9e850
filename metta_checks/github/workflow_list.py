"""The workflows of a repository, as GitHub lists them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeVar

from ..core.fields import integer, text
from ..core.stored import stored
from .connections import GITHUB
from .run_records import WorkflowKey

FOLDER = '.github/workflows/'
FRESH = timedelta(days=1)

T = TypeVar('T')


class Registration(NamedTuple):
    """A workflow that has run in the repository. GitHub keeps it when its file is deleted."""

    key: int
    name: str
    path: str
    deleted: bool

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Registration:
        """Read a workflow of REST. Raises BadPayload without id."""
        key = GITHUB.required(integer, value, 'id', 'workflow')
        path = text(value.get('path')) or ''
        return cls(key, text(value.get('name')) or path, path, value.get('state') == 'deleted')


@stored
class ListedPart(Generic[T]):
    """A list that GitHub may not show.

    Attributes:
        rows: the list; None when GitHub does not show it
        etag: GitHub's mark of the list, with which an unchanged one costs no quota
        read_at: the time of reading
    """

    rows: tuple[T, ...] | None
    etag: str
    read_at: datetime


@stored
class WorkflowList:
    """The workflows of a repository.

    Attributes:
        workflows: the workflows, deleted ones among them; None before they are read
        files: the paths of the workflow files on the default branch; None before they are read
    """

    workflows: ListedPart[Registration] | None = None
    files: ListedPart[str] | None = None

    @property
    def registered(self) -> tuple[Registration, ...]:
        """The known workflows."""
        return (self.workflows.rows if self.workflows is not None else None) or ()

    def is_deleted(self, key: WorkflowKey) -> bool:
        """Return whether a workflow is not listed, or has no file on the default branch."""
        if isinstance(key, str) or self.workflows is None or self.workflows.rows is None:
            return False
        known = next((one for one in self.workflows.rows if one.key == key), None)
        if known is None or known.deleted:
            return True
        files = self.files.rows if self.files is not None else None
        return files is not None and known.path.startswith(FOLDER) and known.path not in files


def is_stale(part: ListedPart[Any] | None, now: datetime) -> bool:
    """Return whether a list is to be read again although nothing suggests that it has changed."""
    return part is None or not timedelta(0) <= now - part.read_at < FRESH
