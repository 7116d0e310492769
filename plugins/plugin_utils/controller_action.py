# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What actions that run on the controller share: their head, and the variables of the run with templates resolved."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.sse.platform.plugins.plugin_utils.carried_code import COLLECTION
from ansible_collections.sse.platform.plugins.plugin_utils.kept_module import KeptModules

__all__ = ["COLLECTION", "ControllerAction"]


class ControllerAction(KeptModules):
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
        self.decided = frozenset[str]()
        return result | self.decide(arguments)

    @abstractmethod
    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return what the result holds.

        :raises AnsibleActionFail: with a message that says what to do
        """

    def also(self, action: type[ControllerAction], arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        """Let another action decide within this task, which saves one; its facts are variables here from now on."""
        other = action(
            self._task, self._connection, self._play_context, self._loader, self._templar, self._shared_loader_obj
        )
        other.variables, other.decided = self.variables, self.decided
        decided = other.decide({name: one.get("default") for name, one in action.OPTIONS.items()} | (arguments or {}))
        self.know(decided.get("ansible_facts", {}), final=True)
        return decided

    def know(self, facts: dict[str, Any], *, final: bool = False) -> None:
        """Take facts as variables.

        :param final: whether they hold no templates any more, so that nobody searches them for some
        """
        self.variables = {**self.variables, **facts}
        self.decided = self.decided | facts.keys() if final else self.decided - facts.keys()
        self._templar = self._templar.copy_with_new_env(available_variables=self.variables)

    def variable(self, name: str) -> Any:
        """Return a variable of the run. What this task has decided itself is not searched for templates."""
        if name in self.decided:
            return self.variables[name]
        return self._templar.template(self.variables[name])

    def read(self, path: Path) -> Any:
        """Return what a YAML file of this collection holds, with its templates. Nobody may change it."""
        return self._loader.load_from_file(str(path), unsafe=True, trusted_as_template=True)
