# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Run a module of this collection from the code that the host keeps. `meta/runtime.yml` says which modules."""

from __future__ import annotations

from ansible.plugins.action.normal import ActionModule as NormalAction
from ansible_collections.sse.platform.plugins.plugin_utils.kept_module import KeptModules


class ActionModule(KeptModules, NormalAction):
    """As Ansible runs any module."""
