"""Reading of the Bugs project, and the state for figures over time: completions, sections, the severity field."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from ..core.errors import BadPayload, Forbidden, NotFound, Rejected, SourceError, Unavailable
from ..core.memo import Ages, Learned
from ..core.refresh import Attempt, Sample
from ..core.stored import stored
from .client import Client, OffsetExpired
from .measures import bugs as bug_measures
from .measures import reopened, section_time, severity
from .measures.calendar import MONTH
from .measures.reopened import Completions
from .measures.section_time import BugSections
from .measures.unknown import REOPENING, STAY
from .records import Bug, CustomField
from .settings import Settings

DAY_SECONDS = 86_400
# The custom field is looked up once a day; while that fails, the known one is used for a week.
FIELD_AGES = Ages(fresh=DAY_SECONDS, usable=7 * DAY_SECONDS)
# Histories that one refresh reads.
MAX_HISTORIES = 20


@stored
class KnownBugs:
    """The values that a refresh of the bugs compares with.

    Attributes:
        completions: the state of each bug, to notice when one is reopened; None while rows lack a field for that
        sections: the section of each bug; None while option `bugs_section_time` is off
        severity: the custom field of option `bugs_severity_field`; None without the option and while it is unknown
    """

    completions: Completions | None
    sections: BugSections | None
    severity: Learned[CustomField] | None


class BugSync:
    """Reader of the bugs of one project.

    Parameters:
        section_map: option `section_map` as text; with another one, the observation of sections starts again
    """

    def __init__(self, client: Client, settings: Settings, project: str, section_map: str) -> None:
        self._client = client
        self._settings = settings
        self._project = project
        self._section_map = section_map

    def severity_field(self, attempt: Attempt[KnownBugs]) -> Learned[CustomField] | None:
        """Return the custom field of option `bugs_severity_field`, None without one. Reports a failed look-up."""
        wanted, now = self._settings.severity_field, attempt.now.timestamp()
        if wanted is None:
            return None
        known = None if attempt.state is None else attempt.state.severity
        if known is not None and known.is_fresh(now, FIELD_AGES):
            return known
        try:
            fields = [field for page in self._client.custom_fields(self._project) for field in page.rows]
            return Learned(severity.find_field(fields, wanted), now)
        except (Forbidden, NotFound, Rejected, Unavailable, BadPayload) as error:
            attempt.problem(error.reason, f'bugs by severity: {error}')
            return known if known is not None and known.is_usable(now, FIELD_AGES) else None

    def read(self, attempt: Attempt[KnownBugs], field: Learned[CustomField] | None) -> list[Bug]:
        """Return the bugs: open ones, and those completed in the last 30 days.

        Raises Forbidden and NotFound with the name of the option when the project cannot be read.
        """
        since, severity_field = attempt.now - MONTH, None if field is None else field.value.gid
        try:
            try:
                pages = list(self._client.bugs(self._project, since, severity_field))
            except OffsetExpired:
                pages = list(self._client.bugs(self._project, since, severity_field))
        except (Forbidden, NotFound) as error:
            raise type(error)(
                f'the Bugs project {self._project} (option `bugs_project_gid`) cannot be read: {error}',
                reason=error.reason,
            ) from error
        if unreadable := sum(page.unreadable for page in pages):
            attempt.problem('bad_payload', f'bugs left out because they could not be read: {unreadable}')
        # A bug that moved while the pages were read comes twice.
        bugs = {gid: bug for page in pages for gid, bug in page.rows}
        return [bug for bug in bugs.values() if bug is not None]

    def observe(
        self,
        attempt: Attempt[KnownBugs],
        bugs: Collection[Bug],
        field: Learned[CustomField] | None,
        missing: Collection[str],
    ) -> KnownBugs:
        """Return the state after a comparison with the former one. `missing` are the fields that rows lack."""
        before = attempt.state
        completions = None if before is None else before.completions
        if REOPENING.isdisjoint(missing):
            # Without the fields, bugs would seem to be open, or to have been completed at another time.
            completions = self._with_histories(attempt, reopened.observe(bugs, completions, attempt.now))
        sections = None if before is None else before.sections
        if not self._settings.section_time:
            sections = None
        elif STAY.isdisjoint(missing):
            # Without the fields, bugs would seem to have left their sections.
            sections = section_time.observe(bugs, sections, attempt.now, self._settings.section_of, self._section_map)
        return KnownBugs(completions, sections, field)

    def _with_histories(self, attempt: Attempt[KnownBugs], known: Completions) -> Completions:
        """Read the histories of bugs of which it is unknown whether they were reopened, at most MAX_HISTORIES."""
        if len(known.unknown) > MAX_HISTORIES:
            attempt.unfinished(['projects.bugs.reopened_7d'])
        for gid in list(known.unknown)[:MAX_HISTORIES]:
            try:
                at = self._last_reopened(gid)
            except NotFound:
                # The task was deleted: the next refresh does not list it.
                at = None
            except SourceError as error:
                # The other figures of bugs do not need the histories.
                attempt.problem(error.reason, f'bugs reopened: the history of a bug cannot be read: {error}')
                return known
            known = reopened.with_history(known, gid, at)
        return known

    def _last_reopened(self, task: str) -> datetime | None:
        stories = (story for page in self._client.stories(task) for story in page.rows)
        return max((story.reopened for story in stories if story.reopened is not None), default=None)

    def samples(self, bugs: Collection[Bug], known: KnownBugs, now: datetime) -> Iterator[Sample]:
        """Yield the figures of the bugs."""
        yield from bug_measures.bugs(bugs, now, self._settings.section_of)
        if known.completions is not None:
            yield from reopened.reopened(known.completions, now)
        if known.sections is not None:
            yield from section_time.section_time(known.sections, now)
        if known.severity is not None:
            yield from severity.by_severity(bugs, known.severity.value.values)
