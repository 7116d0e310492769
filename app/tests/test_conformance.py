"""The OpenAPI document, held against a live replica by schemathesis: generated requests, valid and not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from sse_harness import Replicas, Stream

HERE = Path(__file__).parent
EXAMPLES = 10  # per operation, after what its documented examples and bounds give: some 250 requests
# A replica with as many streams as it may have answers a further one by 200, retry and its end: that can be checked.
FULL = {"max_streams": 1, "max_stats_streams": 1, "max_batch_events": 20, "max_channels_per_stream": 5}


def test_every_answer_is_one_that_the_document_allows_and_none_is_a_server_error(tmp_path: Path) -> None:
    with (
        Replicas(**FULL) as replica,
        replica.stream("held") as events,
        Stream(replica.port, path="/api/v1/stats/stream") as stats,
    ):
        for stream in (events, stats):
            assert stream.block()
        run = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{replica.port}/openapi.json"),
                *("--checks=all", f"--max-examples={EXAMPLES}", "--seed=1", "--no-color", "--continue-on-failure"),
                *("--request-timeout=10", "--generation-database=none"),
            ],
            cwd=tmp_path,  # it leaves files for a replay
            env={**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(HERE)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        assert re.search(r"\b(\d+) selected / \1 total", run.stdout)
        assert replica.get("/health/ready").status == 200
