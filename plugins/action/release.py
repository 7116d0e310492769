"""Resolve the declared services to a release, and refuse what the host can't run before anything changes."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.sse.platform.plugins.module_utils.deploy import existing_data, network_steps, preflight
from ansible_collections.sse.platform.plugins.module_utils.model import connections, secret, segments
from ansible_collections.sse.platform.plugins.module_utils.model.release import build
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.verify import kinds


class ActionModule(ActionBase):
    """Runs on the controller only; the managed host is not touched."""

    _supports_check_mode = True
    _supports_diff = False
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the facts ``releases``, ``release`` (the first), ``notices`` (guarantees that this host lacks) and
        ``network_steps`` (which networks to make, and to drop once nothing is on them).
        """
        result = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec({"projects": {"type": "dict", "required": True}})
        names = ("settings", "host", "images", "stack_declarations")
        settings, host, images, declared = (self._templar.template((task_vars or {})[name]) for name in names)
        claimed = {service for services in arguments["projects"].values() for service in services}
        releases: list[Any] = []
        for project, services in arguments["projects"].items():
            wanted = services or [service for service in declared if service not in claimed]
            try:
                release = build(
                    {service: declared[service] for service in wanted},
                    stack=settings["stack_name"],
                    project=project,
                    networks=segments.networks(settings),
                    references=images["references"],
                    unavailable=images["unavailable"],
                    allow_from=settings["exposure_allow_from"],
                    twins=preflight.twins(settings, host),
                    checks=kinds.declared({service: declared[service] for service in wanted}),
                )
            except SpecError as error:
                raise AnsibleActionFail(
                    f"The declared services don't make a release; nothing was changed.\n- {error}"
                ) from error
            releases.append(release)
        if not all(arguments["projects"].values()):
            secrets = {name: one for release in releases for name, one in release["secrets"].items()}
            wrong = secret.problems(settings["stack_secrets"], secrets)
            if wrong:
                lines = "".join(f"\n- {one}" for one in wrong)
                raise AnsibleActionFail(f"The given secrets fit no declaration; nothing was changed.{lines}")
        # Where a project takes all that no other claims, these are all; else some may be another run's.
        unreachable = connections.problems(releases, alone=all(arguments["projects"].values()))
        if unreachable:
            lines = "".join(f"\n- {one}" for one in unreachable)
            raise AnsibleActionFail(f"The declared services don't reach each other; nothing was changed.{lines}")
        problems = dict.fromkeys(one for release in releases for one in preflight.problems(settings, host, release))
        if host["is_root"]:
            problems |= dict.fromkeys(existing_data.problems(declared, settings, host))
        if problems:
            raise AnsibleActionFail(
                "This host can't run the release; nothing was changed.\n" + "\n".join(f"- {one}" for one in problems)
            )
        notices = preflight.notices(settings, host)
        result["ansible_facts"] = {
            "releases": releases,
            "release": releases[0],
            "notices": notices,
            "network_steps": network_steps.network_steps(settings, host, releases),
        }
        return result
