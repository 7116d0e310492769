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
        (
            'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    fatal()\nKeyError: bad:\n    x',
            "KeyError: bad: x",
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
    "logrus": (
        ['time="2026-11-28" level=warning msg="failed to read hint"', "level=notice msg='no error'",
         'time="2026-11-28" level=fatal msg="cannot bind :80"'],
        "level=fatal", "cannot bind",
    ),
    "logrus at a terminal": (
        ["\x1b[33mWARN\x1b[0m[0000] failed to read hint", "\x1b[31mFATA\x1b[0m[0000] cannot bind :80"],
        "FATA[0000] cannot bind", ":80",
    ),
    "what a terminal would carry out": (["fine", "\x1b[2Jerror:\x07 cannot\x08 bind"], "error: cannot bind", "bind"),
    "MySQL": (
        ["2026-11-28T20:00:00.000000Z 0 [Note] failed before", "2026-11-28 0 [Warning] [MY-010075] [Server] it failed",
         "2026-11-28T20:00:00.000000Z 0 [ERROR] [MY-010119] [Server] Aborting"],
        "[ERROR]", "Aborting",
    ),
    "PostgreSQL": (
        ["2026-11-28 20:00:00.000 UTC [1] LOG:  no error yet", "UTC [1] WARNING:  it failed to create a socket",
         "2026-11-28 20:00:00.000 UTC [1] FATAL:  data directory has wrong ownership", "UTC [1] HINT:  start it as x"],
        "FATAL:", "HINT:",
    ),
    "Logback": (
        ["20:00:00.000 [the-thread-of-a-consumer-with-a-long-name-of-its-own-1] WARN  org.x.Y - Failed to load",
         "java.net.ConnectException: Connection refused", "\tat java.base/java.net.Socket.run(Socket.java:1) ~[x:1]",
         "Caused by: java.io.IOException: unreachable", "\t... 3 common frames omitted",
         "20:00:01.000 [main] ERROR org.x.Main - No broker is left"],
        "ERROR org.x.Main", "No broker",
    ),
    "Spring whose cause holds the word of a lower level": (
        ["2026-11-28T20:00:00Z  WARN 1 --- [main] o.s.X : failed", "2026-11-28T20:00:00Z ERROR 1 --- [x] o.s : INFO"],
        "ERROR 1", "INFO",
    ),
    "Tomcat": (
        ["28-Nov-2026 20:00:00.000 WARNING [main] org.apache.X it failed",
         "28-Nov-2026 20:00:00.000 SEVERE [main] org.apache.Y A child container has ended"],
        "SEVERE", "ended",
    ),
    "JSON with the level behind": (
        ['{"error": "timeout", "level": "warn"}', '{"msg": "ERROR page", "severity":"INFO"}',
         '{"ts": 1, "log.level": "fatal", "message": "bind"}'],
        "fatal", "bind",
    ),
    "JSON with levels of pino": (
        ['{"level":40,"msg":"failed"}', '{"level":60,"msg":"cannot bind"}'], '"level":60', "cannot bind",
    ),
    "MongoDB": (
        ['{"t":1,"s":"W","c":"CONTROL","msg":"fatal assertion ahead"}', '{"t":1,"s":"E","c":"NETWORK","msg":"in use"}'],
        '"s":"E"', "in use",
    ),
    "zap": (
        ["2026-11-28T20:00:00Z\twarn\tx/main.go:1\tfailed", "2026-11-28T20:00:00Z\tfatal\tx/main.go:2\tcaller gone",
         "main.main", "\t/src/main.go:12"],
        "\tfatal\t", "gone",
    ),
    "Serilog": (["[20:00:00 WRN] failed", "[20:00:00 FTL] Host ended"], "FTL", "ended"),
    "klog": (
        ["W1128 20:00:00.000000 1 caller.go:1] failed", "F1128 20:00:00.000000 1 caller.go:2] no lease"],
        "F1128", "lease",
    ),
    "Go that says nothing else": (
        ["2026/11/28 20:00:00 starting", "main.go:12: caller cannot bind :80", "exit status 1"], "cannot bind", "exit",
    ),
    "Go with a panic below other panics": (
        ["panic: first", "\tpanic: second [recovered]", "", "goroutine 1 [running]:", "panic({0x5a, 0xc0})",
         "main.(*T).error(0xc0)", "\t/src/main.go:12 +0x1d", "main.main()", "\t/src/main.go:30 +0x1d",
         "created by main.start in goroutine 1", "exit status 2"],
        "panic: first", "exit status 2",
    ),
    "Python with a warning before": (
        ["/x.py:1: UserWarning: it failed", "  warnings.warn('error')", "WARNING:root:failed to load",
         "Traceback (most recent call last):", '  File "/a.py", line 3, in <module>', "    raise Error(x)",
         "sse_app.ConfigurationError: no broker"],
        "ConfigurationError", "no broker",
    ),
    "uvicorn": (
        ["INFO:     Started", "WARNING:  failed to import uvloop", "ERROR:    Application startup ended"],
        "ERROR:", "ended",
    ),
    "Ruby": (
        ["W, [2026-11-28T20:00:00 #1]  WARN -- : failed", "/a.rb:1: warning: error is shadowed",
         "/app/x.rb:3:in `connect': refused (RuntimeError)", "\tfrom /app/x.rb:7:in `load error'"],
        "/app/x.rb:3", "RuntimeError",
    ),
    "PHP": (
        ["PHP Warning:  it failed in /x.php on line 3", "[28-Nov-2026 20:00:00] NOTICE: an error before",
         "PHP Deprecated:  error in /x.php", "PHP Fatal error:  Uncaught PDOException: refused in /x.php:3",
         "Stack trace:", "#0 /x.php(3): PDO->__construct('an error')", "#1 {main}", "  thrown in /x.php on line 3"],
        "PHP Fatal error:  Uncaught", "refused",
    ),
    "Rust with the names of its frames": (
        ["2026-11-28T20:00:00Z \x1b[33m WARN\x1b[0m app: failed", "thread 'main' panicked at src/main.rs:4:5:",
         "no config", "stack backtrace:", "   0: rust_begin_unwind",
         "             at /rustc/x/library/std/src/panicking.rs:645:5",
         "   1: app::error::<impl core::fmt::Debug for app::error>::fmt", "note: run with `RUST_BACKTRACE=full`"],
        "panicked", "no config",
    ),
    "Node that quotes its source": (
        ["(node:1) ExperimentalWarning: an error", "/app/x.js:12", "    throw new TypeError('x ' + y);", "    ^",
         "", "Error: DATABASE_URL is not set", "    at Object.<anonymous> (/app/x.js:12:9)",
         "    at async f (/app/y.js:3:5)",
         "    at async Promise.all (index 0)", "    at Foo.bar [as error] (/app/z.js:1:2)", "", "Node.js v20.0.0"],
        "Error: DATABASE_URL", "Node.js",
    ),
    "npm": (["npm WARN config error", "npm ERR! missing script: start"], "npm ERR!", "start"),
    ".NET": (
        ["warn: Microsoft.X[0]", "      it failed", "Unhandled exception. System.IO.IOException: in use",
         " ---> System.Net.Sockets.SocketException (98): Address in use", "   at A.B(String error) in /x.cs:line 12",
         "   at A.<>c.<<Main>b__0_0>d.MoveNext()", "--- End of stack trace from previous location ---"],
        "Unhandled exception.", "SocketException",
    ),
    "HAProxy": (
        ["[NOTICE]   (1) : no error", "[WARNING]  (1) : config : failed", "[ALERT]    (1) : config : unknown keyword"],
        "[ALERT]", "unknown",
    ),
    "Apache": (
        ["[Sat Nov 28 2026] [core:warn] [pid 1] AH00098: failed", "[Sat Nov 28 2026] [mpm_event:emerg] no slot"],
        "emerg", "slot",
    ),
    "ClickHouse": (["2026.11.28 [ 1 ] <Warning> X: failed", "2026.11.28 [ 1 ] <Error> Y: gone"], "<Error>", "gone"),
    "an entrypoint": (
        ["/docker-entrypoint.sh: info: failed to modify x", "1764360000: Warning: failed", "mosquitto: cannot open x"],
        "mosquitto:", "open",
    ),
    "Perl": (
        [
            "Can't locate Shop/Orders.pm in @INC (you may need to install the module) at /app/x.pl line 3.",
            "BEGIN failed--compilation aborted at /app/x.pl line 3.",
        ],
        "Can't locate Shop/Orders.pm",
        "compilation aborted",
    ),
    "Haskell": (
        [
            "server: /data/db: openFile: permission denied (Permission denied)",
            "CallStack (from HasCallStack):",
            "  error, called at src/Main.hs:12:5 in main:Main",
        ],
        "openFile: permission denied",
        "openFile",
    ),
    "Elixir": (
        [
            "** (Mix) Could not start application shop: Shop.Application.start(:normal, []) returned an error: x",
            "    ** (EXIT) an exception was raised:",
            '        ** (ArgumentError) could not fetch environment variable "DB"',
            "            (elixir 1.17.2) lib/system.ex:706: System.fetch_env!/1",
            "            (shop 0.1.0) lib/shop/repo.ex:9: Shop.Repo.init/2",
        ],
        "Could not start application shop",
        "could not fetch environment variable",
    ),
    "Erlang": (
        ["=CRASH REPORT====", "  crasher:", "    exception exit: {bad_return,{{shop,start,[]},{'EXIT',eaddrinuse}}}"],
        "eaddrinuse",
        "exception exit",
    ),
    "a Java whose memory the kernel does not give": (
        ["VM warning: INFO: os::commit_memory(0xe0000000, 268435456, 0) failed; error='Not enough space' (errno=12)"],
        "os::commit_memory",
        "Not enough space",
    ),
    "an error about a level": (["error: debug: it is unknown", "error: later"], "it is unknown", "later"),
    "trouble alone in a warning": (["[1] INFO up", "[2] WARN it cannot bind", "[3] INFO bye"], "WARN", "bind"),
    "only a warning": (["[1] INFO up", "[2] WARN it failed"], "[2] WARN it failed", "failed"),
}  # fmt: skip


@pytest.mark.parametrize("what", LOGS)
def test_the_cause_is_told_without_the_frames_of_the_stack(what: str) -> None:
    lines, first, also = LOGS[what]
    told = telling(lines, 8)
    assert first in told[0]
    assert any(also in line for line in told)
    begins = (
        "at ",
        "from ",
        "(elixir",
        "CallStack",
        "error, called",
        "#",
        "--- ",
        "Stack trace",
        "main.main()",
        "main.(",
        "0: ",
        "1: ",
    )
    assert not [line for line in told if line.startswith(begins) or (".go:" in line and "caller" not in line)]


@pytest.mark.parametrize(
    ("what", "way"),
    [
        ("Kafka on a disk of its own", "one directory higher"),
        ("a cause below another exception", "make room"),
        ("a Java that has no memory", "*_memory"),
        ("Go that panics", "chown -R --reference=DIR DIR"),
        ("NGINX", "ss -ltnp"),
        ("a shell", "another architecture"),
        ("Haskell", "chown -R --reference=DIR DIR"),
        ("Erlang", "ss -ltnp"),
        ("a Java whose memory the kernel does not give", "*_memory"),
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
