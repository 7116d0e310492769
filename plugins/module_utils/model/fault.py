"""A fault: one thing that the proof found wrong, told so that a person knows what to do."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """Who is concerned, what was tried, what came back, and what to do."""

    container: str
    tried: str
    got: str
    advice: str

    @property
    def line(self) -> str:
        """One line for people."""
        return f"{self.container}: tried to {self.tried}; got: {self.got}. Next: {self.advice}"
