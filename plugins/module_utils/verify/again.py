# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The verification that a timer starts on the host, without the controller: the matrix is measured again.

It is what `./sse verify` does. Prometheus gets what it has measured, how many findings there are, and how often it
runs.
"""

from __future__ import annotations

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
    if claim := run_lock.holder_of(state):
        sys.stdout.write(f"{claim['asked'] or 'A run'} changes the stack {job['stack']} now: it verifies at its end.\n")
        return 0
    try:
        releases = newest_releases(state)
        findings = verify_stack(state, releases).findings if releases else []
    except (EngineError, SpecError, OSError) as error:
        sys.stderr.write(f"The stack {job['stack']} cannot be verified: {error}\n")
        return 1
    record(job, findings, time.time())
    sys.stdout.writelines(f"{one.subject}: {one.wrong}\n" for one in findings)
    sys.stdout.write(f"The stack {job['stack']} was verified: {len(findings)} findings\n")
    return 2 if findings else 0
