"""What a program wrote is searched for the line that says why it failed."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy.cause import cannot_start, cause, telling, way_on

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


FRAMES = [f"\tat org.apache.kafka.server.Part{number}.run(Part{number}.scala:{number})" for number in range(40)]
# Logs of programs that ended, each with what must be told first, and what else; the next report is one more row.
LOGS = {
    "Kafka on a disk of its own": (
        [
            "[2026-11-28 20:00:00,000] INFO KafkaConfig values:",
            "\tcontroller.quorum.fetch.error = x",
            "[2026-11-28 20:00:01,000] INFO Loading logs from log dirs, no error yet (kafka.log.LogManager)",
            "[2026-11-28 20:00:01,000] ERROR Encountered fatal fault: Error starting LogManager (TerminatingFault)",
            "org.apache.kafka.common.KafkaException: Found directory /data/kafka/lost+found, which is no partition",
            *FRAMES,
            "[2026-11-28 20:00:01,000] INFO [BrokerServer id=1] shutting down (kafka.server.BrokerServer)",
        ],
        "ERROR Encountered fatal fault",
        "lost+found",
    ),
    "a cause below another exception": (
        ["ERROR Exiting Kafka", "java.lang.RuntimeException: outer", *FRAMES,
         "Caused by: java.io.IOException: No space left on device", *FRAMES, "\t... 12 more"],
        "ERROR Exiting Kafka",
        "Caused by: java.io.IOException: No space left on device",
    ),
    "a Java that has no memory": (
        ["INFO starting", "java.lang.OutOfMemoryError: Java heap space", *FRAMES], "OutOfMemoryError", "heap space",
    ),
    "a Java that does not start": (
        ["OpenJDK 64-Bit Server VM warning: x", "Error: Could not find or load main class kafka.Kafka"],
        "Error: Could not find", "kafka.Kafka",
    ),
    "Python with a chain": (
        ["Traceback (most recent call last):", '  File "/a.py", line 3, in <module>', "    raise_error(fatal)",
         "KeyError: 'brokers'", "", "During handling of the above exception, another exception occurred:", "",
         "Traceback (most recent call last):", '  File "/b.py", line 9, in <module>', "    main()",
         "sse_app.ConfigurationError: KAFKA_BROKERS: expected host:port"],
        "KeyError: 'brokers'", "KAFKA_BROKERS: expected host:port",
    ),
    "Python with marks below its source": (
        ["Traceback (most recent call last):", '  File "/a.py", line 3, in <module>', "    int(error)", "        ^^^^^",
         "ValueError: invalid literal"],
        "ValueError", "invalid literal",
    ),
    "a warning of Python before the error": (
        ["/x.py:1: DeprecationWarning: error handlers", "sse_app: KAFKA_BROKERS: an error"], "sse_app:", "KAFKA",
    ),
    "Go that panics": (
        ["level=info msg=starting error=none", "panic: open /etc/x.yml: permission denied", "",
         "goroutine 1 [running]:", "main.main()", "\t/src/main.go:12 +0x1d"],
        "panic: open", "permission denied",
    ),
    "Prometheus": (
        ['ts=1 caller=main.go:1 level=info msg="no error"', 'ts=2 caller=main.go:2 level=error err="lock DB: denied"'],
        "level=error", "lock DB",
    ),
    "NGINX": (
        ["2026/11/28 20:00:00 [notice] 1#1: using error log", "2026/11/28 [warn] 1#1: failed soon",
         "2026/11/28 20:00:00 [emerg] 1#1: bind() to 0.0.0.0:80 failed (98: Address already in use)"],
        "[emerg]", "Address already in use",
    ),
    "Redis without a mark": (
        ["1:C 28 Nov 2026 * Redis is starting", "1:M 28 Nov 2026 # Can't open the append-only file: Permission denied"],
        "Can't open", "Permission denied",
    ),
    "Redis with a wrong setting": (
        ["*** FATAL CONFIG FILE ERROR (Redis 8.0.2) ***", "Reading the file, at line 3", ">>> 'wrong yes'"],
        "FATAL CONFIG", ">>> 'wrong yes'",
    ),
    "Rust that panics": (
        ["[INFO] up", "thread 'main' panicked at src/main.rs:4:5:", "no config", "stack backtrace:", "   0: 0x55d - x"],
        "panicked", "no config",
    ),
    "Node": (
        ["node:internal/modules", "Error: Cannot find module '/app/x.js'", "    at Module._resolve (node:internal:1:2)",
         "    at node:internal/main:22:47"],
        "Error: Cannot find module", "x.js",
    ),
    "a shell": (["exec /entrypoint: exec format error"], "exec format error", "entrypoint"),
    "JSON": (
        ['{"level": "warning", "message": "error"}', '{"level": "critical", "message": "no disk"}'], "critical", "no",
    ),
    "only a warning": (["[1] INFO up", "[2] WARN it failed"], "[2] WARN it failed", "failed"),
}  # fmt: skip


@pytest.mark.parametrize("what", LOGS)
def test_the_cause_is_told_without_the_frames_of_the_stack(what: str) -> None:
    lines, first, also = LOGS[what]
    told = telling(lines, 8)
    assert first in told[0]
    assert any(also in line for line in told)
    assert not [line for line in told if line.startswith("at ") or (".go:" in line and "caller" not in line)]


@pytest.mark.parametrize(
    ("what", "way"),
    [
        ("Kafka on a disk of its own", "one directory higher"),
        ("a cause below another exception", "make room"),
        ("a Java that has no memory", "*_memory"),
        ("Go that panics", "./sse verify"),
        ("NGINX", "ss -ltnp"),
        ("a shell", "another architecture"),
        ("JSON", ""),
    ],
)
def test_a_known_cause_has_its_way_on(what: str, way: str) -> None:
    found = way_on(telling(LOGS[what][0], 8))
    assert way in found
    assert bool(found) is bool(way)


SHIM = (
    "start f5b9f6b6b750: failed to create shim task: OCI runtime create failed: runc create failed: unable to start "
    'container process: exec: "tool": executable file not found in $PATH: unknown'
)


def test_what_the_engine_cannot_start_is_told_by_its_name_and_the_words_that_count() -> None:
    assert cannot_start("sse-tool", SHIM).splitlines() == [
        'sse-tool can\'t start: exec: "tool": executable file not found in $PATH',
        "Its image has no such program, or it may not be run: correct `entrypoint` or `image`.",
        "Next: correct its declaration, and run `./sse up` again.",
    ]
    assert cannot_start("sse-x", "start f5b9f6b6b750: driver failed: port is already allocated").startswith(
        "sse-x can't start: driver failed: port is already allocated\nAnother container has the port"
    )
    taken = cannot_start("sse-x", "start f5b9f6b6b750: Address already in use")
    assert "Another container has its address" in taken
    assert "port" not in taken
