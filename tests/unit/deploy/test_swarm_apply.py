"""A plan carried out on a Swarm that a stand-in plays: order, objects, the wait for the end, and what failed."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import swarm_apply
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError
from ansible_collections.sse.platform.plugins.module_utils.deploy.rollout_control import AbortedError
from ansible_collections.sse.platform.plugins.module_utils.deploy.swarm_apply import Running, SwarmApplier
from ansible_collections.sse.platform.plugins.module_utils.engine.api import RefusedError
from ansible_collections.sse.platform.plugins.module_utils.model import spec, swarm_placement
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import ObservedService
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_plan import swarm_plan
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import Cluster, SwarmService, services

NETWORK: Any = {"name": "sse-network", "subnet": "10.99.0.0/24", "gateway": "10.99.0.1", "segment": "network"}


def container(short: str, **changes: Any) -> dict[str, Any]:
    declared = {"image": "i:1", "entrypoint": ["run"], "user": "7:8", "healthcheck": {"command": ["true"]}, **changes}
    after = [f"sse-{name}" for name in declared.pop("after", [])]
    one: dict[str, Any] = {**spec.parse(declared, "x"), "container": short, "service": "s", "aliases": [short]}
    return {**one, "networks": {"sse-network": ""}, "hosts": {}, "after": after}


def release(*containers: dict[str, Any]) -> Any:
    return {
        "stack": "sse",
        "project": "p",
        "layout": "single",
        "networks": {"sse-network": NETWORK},
        "containers": {f"sse-{one['container']}": one for one in containers},
    }


class StandIn:
    """A Swarm whose services get there after some looks, or end as it is told."""

    def __init__(self, looks: int = 1, **ends: dict[str, Any]) -> None:
        self.looks, self.ends = looks, ends
        self.done: list[str] = []
        self.made: dict[str, bytes] = {}
        self.left: dict[str, int] = {}
        self.shown: dict[str, ObservedService] = {}
        self.count = itertools.count(1)

    def services(self) -> list[ObservedService]:
        for name, left in list(self.left.items()):
            self.left[name] = left - 1
            if left <= 0:
                del self.left[name]
                one = self.shown[name]
                ready = {"running": {"n": one.wanted}, "waits": [], "update": "completed" if one.begun else ""}
                self.shown[name] = one._replace(**{**ready, **self.ends.get(name.removeprefix("sse-"), {})})
        return list(self.shown.values())

    def create(self, request: dict[str, Any]) -> None:
        self.done.append(f"create {request['Name']}")
        self.show(request, "")

    def change(self, service: str, request: dict[str, Any], *, force: bool = False) -> None:
        self.done.append(f"change {service}{' by force' * force}")
        self.show(request, f"at {next(self.count)}")

    def show(self, request: dict[str, Any], begun: str) -> None:
        name = request["Name"]
        wanted = request["Mode"].get("Replicated", {}).get("Replicas", 1)
        self.shown[name] = ObservedService(
            name, name, request["Labels"], request, wanted, {}, ["is starting"], "updating" if begun else "", "", begun
        )
        self.left[name] = self.looks

    def remove(self, service: str) -> None:
        self.done.append(f"remove {service}")
        del self.shown[service]

    def objects(self, kind: str, __: str) -> dict[str, str]:
        return {name.split("/")[1]: f"id of {name}" for name in self.made if name.startswith(kind)}

    def make_object(self, kind: str, name: str, content: bytes, __: dict[str, str]) -> str:
        self.made[f"{kind}/{name}"] = content
        return f"id of {kind}/{name}"


class Secrets:
    """A store of secrets that has one."""

    def render(self, name: str, template: str, *, make: bool = True) -> str:
        assert make
        return template.replace("{}", f"value of {name}")


def bring(swarm: StandIn, wanted: Any, **how: Any) -> list[SwarmService]:
    """Bring a release up on a Swarm, as a run does; time passes only while it waits."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    running = Running(swarm, None, Secrets(), wanted, 3, lambda: now[0], sleep, **how)  # type: ignore[arg-type]
    found = services(wanted, Cluster({"app": ["a", "b"]}, "/state"))
    observed = swarm.services()
    actions = swarm_plan(found, observed, "sse", "p", {})
    SwarmApplier(running, found).run(actions, {one.name: one for one in observed})
    return found


