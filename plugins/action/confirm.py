# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Ask the person at the terminal before something is done that cannot be undone."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail, AnsiblePromptInterrupt, AnsiblePromptNoninteractive
from ansible.utils.display import Display
from ansible_collections.sse.platform.plugins.plugin_utils.controller_action import ControllerAction

YES = ("y", "yes")


class ActionModule(ControllerAction):
    """Asks once for all hosts of the play. Where nobody can answer, only an earlier consent helps."""

    BYPASS_HOST_LOOP = True
    OPTIONS: ClassVar = {
        "question": {"type": "list", "elements": "str", "required": True},
        "answer": {"type": "str", "required": True},
        "confirmed": {"type": "bool", "required": True},
        "consent": {"type": "str", "required": True},
    }

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return whether somebody was asked, or fail where the answer is not a yes."""
        if arguments["confirmed"] or self._task.check_mode:
            return {"asked": False}
        question = "\n".join(arguments["question"])
        asked = f"{question}\nType {arguments['answer']} or y to go on: "
        try:
            given = Display().prompt_until(asked, private=False)
        except AnsiblePromptNoninteractive:
            raise AnsibleActionFail(
                f"This needs a yes, and there is no terminal to ask at. Nothing was changed.\n{question}\n"
                f"If that is what you want, run it again with {arguments['consent']}."
            ) from None
        except AnsiblePromptInterrupt:
            given = b""
        answer = given.decode(errors="replace").strip()
        if answer not in (arguments["answer"], *YES):
            raise AnsibleActionFail(f"The answer was '{answer}', which is not a yes. Nothing was changed.")
        return {"asked": True}
