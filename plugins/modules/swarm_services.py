# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Make the services of a Swarm as their release says, on its first manager."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: swarm_services
short_description: Run a release as services of a Docker Swarm
version_added: 0.3.0
description:
  - Plans the steps from what the Swarm runs to the release, and carries them out on a manager. Replicas are
    replaced one after the other. The Swarm waits for the health of each, and goes back to what ran before when one
    fails.
  - Gives every node its role and its labels, and makes the overlay, configs and secrets. A config or secret that no
    service has any more is removed.
  - The manager keeps the secrets, the release store and the history of the stack.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.stack.directory]
attributes:
  check_mode: {support: full}
  diff_mode: {support: N/A, details: "The reasons of each step say what differs."}
options:
  state:
    description: >-
      V(prepared) makes the secrets that are missing, and returns what every host needs before tasks run there.
      V(compared) returns in what the Swarm differs from the release, for M(sse.platform.cluster_drift).
      V(present) runs the release. V(verified) compares what runs with the release, tries the ports of every host, and
      sends events through each edge.
      V(told) returns what the control room says of the releases and of what runs where.
      V(looked) returns the same without trying anything, for M(sse.platform.cluster_doctor).
      V(judged) has Prometheus say what O(canary) would be judged by, and fails where it has no value now.
      V(absent) removes the services, their objects and the overlay; data stay, and so does the Swarm.
      V(forgotten) takes the labels from nodes that say who has data, because these are about to be deleted.
      V(drained) moves what may move from O(host) to other hosts, one after the other, and ends the rest there.
      V(left) has the Swarm forget O(host), which has left it.
    type: str
    choices: [prepared, compared, verified, told, looked, judged, present, absent, forgotten, drained, left]
    default: present
  releases:
    description: One release for each project, as M(sse.platform.cluster) returns them.
    type: list
    elements: dict
    required: true
  cluster:
    description: The fact C(cluster), as M(sse.platform.cluster) returns it.
    type: dict
    required: true
  state_directory: {required: true}
  secrets:
    description: Secrets of your own, by name. The host makes the other secrets when they are first needed.
    type: dict
    default: {}
  at_once:
    description: How many replicas of a service are replaced at the same time.
    type: int
    default: 1
  wave:
    description: >-
      The services to bring up. Between two waves, M(sse.platform.node_reload) runs the programs of roles on each host.
      Without it, all services are brought up.
    type: int
  bridges:
    description: >-
      Have services that run stay on the networks that they are on, beside those that they are to be on. Another run
      without this takes them off the former.
    type: bool
    default: false
  behind:
    description: >-
      What each service lacks that keeps copies with others, as M(sse.platform.node_reload) returns it. With it, no such
      service is replaced while another one lacks something.
    type: dict
  recreate:
    description: >-
      Whether an overlay that differs may be made anew. The whole stack is removed from the Swarm for that, and data
      stay.
    type: bool
    default: false
  begun:
    description: What an earlier wave of this run returned as RV(attempt).
    type: dict
  aborted:
    description: >-
      Why a rollout was aborted. With it, O(releases) are those that were applied before, and of the services of
      O(begun) each is brought back to what they say.
    type: str
    default: ""
  availability:
    description: For hosts where that may have to change, V(active), V(pause) or V(drain). That of all others stays.
    type: dict
    default: {}
  host:
    description: The host of the inventory that V(drained) and V(left) are about.
    type: str
    default: ""
  away:
    description: Whether a host is drained, too, that holds the only copy of data, whose services are away then.
    type: bool
    default: false
  known:
    description: For V(verified), findings of the hosts that are told with those of the Swarm.
    type: list
    elements: dict
    default: []
  answers:
    description: For V(verified), how many answers from elsewhere containers had, as M(sse.platform.elsewhere) counts.
    type: int
    default: 0
  canary:
    description: What watches the first replica of each service that is replaced, as M(sse.platform.stack) takes it.
    type: dict
    default: {}
  connections:
    description: For V(verified), how many declared connections between containers were possible.
    type: int
    default: 0
  meta:
    description: Who asked for the run, and what for, as M(sse.platform.stack) takes it.
    type: dict
    default: {}
  wait:
    description: How many seconds to wait for another run that changes this stack.
    type: int
    default: 0
  progress:
    description: A file of the host into which the module writes what it does, as for M(sse.platform.stack).
    type: path
    default: ""
"""

EXAMPLES = r"""
- name: Run the release
  sse.platform.swarm_services:
    releases: "{{ releases }}"
    cluster: "{{ cluster }}"
    state_directory: /var/lib/sse-platform
"""

RETURN = r"""
directories:
  description: By host, the directories that services mount from it, as M(sse.platform.node_files) takes them.
  returned: O(state=prepared)
  type: dict
specs:
  description: By host, the services that read files anew while they run, as M(sse.platform.node_files) takes them.
  returned: O(state=prepared)
  type: dict
moves:
  description: Whether services that run have to join networks. Then O(bridges) comes first.
  returned: O(state=prepared)
  type: bool