def test_services_come_after_those_that_they_need_and_a_second_run_changes_nothing() -> None:
    swarm = StandIn(3)
    wanted = release(container("a", after=["b"]), container("b", after=["c"]), container("c"))
    bring(swarm, wanted)
    assert swarm.done == ["create sse-c", "create sse-b", "create sse-a"]
    bring(swarm, wanted)
    assert swarm.done[3:] == []


def test_a_service_that_changes_is_updated_and_one_that_is_not_declared_goes_first() -> None:
    swarm = StandIn()
    bring(swarm, release(container("a"), container("b")))
    bring(swarm, release(container("a", image="i:2")))
    assert swarm.done[2:] == ["remove sse-b", "change sse-a"]
    assert swarm.shown["sse-a"].label("release") == "3"


FAILED = {"running": {"n": 1}, "failure": "no such image", "message": "task failed"}


def replicas(image: str, count: int = 3) -> list[dict[str, Any]]:
    return [container(f"r-{number}", rolling=True, image=image) for number in range(1, count + 1)]


def test_replicas_that_are_new_begin_together_and_later_ones_one_after_the_other() -> None:
    swarm = StandIn(2)
    looks: list[tuple[str, ...]] = []

    def watched(services: Any = swarm.services) -> Any:
        looks.append(tuple(sorted(swarm.left)))
        return services()

    swarm.services = watched  # type: ignore[method-assign]
    bring(swarm, release(*replicas("i:1"), container("z", after=["r-1"])))
    assert ("sse-r-1", "sse-r-2", "sse-r-3") in looks
    looks.clear()
    bring(swarm, release(*replicas("i:2"), container("z", after=["r-1"])))
    assert max(len(one) for one in looks) == 1
    assert swarm.done[4:] == ["change sse-r-1", "change sse-r-2", "change sse-r-3"]
    looks.clear()
    bring(swarm, release(*replicas("i:3"), container("z", after=["r-1"])), at_once=2)
    assert max(len(one) for one in looks) == 2


def test_a_replica_that_fails_keeps_the_others_as_they_are() -> None:
    swarm = StandIn()
    bring(swarm, release(*replicas("i:1")))
    swarm.ends = {"r-2": {**FAILED, "update": "rollback_completed"}}
    with pytest.raises(ApplyError, match="sse-r-2: the Swarm went back to what ran before"):
        bring(swarm, release(*replicas("i:2")))
    assert swarm.done[3:] == ["change sse-r-1", "change sse-r-2"]


def test_a_service_comes_up_at_its_home_and_then_any_host_may_run_it() -> None:
    swarm = StandIn()
    placed: list[list[str]] = []

    def watch(request: dict[str, Any]) -> None:
        placed.append(request["TaskTemplate"]["Placement"]["Constraints"])

    for name in ("create", "change"):
        step = getattr(swarm, name)
        setattr(swarm, name, lambda *given, step=step, **how: (watch(given[-1]), step(*given, **how)))
    bring(swarm, release(container("a")), homes={"sse-a": swarm_placement.Home("b", "id-b")})
    label = "node.labels.sse.platform.group.sse.app == true"
    assert placed == [[label, "node.id == id-b"], [label]]
    bring(swarm, release(container("a")), homes={"sse-a": swarm_placement.Home("b", "id-b")})
    assert len(placed) == 2


def test_a_service_that_does_not_come_up_at_its_home_may_run_anywhere() -> None:
    swarm = StandIn(a={"running": {}, "waits": ["no suitable node"]})
    with pytest.raises(ApplyError, match="sse-a: 0 of 1 tasks run"):
        bring(swarm, release(container("a")), homes={"sse-a": swarm_placement.Home("b", "id-b")})
    assert swarm.done == ["create sse-a", "change sse-a"]
    asked = swarm.shown["sse-a"].request["TaskTemplate"]["Placement"]["Constraints"]
    assert asked == ["node.labels.sse.platform.group.sse.app == true"]


