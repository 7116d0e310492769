# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What goes wrong while a plan is carried out."""


class ApplyError(RuntimeError):
    """A container failed. The message says which one, what it failed at, and what it wrote last."""
