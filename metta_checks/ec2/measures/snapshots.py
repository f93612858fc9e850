"""EBS snapshots."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.refresh import Sample
from ..snapshot_crawl import Totals


def measure(totals: Totals) -> Iterator[Sample]:
    """Yield the samples of block snapshots."""
    yield Sample('ebs.snapshots.total', totals.count)
    yield Sample('ebs.snapshots.size_gb', totals.size)
    yield Sample('ebs.snapshots.full_size_gb', totals.full_gib)
    yield Sample('ebs.snapshots.over_90d', totals.old)
    yield Sample('ebs.snapshots.orphaned', totals.orphaned)