texts:
  description: The texts of their files, by key. They hold secrets, so the task needs C(no_log).
  returned: O(state=prepared)
  type: dict
findings:
  description: What is wrong, each with its host or its service.
  returned: O(state=verified), O(state=looked), O(state=compared)
  type: list
  elements: dict
files:
  description: By name, the texts that the control room reads on each host.
  returned: O(state=told)
  type: dict
attempt:
  description: What the history has of this run, for the next wave.
  returned: O(state=present), not in check mode
  type: dict
aborted:
  description: Who aborted the rollout, and why; empty where nobody did. What it has done stays meanwhile.
  returned: O(state=present)
  type: str
back:
  description: With O(aborted), one line for each service that is as it was before.
  returned: O(state=present)
  type: list
  elements: str
switches:
  description: What is paused, by the names of the files that say so, as M(sse.platform.node_files) takes it.
  returned: O(state=prepared)
  type: dict
changes:
  description: What was done with its reasons, one line each. In check mode, what would be done.
  returned: O(state=present), O(state=drained), O(state=left)
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy import swarm_drift, switches
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError, file_refused
from ansible_collections.sse.platform.plugins.module_utils.deploy.rollout_control import AbortedError
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import SecretError
from ansible_collections.sse.platform.plugins.module_utils.deploy.swarm_nodes import Asked, Drain, Removal
from ansible_collections.sse.platform.plugins.module_utils.deploy.swarm_rollout import (
    SwarmReport,
    SwarmRequest,
    SwarmRollout,
)
from ansible_collections.sse.platform.plugins.module_utils.engine.api import RefusedError
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.host.progress import Progress
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.model.finding import of as finding_of
from ansible_collections.sse.platform.plugins.module_utils.model.finding import report as report_of
from ansible_collections.sse.platform.plugins.module_utils.model.plan import ForeignContainerError
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import Cluster
from ansible_collections.sse.platform.plugins.module_utils.releases.history import run_meta
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases
from ansible_collections.sse.platform.plugins.module_utils.verify import swarm_checks, swarm_deliveries
from ansible_collections.sse.platform.plugins.module_utils.verify.canary import seconds_of
from ansible_collections.sse.platform.plugins.module_utils.verify.swarm_canary import Overlay, SwarmCanary
from ansible_collections.sse.platform.plugins.module_utils.views import live

LOOKS = ("prepared", "compared", "verified", "told", "looked", "judged")
STATES = (*LOOKS, "present", "absent", "forgotten", "drained", "left")
EXPECTED = (ApplyError, EngineError, ForeignContainerError, RefusedError, SecretError, SpecError)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": list(STATES), "default": "present"},
            "releases": {"type": "list", "elements": "dict", "required": True},
            "cluster": {"type": "dict", "required": True},
            "state_directory": {"type": "path", "required": True},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "at_once": {"type": "int", "default": 1},
            "wave": {"type": "int"},
            "bridges": {"type": "bool", "default": False},
            "behind": {"type": "dict"},
            "recreate": {"type": "bool", "default": False},
            "begun": {"type": "dict"},
            "aborted": {"type": "str", "default": ""},
            "availability": {"type": "dict", "default": {}},
            "host": {"type": "str", "default": ""},
            "away": {"type": "bool", "default": False},
            "known": {"type": "list", "elements": "dict", "default": []},
            "answers": {"type": "int", "default": 0},
            "canary": {"type": "dict", "default": {}},
            "connections": {"type": "int", "default": 0},
            "meta": {"type": "dict", "default": {}},
            "wait": {"type": "int", "default": 0},
            "progress": {"type": "path", "default": ""},
        },
        required_if=[("state", "drained", ["host"]), ("state", "left", ["host"])],
        supports_check_mode=True,
    )
    options, known = module.params, module.params["cluster"]
    progress = Progress("" if module.check_mode else options["progress"])
    try:
        canary = canary_of(options)
    except EXPECTED as error:
        module.fail_json(msg=str(error))
    request = SwarmRequest(
        releases=options["releases"],
        cluster=Cluster(known["groups"], options["state_directory"], known["open_files"]),
        addresses=known["addresses"],
        secrets=options["secrets"],
        meta=run_meta(options["meta"]),
        at_once=options["at_once"],
        mtu=known["mtu"],
        check=module.check_mode or options["state"] == "compared",
        availability=options["availability"],
        bridges=options["bridges"],
        wave=options["wave"],
        behind=options["behind"],
        recreate=options["recreate"],
        begun=options["begun"],
        run=options["meta"],
        wait=options["wait"],
        tell=progress.tell,
        canary=canary.watch if canary else None,
        aborted=options["aborted"],
    )
    report = SwarmReport()
    try:
        rollout = rollout_of(options["state"], request, Asked(options["host"], options["away"]))
        if options["state"] == "prepared":
            # Ansible would take given secrets out of the texts. The task that asks for these has `no_log`.
            module.no_log_values = set[str]()
            kept = switches.kept(options["state_directory"])
            module.exit_json(changed=False, invocation={}, switches=kept, **prepared(rollout))
        if isinstance(rollout, swarm_drift.Look):
            module.exit_json(changed=False, findings=[one._asdict() for one in swarm_drift.find(rollout)])
        if options["state"] == "looked":
            module.exit_json(changed=False, findings=[one._asdict() for one in looked(rollout)])
        if options["state"] == "told":
            module.exit_json(changed=False, files=live.of_cluster(options["state_directory"], running(rollout)))
        if options["state"] == "judged":
            if canary and rollout.is_there:
                running_now = {name for name, nodes in running(rollout).items() if nodes}
                canary.refuse_now(newest_releases(options["state_directory"]), running_now)
            module.exit_json(changed=False)
        if options["state"] == "verified":
            found, count = verified(rollout)
            found = [*map(finding_of, options["known"]), *found]
            elsewhere = f", {options['answers']} answers from elsewhere" if options["answers"] else ""
            between = f", {options['connections']} connections between containers" if options["connections"] else ""
            fine = f"No findings: every service runs, every port is as declared{between}{elsewhere}, and {count} "
            fine += "deliveries of events."
            said = report_of(found) if found else fine
            end = module.fail_json if found else module.exit_json
            end(changed=False, msg=said, findings=[one._asdict() for one in found])
        if options["state"] == "absent":
            rollout.remove(report)
        elif options["state"] == "forgotten":
            rollout.forget(report)
        else:
            rollout.run(report)
    except AbortedError as error:
        module.exit_json(**{**result_of(report), "aborted": str(error)})
    except EXPECTED as error:
        module.fail_json(msg=report.failure(error), **result_of(report))
    except OSError as error:
        refused = file_refused(error) if error.filename else f"No Docker Engine answers: {error}"
        module.fail_json(msg=report.failure(RuntimeError(refused)), **result_of(report))
    module.exit_json(**result_of(report))


