"""`python -m sse_app`."""

import sys

HELP = """usage: python -m sse_app

Run one replica of the SSE service until it is told to stop (SIGTERM). It takes no arguments: environment variables
configure it (app/sse_app/base/settings.py lists them). Without any, it listens on 0.0.0.0:8000, keeps events in this
process alone, and lets everybody publish and subscribe; SSE_HOST=127.0.0.1 keeps it to this machine.

exit codes: 0 it was told to stop, 1 it failed, 2 its configuration is not valid
"""


def run(words: list[str]) -> int:
    """Answer what asks for help, refuse other words, or serve."""
    if any(word in {"-h", "--help", "help"} for word in words):
        sys.stdout.write(HELP)
        return 0
    if words:
        sys.stderr.write(f"sse_app: it takes no argument '{words[0]}'. python -m sse_app --help says what it takes.\n")
        return 2
    from sse_app.server import main  # noqa: PLC0415 - help needs none of it

    return main()


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