def test_a_service_that_went_back_by_itself_is_left_as_it_is() -> None:
    swarm = StandIn()
    bring(swarm, release(container("a")))
    swarm.ends = {"a": {**FAILED, "update": "rollback_completed", "request": swarm.shown["sse-a"].request}}
    with pytest.raises(ApplyError, match="went back"):
        bring(swarm, release(container("a", image="i:2")), homes={"sse-a": swarm_placement.Home("b", "id-b")})
    assert swarm.done == ["create sse-a", "change sse-a"]


@pytest.mark.parametrize(("ending", "seconds"), [(3, 1.5), (10**6, 15.0)])
def test_the_next_replica_waits_until_the_earlier_task_has_said_goodbye_but_not_for_ever(
    ending: int, seconds: float
) -> None:
    swarm = StandIn()
    bring(swarm, release(*replicas("i:1", 1)))
    [one] = services(release(*replicas("i:2", 1)), Cluster({"app": ["a"]}, "/state"))
    now = [0.0]
    left = [ending]

    def looked(found: Any = swarm.services) -> Any:
        left[0] -= 1
        return [service._replace(ending=int(left[0] >= 0)) for service in found()]

    def sleep(pause: float) -> None:
        now[0] += pause

    swarm.services = looked  # type: ignore[method-assign]
    running = Running(swarm, None, None, release(), 1, lambda: now[0], sleep)  # type: ignore[arg-type]
    SwarmApplier(running, []).wait_for_farewell(one)
    assert now[0] == seconds


def test_the_kind_of_a_mode_is_changed_by_a_new_service() -> None:
    swarm = StandIn()
    bring(swarm, release(container("a")))
    bring(swarm, release(container("a", ports=[{"host_ip": "0.0.0.0", "host_port": 80, "container_port": 80}])))
    assert swarm.done[1:] == ["remove sse-a", "create sse-a"]


def test_files_become_objects_once_and_the_plan_then_knows_them() -> None:
    swarm = StandIn()
    wanted = release(container("a", config={"/etc": {"x": "1"}}, secrets={"/run": {"k": {"secret": "pw"}}}))
    [made] = bring(swarm, wanted)
    assert sorted(swarm.made.values()) == [b"1", b"value of pw"]
    asked = swarm.shown["sse-a"].request["TaskTemplate"]["ContainerSpec"]
    assert asked["Configs"][0]["ConfigID"] == f"id of configs/{asked['Configs'][0]['ConfigName']}"
    assert "ConfigID" not in made.request["TaskTemplate"]["ContainerSpec"]["Configs"][0]
    bring(swarm, wanted)
    bring(swarm, release(container("a", config={"/etc": {"x": "2"}}, secrets={"/run": {"k": {"secret": "pw"}}})))
    assert swarm.done == ["create sse-a", "change sse-a"]
    assert len(swarm.made) == 3


@pytest.mark.parametrize(
    ("update", "said"),
    [
        ("rollback_completed", "sse-a: the Swarm went back to what ran before: task failed. The cause: no such image"),
        ("paused", "sse-a: the update stopped: task failed"),
        ("rollback_paused", "sse-a: the update failed, and so did the way back"),
    ],
)
def test_an_update_that_fails_says_what_runs_and_why(update: str, said: str) -> None:
    swarm = StandIn()
    bring(swarm, release(container("a"), container("b", after=["a"])))
    swarm.ends = {"a": {**FAILED, "update": update}}
    with pytest.raises(ApplyError, match=said):
        bring(swarm, release(container("a", image="i:2"), container("b", after=["a"], image="i:2")))
    assert swarm.done[2:] == ["change sse-a"]


def test_an_update_that_stopped_before_goes_on_by_force() -> None:
    swarm = StandIn()
    bring(swarm, release(container("a")))
    swarm.shown["sse-a"] = swarm.shown["sse-a"]._replace(update="paused", begun="at 0")
    bring(swarm, release(container("a")))
    assert swarm.done[1:] == ["change sse-a by force"]


def test_a_service_that_never_gets_there_says_why_after_its_time() -> None:
    swarm = StandIn(a={"running": {}, "waits": ["no suitable node"]})
    with pytest.raises(ApplyError, match="sse-a: 0 of 1 tasks run after 165 s: no suitable node"):
        bring(swarm, release(container("a")))