def canary_of(options: dict[str, Any]) -> SwarmCanary | None:
    """Return what watches the first replica; None where nothing is to be watched.

    :raises ApplyError: nobody can be watched for so long, or by that
    """
    if not (seconds := seconds_of(options["canary"])):
        return None
    releases = options["releases"]
    overlay = Overlay(Engine, releases[0]["stack"])
    return SwarmCanary(options["canary"], seconds, overlay, releases, options["state_directory"])


def rollout_of(state: str, request: SwarmRequest, asked: Asked) -> SwarmRollout:
    """Return the way to what is asked for."""
    if state == "drained":
        return Drain(request, asked)
    if state == "compared":
        return swarm_drift.Look(request)
    return Removal(request, asked) if state == "left" else SwarmRollout(request)


def prepared(rollout: SwarmRollout) -> dict[str, Any]:
    """Return the directories of every host, and apart from them the texts of their files."""
    texts: dict[str, str] = {}
    found, specs = rollout.files()

    def key(text: str) -> str:
        found = str(len(texts))
        texts[found] = text
        return found

    directories = {
        host: [{**one, "files": {name: key(text) for name, text in one["files"].items()}} for one in wanted]
        for host, wanted in found.items()
    }
    return {"directories": directories, "texts": texts, "specs": specs, "moves": rollout.moves()}


def seen_by(rollout: SwarmRollout) -> swarm_checks.Seen:
    """Return what the manager shows."""
    request = rollout.request
    return swarm_checks.Seen(
        rollout.compiled(),
        request.releases,
        request.cluster.hosts,
        request.addresses,
        rollout.nodes,
        rollout.api.services(),
    )


def running(rollout: SwarmRollout) -> dict[str, list[str]]:
    """Return the hosts where each service runs, as the inventory calls them."""
    names = {node["id"]: host for host, node in rollout.nodes.items()}
    return {one.name: sorted(names.get(node, node) for node in one.running) for one in rollout.api.services()}


def looked(rollout: SwarmRollout) -> list[Finding]:
    """Say what is wrong with nodes, networks and services, and try nothing."""
    return [*swarm_checks.findings(seen_by(rollout), {}), *swarm_drift.of_networks(rollout)]


def verified(rollout: SwarmRollout) -> tuple[list[Finding], int]:
    """Compare what runs with the releases, and where that is as it should be, send events; return how many arrived."""
    seen = seen_by(rollout)
    found = swarm_checks.findings(seen, swarm_checks.answers(seen))
    if any(one.wrong != swarm_checks.NO_TASKS for one in found):
        return found, 0
    checked = swarm_deliveries.through_edges(seen, rollout.directory)
    return [*found, *checked.findings], checked.verified


def result_of(report: SwarmReport) -> dict[str, Any]:
    """Return what the module says of a run."""
    return {
        "changed": bool(report.changes),
        "changes": report.changes,
        "attempt": report.attempt,
        "aborted": "",
        "back": report.back,
    }


if __name__ == "__main__":
    main()
