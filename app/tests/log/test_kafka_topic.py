"""What the topic of the log is asked to be, without a broker."""

from __future__ import annotations

import pytest

from sse_app.log.kafka import segment_bytes


@pytest.mark.parametrize(
    ("retention", "segment"), [(-1, 2**30), (0, 2**20), (2**20, 2**20), (2**30, 2**27), (2**40, 2**30)]
)
def test_a_small_log_has_small_files_because_kafka_removes_whole_ones(retention: int, segment: int) -> None:
    assert segment_bytes(retention) == segment
