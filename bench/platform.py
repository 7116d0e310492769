"""Measure the deployed platform as users load it; medians of interleaved rounds.

    .venv/bin/python bench/platform.py [--rounds N] [--only SHAPE ...] [--write-docs]
    .venv/bin/python bench/platform.py --layers [--rounds N] [--write-docs]       # TLS, authorization, schemas, spans
    .venv/bin/python bench/platform.py --url=http://127.0.0.1:80 --stack sse      # a stack that runs

It deploys its own stack (`bench-platform`), with 3 and 6 replicas and with both links, and removes it. In each round,
every deployment gets every shape of load; the processor time of each container and process is read before and after.
It needs root, Docker and a C compiler. A run with three rounds takes some 20 minutes, one with `--only` and one round
less than one minute for each shape.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
if __name__ != "__main__":
    # Programs of this directory find this file where they import the module `platform` of Python: give them that one.
    spec = PathFinder.find_spec("platform", [path for path in sys.path if Path(path or ".").resolve() != HERE])
    assert spec is not None
    assert spec.loader is not None
    sys.modules[__name__] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules[__name__])
else:
    import platform_bench

    platform_bench.main()
