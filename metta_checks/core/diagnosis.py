"""Findings about every instance, whatever its source, for `datadog-agent diagnose` and `metta-checks doctor`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from . import remedies
from .errors import SourceError

# The figures need no better clock; signed requests are refused from some minutes on.
MAX_SKEW_SECONDS = 60
UNVERIFIED = (
    'the TLS certificate of the service is not verified: whoever stands in between can read the credentials and change '
    'the answers'
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer of `datadog-agent diagnose` and `metta-checks doctor`. `status` is ok, warning or fail."""

    name: str
    status: str
    message: str
    remedy: str = ''


def of_error(name: str, error: SourceError) -> Finding:
    """Return the finding about an error: the service's own reason, and what to do."""
    return Finding(name, 'fail', error.fact, remedies.remedy(error))


def of_tls(verified: bool) -> Iterator[Finding]:
    """Yield a warning unless the certificate of the service is verified."""
    if not verified:
        yield Finding('tls', 'warning', UNVERIFIED, 'give the CA of the service as `tls_ca_cert` instead')


def of_options(lines: Iterable[str]) -> Iterator[Finding]:
    """Yield a warning for each option that nothing reads."""
    for line in lines:
        yield Finding('options', 'warning', line, 'correct its name, or remove it')


def of_tags(tags: Iterable[str]) -> Iterator[Finding]:
    """Yield a finding on the tag `env` of the instance."""
    environments = [tag for tag in tags if tag.startswith('env:')]
    if environments:
        yield Finding('tags', 'ok', f'{", ".join(environments)} is on every series')
    else:
        yield Finding(
            'tags',
            'warning',
            'no tag `env`: dashboards cannot be filtered by it, and SLOs, which ask for env:production, see nothing',
            'add it to option `tags`, as `env:production`',
        )


def of_age(age: float | None, keep: float) -> Iterator[Finding]:
    """Yield a finding on the age of the stored figures in seconds, None without any; they are shown up to `keep`."""
    if age is None:
        return
    if age > keep:
        yield Finding(
            'last refresh',
            'warning',
            f'{age:.0f} s ago: the figures are not shown any more, because they are older than {keep:.0f} s',
            'look at `datadog-agent status`, and at what is not ok here',
        )
    else:
        yield Finding('last refresh', 'ok', f'{age:.0f} s ago')


def of_clock(skew: float | None) -> Iterator[Finding]:
    """Yield a finding on the seconds that this machine's clock is ahead of the service's; none for None, unknown."""
    if skew is None:
        return
    if abs(skew) > MAX_SKEW_SECONDS:
        yield Finding(
            'clock',
            'warning',
            f'{abs(skew):.0f} s {"ahead of" if skew > 0 else "behind"} the clock of the service: windows and ages are '
            'counted with it, and signed requests may be refused',
            'let the clock of this machine be set from the network (NTP)',
        )
    else:
        yield Finding('clock', 'ok', f'within {MAX_SKEW_SECONDS} s of the clock of the service')
