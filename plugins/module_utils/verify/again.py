# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The verification that a timer starts on the host, without the controller: the matrix is measured again.

It is what `./sse verify` does. Prometheus gets what it has measured, how many findings there are, and how often it
runs.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from pathlib import Path
from typing import cast

from ansible_collections.sse.platform.plugins.module_utils.deploy import run_lock
from ansible_collections.sse.platform.plugins.module_utils.engine.client import EngineError
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases
from ansible_collections.sse.platform.plugins.module_utils.verify.timed import Job, record
from ansible_collections.sse.platform.plugins.module_utils.verify.verifier import verify_stack


def main() -> int:
    """Verify once; the argument is a file with the job."""
    job = cast("Job", json.loads(Path(sys.argv[1]).read_text()))
    state = job["state_directory"]
    if changing(job):
        return 0
    try:
        releases = newest_releases(state)
        disturbed = functools.partial(run_lock.holder_of, state)
        findings = verify_stack(state, releases, disturbed=disturbed).findings if releases else []
    except (EngineError, SpecError, OSError) as error:
        sys.stderr.write(f"The stack {job['stack']} cannot be verified: {error}\n")
        return 1
    if changing(job):
        return 0
    record(job, findings, time.time())
    sys.stdout.writelines(f"{one.subject}: {one.wrong}\n" for one in findings)
    sys.stdout.write(f"The stack {job['stack']} was verified: {len(findings)} findings\n")
    return 2 if findings else 0


def changing(job: Job) -> bool:
    """Tell whether a run changes the stack now, and say so."""
    claim = run_lock.holder_of(job["state_directory"])
    if claim:
        sys.stdout.write(f"{claim['asked'] or 'A run'} changes the stack {job['stack']} now: it verifies at its end.\n")
    return bool(claim)
