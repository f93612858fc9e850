"""The measured process of worst_answer.py: one refresh of one check. Order on stdin, result on stdout."""

from __future__ import annotations

import gc
import json
import logging
import sys
import time
from pathlib import Path

from metta_checks.testing import Clock, Driver

from .worker import Control


def peak_kib() -> int:
    """Return the peak of resident memory since it was last set back."""
    status = Path('/proc/self/status').read_text(encoding='ascii')
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith('VmHWM'))


def main() -> None:
    """Refresh, and print one line of JSON."""
    logging.disable(logging.CRITICAL)
    order = json.load(sys.stdin)
    control = Control(order['url'])
    configured = json.dumps({**control.instance(), 'timeout': 300, 'refresh_timeout': 3000})
    driver = Driver(json.loads(configured.replace(order['url'], order['proxy'])), Clock(control.now()))
    driver.check.run_check_initializations()
    gc.collect()
    # Sets the peak back to the present size.
    Path('/proc/self/clear_refs').write_text('5', encoding='ascii')
    idle = peak_kib()
    started = time.process_time()
    run = driver.run()
    cpu = time.process_time() - started
    error = run.error or '; '.join(run.warnings)
    print(json.dumps({'mib': (peak_kib() - idle) / 1024, 'cpu': cpu, 'error': error}))


if __name__ == '__main__':
    main()