def test_the_end_of_the_update_before_is_not_taken_for_the_end_of_this_one() -> None:
    swarm = StandIn()
    bring(swarm, release(container("a")))
    bring(swarm, release(container("a", image="i:2")))
    old = swarm.shown["sse-a"]
    asked = []

    def late(service: str, request: dict[str, Any], *, force: bool = False) -> None:
        asked.append((service, force))
        swarm.shown["sse-a"] = old._replace(request=request, update="", begun="")  # the Swarm has not begun yet
        swarm.left["sse-a"] = 4
        swarm.ends = {"a": {"begun": "at 9", "update": "completed"}}

    swarm.change = late  # type: ignore[method-assign]
    bring(swarm, release(container("a", image="i:3")))
    assert swarm.shown["sse-a"].begun == "at 9"


def test_where_the_swarm_has_nothing_to_update_nobody_waits_for_an_update() -> None:
    swarm = StandIn()
    bring(swarm, release(container("a")))

    def nothing(__: str, request: dict[str, Any], *, force: bool = False) -> None:
        assert not force
        swarm.shown["sse-a"] = swarm.shown["sse-a"]._replace(request=request, labels=request["Labels"])

    swarm.change = nothing  # type: ignore[method-assign]
    bring(swarm, release(container("a", image="i:2")))
    assert swarm.shown["sse-a"].request["TaskTemplate"]["ContainerSpec"]["Image"] == "i:2"


def test_a_refusal_of_the_swarm_names_the_service() -> None:
    swarm = StandIn()

    def refuse(__: Any) -> None:
        raise RefusedError("/services/create", 400, b'{"message": "invalid port"}')

    swarm.create = refuse  # type: ignore[method-assign]
    with pytest.raises(ApplyError, match="sse-a: the Swarm refuses it: invalid port"):
        bring(swarm, release(container("a")))


class Networks:
    """An engine that has these networks."""

    def __init__(self, *present: dict[str, Any]) -> None:
        self.present, self.made = list(present), []

    def networks(self) -> list[dict[str, Any]]:
        return self.present

    def make_network(self, wanted: dict[str, Any]) -> None:
        self.made.append(wanted)


def test_the_overlay_is_made_once_and_leaves_room_for_the_header_of_vxlan() -> None:
    engine: Any = Networks()
    running = Running(None, engine, None, release(), 1)  # type: ignore[arg-type]
    assert swarm_apply.make_overlays(running, running.engine.networks(), 1500, check=True) == ["+ network sse-network"]
    assert engine.made == []
    swarm_apply.make_overlays(running, running.engine.networks(), 1500)
    [made] = engine.made
    assert made["Options"] == {"com.docker.network.driver.mtu": "1450"}
    assert made["IPAM"] == {"Config": [{"Subnet": "10.99.0.0/24", "Gateway": "10.99.0.1"}]}
    engine.present = [{**made, "Labels": made["Labels"]}]
    assert swarm_apply.make_overlays(running, running.engine.networks(), 1500) == []


@pytest.mark.parametrize(
    "changes", [{"Driver": "bridge"}, {"Labels": {"sse.platform.swarm-stack": "other"}}, {"Labels": None}]
)
def test_a_network_that_is_not_the_overlay_of_this_stack_is_left_alone(changes: dict[str, Any]) -> None:
    present = {"Name": "sse-network", "Driver": "overlay", "Labels": {"sse.platform.swarm-stack": "sse"}, **changes}
    running = Running(None, Networks(present), None, release(), 1)  # type: ignore[arg-type]
    with pytest.raises(ApplyError, match=r"network sse-network of this host is of driver .* nothing was done to it"):
        swarm_apply.make_overlays(running, running.engine.networks(), 1500)


def test_an_overlay_with_other_addresses_is_refused() -> None:
    other: Any = {**NETWORK, "subnet": "10.98.0.0/24"}
    present = {**swarm_apply.overlay(other, "sse", 1500), "Id": "1"}
    running = Running(None, Networks(present), None, release(), 1)  # type: ignore[arg-type]
    with pytest.raises(ApplyError, match=r"subnet 10\.98\.0\.0/24 -> 10\.99\.0\.0/24"):
        swarm_apply.make_overlays(running, running.engine.networks(), 1500)


