# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Run modules of this collection from the code that the host keeps, in any action."""

from __future__ import annotations

from typing import Any

from ansible.executor import module_common
from ansible.plugins.action import ActionBase
from ansible_collections.sse.platform.plugins.module_utils.host import kept_code
from ansible_collections.sse.platform.plugins.plugin_utils import carried_code

OURS = "sse.platform."
# A run that changes nothing, and one that removes all of a stack, bring nothing to be kept: this variable says so.
BRINGS_NOTHING = "__keeps_no_code"


class KeptModules(ActionBase):
    """Runs modules as Ansible does, but with little to send and nothing to compile.

    Where the host doesn't keep the code, it is brought, or the module is sent as any other.
    """

    _brings = False
    _as_any_other = False

    def _execute_module(self, *given: Any, **named: Any) -> dict[str, Any]:
        result = super()._execute_module(*given, **named)
        if not result.pop(kept_code.MISSING, False):
            return result
        variables = named.get("task_vars") or {}
        if result["can_keep"] and not self._brings and not self._task.check_mode and not variables.get(BRINGS_NOTHING):
            self._brings = True
        else:
            self._as_any_other = True
        return self._execute_module(*given, **named)

    def _configure_module(self, module_name: str, module_args: dict[str, Any], task_vars: dict[str, Any]) -> Any:
        if self._as_any_other or not self._can_run(module_name):
            return super()._configure_module(module_name, module_args, task_vars)
        try:
            interpreter = module_common._get_shebang("/usr/bin/python", task_vars, self._templar)[0]  # noqa: SLF001
        except module_common.InterpreterDiscoveryRequiredError:  # whoever asks first finds the interpreter
            return super()._configure_module(module_name, module_args, task_vars)
        name = module_name.removeprefix(OURS)
        built = module_common._BuiltModule(  # noqa: SLF001 - what the method returns
            b_module_data=carried_code.script(name, module_args, brings=self._brings),
            module_style="new",
            shebang=interpreter,
            serialization_profile=carried_code.PROFILE,
        )
        return built, f"{name}.py"

    def _can_run(self, module_name: str) -> bool:
        elsewhere = self._task.async_val or self._task.delegate_to
        return module_name.startswith(OURS) and not elsewhere and carried_code.fits()
