# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Send a test alert to every receiver."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: alert_test
short_description: Send a test alert to every receiver, and say which of them took it
version_added: 0.2.0
description:
  - Hands a test alert to Alertmanager, which sends it to every receiver that people have in C(alerts_to).
  - The alert ends by itself after a minute, and receivers are told that, too.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.stack.directory]
attributes:
  check_mode: {support: full}
  diff_mode: {support: none}
options:
  state_directory: {required: true}
  releases:
    description: >-
      What runs in a cluster. With it, the alert is sent where this host has what sends alerts, and RV(sent) says so.
    type: list
    elements: dict
"""

EXAMPLES = r"""
- name: Send a test alert
  sse.platform.alert_test:
    state_directory: /var/lib/sse-platform
"""

RETURN = r"""
lines:
  description: One line for each receiver that took the alert.
  returned: always
  type: list
  elements: str
sent:
  description: Whether this host has what sends alerts.
  returned: with O(releases)
  type: bool
findings:
  description: What is wrong with each receiver that did not take it.
  returned: where one did not
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.model.finding import report
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases
from ansible_collections.sse.platform.plugins.module_utils.verify import alert_test
from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state_directory": {"type": "path", "required": True},
            "releases": {"type": "list", "elements": "dict"},
        },
        supports_check_mode=True,
    )
    in_cluster = module.params["releases"]
    directory = module.params["state_directory"]
    try:
        releases = newest_releases(directory) if in_cluster is None else in_cluster
        if not releases:
            module.fail_json(msg=f"There is no release in {directory}: nothing was deployed here. ./sse up does that.")
        sender = alert_test.sender_of(Engine(), releases) if in_cluster is not None else None
        sent = sender is not None or in_cluster is None
        if module.check_mode or not sent:
            would = ["A test alert would be sent to every receiver"] if sent else []
            module.exit_json(changed=False, lines=would, sent=sent)
        if sender:
            outcome = alert_test.run_in(sender, releases)
        else:
            outcome = alert_test.run(Running(Engine(), directory, releases))
    except (alert_test.AlertTestError, EngineError, SpecError) as error:
        module.fail_json(msg=str(error))
    if outcome.findings:
        head = "\n".join([*outcome.lines, report(outcome.findings)])
        module.fail_json(msg=head, lines=outcome.lines, findings=[one._asdict() for one in outcome.findings])
    module.exit_json(changed=False, lines=outcome.lines, sent=True)


if __name__ == "__main__":
    main()