def test_an_overlay_is_encrypted_where_the_release_says_so() -> None:
    secured: Any = {**NETWORK, "encrypted": True}
    plain, encrypted = (swarm_apply.overlay(one, "sse", 1500) for one in (NETWORK, secured))

    def present(asked: Any) -> Any:
        return {**asked, "Id": "1"}

    assert plain["Options"] == {"com.docker.network.driver.mtu": "1450"}
    assert encrypted["Options"] == {**plain["Options"], "encrypted": ""}
    assert swarm_apply.unlike(secured, present(plain)) == "it is not encrypted -> it is"
    assert swarm_apply.unlike(NETWORK, present(encrypted)) == "it is encrypted -> it is not"
    assert not swarm_apply.unlike(secured, present(encrypted))


def test_everything_of_a_stack_is_removed_and_nothing_of_others() -> None:
    swarm = StandIn()
    bring(swarm, release(container("a", config={"/etc": {"x": "1"}})))
    swarm.shown["theirs"] = swarm.shown["sse-a"]._replace(name="theirs", id="theirs", labels={})
    own: Any = {"Id": "1", **swarm_apply.overlay(NETWORK, "sse", 1500)}
    segment, theirs = {**own, "Id": "3", "Name": "sse-app"}, {"sse.platform.swarm-stack": "other"}
    engine: Any = Networks(own, {**own, "Id": "2", "Labels": None}, segment, {**own, "Id": "4", "Labels": theirs})
    gone: list[str] = []
    swarm.remove_object = lambda kind, __: gone.append(kind)  # type: ignore[attr-defined]
    swarm.remove_network = gone.append  # type: ignore[attr-defined]
    told = swarm_apply.tear_down(swarm, engine, "sse", check=True)  # type: ignore[arg-type]
    assert (gone, list(swarm.shown)) == ([], ["sse-a", "theirs"])
    assert swarm_apply.tear_down(swarm, engine, "sse") == told  # type: ignore[arg-type]
    assert (gone, list(swarm.shown)) == (["configs", "1", "3"], ["theirs"])
    assert [told[0], *told[-2:]] == ["- sse-a", "- network sse-network", "- network sse-app"]


def test_hosts_get_the_texts_of_live_secrets() -> None:
    wanted = release(
        container("a", live_secrets={"/run/l": {"key": {"secret": "pw", "format": "x {}"}}}, data={"/d": "d"})
    )
    [one] = services(wanted, Cluster({"data": ["a"]}, "/state"))
    data, secrets = swarm_apply.node_files(one, Secrets(), make=True)  # type: ignore[arg-type]
    assert data == {
        "kind": "data",
        "path": "/state/data/sse-a/d",
        "user": "7:8",
        "files": {},
        "service": "",
        "target": "",
    }
    assert secrets["files"] == {"key": "x value of pw"}
    assert (secrets["service"], secrets["target"]) == ("sse-a", "/run/l")


