# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""How many streams a container holds now, by its own metrics. A service says in its `metrics` which one counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint, request

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json, Spec

ANSWER_SECONDS = 2.0  # a replica that answers later is not counted: a plan must not wait


def open_streams(metrics: Iterable[Json], containers: Mapping[str, Spec], asked: Collection[str]) -> dict[str, int]:
    """Ask containers how many streams they hold; one that does not answer is left out.

    :param metrics: what services declare, each with ``targets``, ``path`` and ``streams``, the name of the metric
    :param containers: the specs of a release, by full name
    :param asked: full names of the containers to ask
    """
    short = {one["container"]: name for name, one in containers.items() if name in asked}
    found: dict[str, int] = {}
    for metric in metrics:
        for target in metric["targets"]:
            container, __, port = target.partition(":")
            name = short.get(container)
            address = next(iter(containers[name]["networks"].values()), "") if name else ""
            if name and address:
                endpoint = Endpoint(name, address, int(port))
                answer = request(endpoint, "GET", metric.get("path", "/metrics"), timeout=ANSWER_SECONDS)
                if (value := sample(answer.body, metric["streams"])) is not None:
                    found[name] = value
    return found


def sample(text: str, metric: str) -> int | None:
    """Return the sum of a metric in the text format of Prometheus; None where it is not there."""
    values = [
        float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith((f"{metric} ", f"{metric}{{")) and line.rpartition(" ")[2]
    ]
    return round(sum(values)) if values else None
