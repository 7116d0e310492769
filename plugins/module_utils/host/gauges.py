# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Gauges in the text format of Prometheus, for the files that the node exporter reads.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations


def gauge(name: str, text: str, *samples: tuple[str, str]) -> list[str]:
    """Return the lines of a gauge.

    :param text: what it says, on one line
    :param samples: the labels as the format writes them, with their braces or empty, and the value
    """
    return [f"# HELP {name} {text}", f"# TYPE {name} gauge", *(f"{name}{labels} {value}" for labels, value in samples)]
