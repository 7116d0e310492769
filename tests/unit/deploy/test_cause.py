"""What a program wrote is searched for the line that says why it failed."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy.cause import cause, telling

PYTHON = ["Traceback (most recent call last):", '  File "a.py", line 1, in <module>', "ValueError: no such port"]
REDIS = ["*** FATAL CONFIG FILE ERROR (Redis 8.0.2) ***", "Reading the configuration file, at line 3", ">>> 'wrong'"]
KAFKA = ["[10:01] INFO starting", "[10:02] ERROR Exiting Kafka due to fatal exception", "java.lang.X: y", "\tat a.b"]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (PYTHON, ["ValueError: no such port"]),
        (["booting", *REDIS, ""], REDIS),
        (KAFKA, [line.strip() for line in KAFKA[1:]]),
        (["hello", "python: No module named sse_app", ""], ["python: No module named sse_app"]),
        (['{"level": "info"}', '{"level": "error", "message": "bad"}'], ['{"level": "error", "message": "bad"}']),
        ([], []),
    ],
)
def test_the_first_line_that_names_the_cause_comes_first(lines: list[str], told: list[str]) -> None:
    assert telling(lines, 8) == told


def test_no_more_lines_are_told_than_asked_for() -> None:
    assert telling(["fatal: a", *"bcdefgh"], 3) == ["fatal: a", "b", "c"]


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (
            '[warn] twice in /n.conf:3\n[emerg] unknown directive "x" in /n.conf:7\nfile /n.conf test failed',
            '[emerg] unknown directive "x" in /n.conf:7',
        ),
        (
            "Checking /p.yml\n\n  FAILED: parsing /p.yml: yaml: unmarshal errors:\n  line 1: field x not found",
            "FAILED: parsing /p.yml: yaml: unmarshal errors: line 1: field x not found",
        ),
        ("something\nelse", "something"),
        ("", "its program says nothing"),
    ],
)
def test_the_line_that_says_why_is_found(output: str, said: str) -> None:
    assert cause(output) == said
