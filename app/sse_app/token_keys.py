"""The command that checks a file of keys for tokens as the service does: `python -m sse_app.token_keys KIND FILE`.

It needs nothing but Python's own library, so that it runs on any machine.
"""

import sys
from collections.abc import Callable

from sse_app.access import jwk, watched_file

_KINDS: dict[str, Callable[[bytes], object]] = {
    "jwks": jwk.parse,
    "secrets": lambda text: watched_file.lines(text, jwk.SECRET_BYTES),
}


def main(kind: str, path: str) -> int:
    """Say what is wrong with the file; 0 where the service would take it."""
    try:
        _KINDS[kind](watched_file.content(path))
    except (OSError, ValueError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
