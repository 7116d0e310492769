# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What actions that run on the controller share: their head, and the variables of the run with templates resolved."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from ansible.plugins.action import ActionBase

COLLECTION = Path(__file__).resolve().parents[2]


class ControllerAction(ActionBase):
    """An action that decides on the controller. The managed host is not touched, in check mode neither."""

    _supports_check_mode = True
    _supports_diff = False
    _requires_connection = False
    TRANSFERS_FILES = False
    OPTIONS: ClassVar[dict[str, dict[str, Any]]] = {}  # the argument specification

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Check the arguments, and return the result of the action."""
        result = super().run(tmp, task_vars)
        __, arguments = self.validate_argument_spec(self.OPTIONS)
        self.variables = task_vars or {}
        return result | self.decide(arguments)

    @abstractmethod
    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return what the result holds.

        :raises AnsibleActionFail: with a message that says what to do
        """

    def variable(self, name: str) -> Any:
        """Return a variable of the run."""
        return self._templar.template(self.variables[name])

    def read(self, path: Path) -> Any:
        """Return what a YAML file of this collection holds, with its templates. Nobody may change it."""
        return self._loader.load_from_file(str(path), unsafe=True, trusted_as_template=True)