class Nodes:
    """Managers that need some looks until a change counts."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.changed = list(answers), []

    def change_node(self, node: str, role: str, labels: dict[str, str], __: str = "") -> None:
        self.changed.append((node, role, labels))

    def local(self) -> Any:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return {"nodes": [{"id": "n1", "reachable": answer}] if answer is not None else []}


def changed(nodes: Nodes, role: str, *reasons: str) -> tuple[list[str], float]:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    step = swarm_placement.NodeStep("a", "n1", role, {"x": "true"}, list(reasons))
    told = swarm_apply.change_nodes(nodes, [step], lambda: now[0], sleep)  # type: ignore[arg-type]
    return told, now[0]


def test_a_new_manager_is_waited_for_also_while_the_managers_do_not_answer() -> None:
    nodes = Nodes(False, RefusedError("/info", 503, b'{"message": "no leader"}'), OSError("gone"), True)
    assert changed(nodes, "manager", "role: worker -> manager") == (["~ node a: role: worker -> manager"], 1.5)
    assert nodes.changed == [("n1", "manager", {"x": "true"})]


def test_labels_alone_are_waited_for_by_nobody() -> None:
    assert changed(Nodes(None), "worker", "label x") == (["~ node a: label x"], 0.0)


@pytest.mark.parametrize(
    ("answer", "role", "said"),
    [
        (False, "manager", "a is to be a manager, and after 60 s the other managers do not reach it"),
        (True, "worker", "a is to be a worker, and after 60 s it still decides"),
        (None, "manager", "it is not in the Swarm"),
        (RefusedError("/info", 503, b'{"message": "no leader"}'), "manager", "the managers do not answer: no leader"),
    ],
)
def test_a_node_that_does_not_take_its_role_is_told(answer: Any, role: str, said: str) -> None:
    with pytest.raises(ApplyError, match=said):
        changed(Nodes(answer), role, "role: x")


def watched(swarm: StandIn, verdicts: dict[str, str], wanted: Any, **how: Any) -> list[str]:
    """Bring a release up with somebody who watches the first replica; return whom that was."""
    seen: list[str] = []

    def watch(name: str, spec: Any, gate: Any) -> None:
        seen.append(f"{name} {spec['image']}")
        gate()
        if why := verdicts.get(name):
            raise ApplyError(f"{name}: the canary is not good: {why}")

    bring(swarm, wanted, canary=watch, **how)
    return seen


def test_the_first_replica_alone_is_watched_before_the_others_follow() -> None:
    swarm = StandIn()
    assert watched(swarm, {}, release(*replicas("i:1"), container("z"))) == []  # nothing was there before
    assert watched(swarm, {}, release(*replicas("i:2"), container("z", image="i:2")), at_once=2) == ["sse-r-1 i:2"]
    assert swarm.done[4:] == ["change sse-r-1", "change sse-r-2", "change sse-r-3", "change sse-z"]
    assert watched(swarm, {}, release(*replicas("i:2"), container("z", image="i:3"))) == []  # z has no replicas


def test_a_canary_that_is_not_good_has_its_earlier_request_again_and_no_other_follows() -> None:
    swarm = StandIn()
    bring(swarm, release(*replicas("i:1")))
    before = dict(swarm.shown)
    with pytest.raises(ApplyError, match=r"gaps is 3\nThe earlier sse-r-1 is back and runs\."):
        watched(swarm, {"sse-r-1": "gaps is 3"}, release(*replicas("i:2")))
    assert swarm.done[3:] == ["change sse-r-1", "change sse-r-1"]
    assert {name: one.request for name, one in swarm.shown.items()} == {
        name: one.request for name, one in before.items()
    }
    swarm.ends = {"r-1": {}}
    home = {"sse-r-1": swarm_placement.Home("b", "id-b")}
    with pytest.raises(ApplyError, match="is back and runs"):
        watched(swarm, {"sse-r-1": "gaps is 3"}, release(*replicas("i:2")), homes=home)
    assert swarm.shown["sse-r-1"].request == before["sse-r-1"].request  # any host may take it
    assert swarm.done[5:] == ["change sse-r-1"] * 4


def test_an_earlier_replica_that_does_not_come_back_is_told_with_both_reasons() -> None:
    swarm = StandIn()
    bring(swarm, release(*replicas("i:1")))

    def breaks(name: str, *_: Any) -> None:
        swarm.ends = {"r-1": {"running": {}, "waits": ["no suitable node"]}}
        raise ApplyError(f"{name}: gaps is 3")

    with pytest.raises(ApplyError, match=r"gaps is 3\nThe earlier sse-r-1 does not come back: .*no suitable node"):
        bring(swarm, release(*replicas("i:2")), canary=breaks)


def test_a_rollout_asks_before_each_step_and_after_the_last_whether_it_may_go_on() -> None:
    swarm = StandIn()
    asked: list[int] = []
    bring(swarm, release(*replicas("i:1")), gate=lambda: asked.append(len(swarm.done)))
    assert asked == [0, 3]

    def aborted() -> None:
        asked.append(len(swarm.done))
        if len(swarm.done) == 4:
            raise AbortedError("The rollout was aborted by ana.")

    with pytest.raises(AbortedError):
        bring(swarm, release(*replicas("i:2")), gate=aborted)
    assert swarm.done[3:] == ["change sse-r-1"]
