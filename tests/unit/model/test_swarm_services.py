"""From containers of a release to services of a Swarm, as a table; and what a Swarm cannot run."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import (
    LARGEST_CONFIG,
    Cluster,
    SwarmService,
    hosts_of,
    labelled,
    left_out,
    services,
)

CLUSTER = Cluster({"app": ["a", "b", "c"], "edge": ["a"], "data": ["a"], "managers": ["a"]}, "/state")
SHELL = {"command": ["true"]}
NETWORK: Any = {"name": "sse-network", "subnet": "10.99.0.0/24", "segment": "network"}


def container(short: str = "one", **changes: Any) -> dict[str, Any]:
    """A container of a release, with every default of a declaration."""
    declared = {"image": "i", "entrypoint": ["run"], "user": "7:8", "healthcheck": SHELL}
    own: dict[str, Any] = {**declared, **{key: value for key, value in changes.items() if key in spec.DECLARATION}}
    one: dict[str, Any] = {**spec.parse(own, "x"), "container": short, "service": changes.get("service", "s")}
    for key in ("name", "address", "segments"):
        del one[key]
    one |= {"networks": {"sse-network": "10.99.0.20"}, "aliases": [short, *own.get("aliases", [])]}
    return one | {"hosts": changes.get("resolved", {}), "fingerprints": changes.get("fingerprints", {})}


def release(*containers: dict[str, Any], **changes: Any) -> Any:
    return {
        "stack": "sse",
        "project": "p",
        "layout": "single",
        "networks": {"sse-network": NETWORK},
        "containers": {f"sse-{one['container']}": one for one in containers},
        **changes,
    }


def only(*containers: dict[str, Any], cluster: Cluster = CLUSTER) -> SwarmService:
    [found] = services(release(*containers), cluster)
    return found


def replicas(count: int, **changes: Any) -> list[dict[str, Any]]:
    return [container(f"r-{number}", rolling=True, **changes) for number in range(1, count + 1)]


def port(address: str) -> dict[str, Any]:
    return {"host_ip": address, "host_port": 80, "container_port": 8080}


HELD = "node.labels.sse.platform.holds.sse-one == true"


@pytest.mark.parametrize(
    ("containers", "mode", "group", "constraint", "order"),
    [
        ([container()], {"Replicated": {"Replicas": 1}}, "app", "group.sse.app", "stop-first"),
        ([container(rolling=True)], {"Replicated": {"Replicas": 1}}, "app", "group.sse.app", "start-first"),
        ([container(data={"/d": "d"})], {"Replicated": {"Replicas": 1}}, "data", HELD, "stop-first"),
        ([container(ports=[port("0.0.0.0")])], {"Global": {}}, "edge", "group.sse.edge", "stop-first"),
        ([container(ports=[port("::")])], {"Global": {}}, "edge", "group.sse.edge", "stop-first"),
        ([container(ports=[port("127.0.0.1")])], {"Replicated": {"Replicas": 1}}, "app", "sse.app", "stop-first"),
        ([container(each_host=True)], {"Global": {}}, "every", "group.sse.every", "stop-first"),
        ([container(each_host=True, data={"/d": "d"})], {"Global": {}}, "every", "group.sse.every", "stop-first"),
        (
            [container(data={"/d": "d"}, ports=[port("0.0.0.0")])],
            {"Replicated": {"Replicas": 1}},
            *("data", HELD, "stop-first"),
        ),
    ],
    ids=[
        "plain",
        "replicas",
        "data",
        "public",
        "public IPv6",
        "admin port",
        "each host",
        "data of each host",
        "data and public",
    ],
)
def test_what_a_container_is_says_where_and_how_often_it_runs(
    containers: list[dict[str, Any]], mode: dict[str, Any], group: str, constraint: str, order: str
) -> None:
    found = only(*containers)
    [said] = found.request["TaskTemplate"]["Placement"]["Constraints"]
    assert (found.request["Mode"], found.group, found.request["UpdateConfig"]["Order"]) == (mode, group, order)
    assert constraint in said
    assert found.pinned is (group == "data")
    assert found.request["UpdateConfig"]["FailureAction"] == "rollback"
    assert found.request["EndpointSpec"]["Mode"] == "dnsrr"


@pytest.mark.parametrize(
    ("declared", "asked"),
    [
        ({}, {"User": "7:8", "ReadOnly": True, "CapabilityDrop": ["ALL"], "Privileges": {"NoNewPrivileges": True}}),
        ({}, {"Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}, {"Name": "nofile", "Soft": 4096, "Hard": 4096}]}),
        ({"command": ["-v"]}, {"Command": ["run"], "Args": ["-v"]}),
        ({"capabilities": ["CHOWN"]}, {"CapabilityAdd": ["CHOWN"]}),
        ({"environment": {"A": "1", "B": "x {{y}}"}}, {"Env": ["A=1", 'B=x {{"{{"}}y}}']}),
        ({"stop_signal": "SIGQUIT", "stop_timeout": 2}, {"StopSignal": "SIGQUIT", "StopGracePeriod": 2 * 10**9}),
        ({"sysctls": {"net.core.somaxconn": 9}}, {"Sysctls": {"net.core.somaxconn": "9"}}),
        ({"group_add": ["10001"]}, {"Groups": ["10001"]}),
        ({"init": True}, {"Init": True}),
        (
            {"tmpfs": {"/tmp": "1m"}},
            {"Mounts": [{"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"SizeBytes": 2**20, "Mode": 1023}}]},
        ),
        (
            {"data": {"/d": "below"}},
            {"Mounts": [{"Type": "bind", "Source": "/state/data/sse-one/below", "Target": "/d", "ReadOnly": False}]},
        ),
        (
            {"binds": {"/x": "/on/host"}},
            {"Mounts": [{"Type": "bind", "Source": "/on/host", "Target": "/x", "ReadOnly": True}]},
        ),
        (
            {"healthcheck": {"command": ["a"], "interval": 30, "timeout": 4, "retries": 2, "start": 60}},
            {
                "Healthcheck": {
                    "Test": ["CMD", "a"],
                    "Interval": 30 * 10**9,
                    "Timeout": 4 * 10**9,
                    "Retries": 2,
                    "StartPeriod": 60 * 10**9,
                    "StartInterval": 3 * 10**9,
                }
            },
        ),
        ({"healthcheck": {"http": {"port": 1}}}, {"Healthcheck": {"Test": ["NONE"]}}),
        ({"healthcheck": {"command": ["a"], "interval": 300}}, {"Healthcheck": {"Test": ["NONE"]}}),
    ],
)
def test_each_wish_of_a_container_is_a_word_of_the_engine(declared: dict[str, Any], asked: dict[str, Any]) -> None:
    found = only(container(**declared)).request["TaskTemplate"]["ContainerSpec"]
    assert {key: found.get(key) for key in asked} == asked


def test_limits_log_and_networks_are_asked_for() -> None:
    task = only(container(memory="64m", pids=9, aliases=["two"])).request["TaskTemplate"]
    assert task["Resources"]["Limits"] == {"MemoryBytes": 64 * 2**20, "Pids": 9}
    assert task["Networks"] == [{"Target": "sse-network", "Aliases": ["one", "two"]}]
    assert task["LogDriver"]["Options"] == {"max-size": "10m", "max-file": "3"}


def test_no_limit_of_open_files_is_larger_than_that_of_every_engine() -> None:
    found = only(container(open_files=65536), cluster=CLUSTER._replace(open_files=20000))
    assert found.request["TaskTemplate"]["ContainerSpec"]["Ulimits"][1]["Hard"] == 20000


def test_each_replica_is_a_service_with_its_own_name_that_knows_its_others() -> None:
    own = [container(f"r-{number}", rolling=True, environment={"ME": f"sse-r-{number}"}) for number in (1, 2)]
    found = services(release(*own, container()), CLUSTER)
    assert [one.name for one in found] == ["sse-r-1", "sse-r-2", "sse-one"]
    assert [one.together for one in found] == ["s", "s", ""]
    asked = found[1].request["TaskTemplate"]
    assert asked["ContainerSpec"]["Env"] == ["ME=sse-r-2"]
    assert asked["ContainerSpec"]["Hostname"] == "r-2"
    assert asked["Networks"] == [{"Target": "sse-network", "Aliases": ["r-2"]}]


def test_hosts_of_every_group_are_named_once() -> None:
    assert hosts_of("every", {"edge": ["b"], "managers": ["a"], "app": ["b", "c"]}) == ["a", "b", "c"]
    assert hosts_of("data", {"edge": ["b"]}) == []


def test_a_public_port_is_published_by_its_host_and_an_admin_port_is_not() -> None:
    public, admin = only(container(ports=[port("0.0.0.0")])), only(container(ports=[port("127.0.0.1")]))
    wanted = {"Protocol": "tcp", "TargetPort": 8080, "PublishedPort": 80, "PublishMode": "host"}
    assert public.request["EndpointSpec"]["Ports"] == [wanted]
    assert admin.request["EndpointSpec"]["Ports"] == []
    assert admin.left_out == [
        "s.containers.one.ports: a port for administrators is not published: a Swarm would open it on every address"
    ]


def test_what_is_left_out_of_several_services_is_told_once_with_their_names() -> None:
    silent = {"healthcheck": {"http": {"port": 1}}}
    found = services(release(container("a", **silent), container("b", **silent), container("c")), CLUSTER)
    assert left_out(found) == ["sse-a, sse-b: no command, so the Swarm does not ask whether it works"]


def test_config_and_secrets_are_objects_that_their_content_names() -> None:
    declared: Any = {
        "config": {"/etc/x": {"a.conf": "text"}},
        "secrets": {"/run/s": {"key": {"secret": "k"}}},
        "fingerprints": {"k": "1"},
    }
    found = only(container(**declared))
    asked = found.request["TaskTemplate"]["ContainerSpec"]
    [config], [secret] = asked["Configs"], asked["Secrets"]
    assert config["File"] == {"Name": "/etc/x/a.conf", "UID": "7", "GID": "8", "Mode": 0o444}
    assert secret["File"] == {"Name": "/run/s/key", "UID": "7", "GID": "8", "Mode": 0o400}
    assert found.files[config["ConfigName"]]["text"] == "text"
    assert found.files[secret["SecretName"]]["secret"] == {"secret": "k", "format": "{}"}
    changed = [
        only(container(**{**declared, "config": {"/etc/x": {"a.conf": "other"}}})),
        only(container(**{**declared, "fingerprints": {"k": "2"}})),
    ]
    assert len({one.fingerprint for one in (found, *changed)}) == 3
    assert [set(found.files) & set(one.files) for one in changed] == [{secret["SecretName"]}, {config["ConfigName"]}]


def test_the_directory_of_an_object_holds_nothing_of_the_image() -> None:
    found = only(container(config={"/etc/x": {"a": "text", "b": "text"}}, secrets={"/run/s": {"c": {"secret": "k"}}}))
    empty = {"Type": "tmpfs", "ReadOnly": True, "TmpfsOptions": {"SizeBytes": 65536, "Mode": 0o755}}
    mounts = found.request["TaskTemplate"]["ContainerSpec"]["Mounts"]
    assert mounts == [{**empty, "Target": "/etc/x"}, {**empty, "Target": "/run/s"}]


def test_the_name_of_an_object_fits_however_long_the_service_is_called() -> None:
    found = only(container("n" * 60, config={"/etc": {"a": "1", "b": "2"}}))
    assert len(found.files) == 2
    assert all(len(name) <= 64 for name in found.files)


def test_secrets_that_a_service_reads_anew_are_a_directory_of_its_host() -> None:
    live = {"/run/l": {"key": {"secret": "k"}}}
    found = only(container(config={"/etc/x": {"a": "text"}}, live_secrets=live))
    assert found.directories == [
        {
            "kind": "secrets",
            "source": "/state/files/sse-one/live-0",
            "target": "/run/l",
            "user": "7:8",
            "texts": {},
            "secrets": {"key": {"secret": "k", "format": "{}"}},
        }
    ]
    assert len(found.files) == 1
    after = only(container(config={"/etc/x": {"a": "text"}}, live_secrets={"/run/l": {"other": {"secret": "k"}}}))
    assert after.fingerprint == found.fingerprint


SIGNALLED = {"check": ["c"], "says": "done"}
PROGRAMMED = {"program": "p", "takes": ["/run/users"]}


@pytest.mark.parametrize(
    ("reload", "directories", "objects"),
    [
        (SIGNALLED, ["/etc/x", "/run/users"], []),
        (PROGRAMMED, ["/run/users"], ["/etc/x/a"]),
        (None, [], ["/etc/x/a", "/run/users/u"]),
    ],
)
def test_files_that_a_service_reads_anew_are_on_its_hosts_and_make_no_new_tasks(
    reload: Any, directories: list[str], objects: list[str]
) -> None:
    def of(text: str) -> SwarmService:
        declared: Any = {"config": {"/etc/x": {"a": text}}, "secrets": {"/run/users": {"u": {"secret": text}}}}
        return only(container(reload=reload, **declared))

    found = of("1")
    assert [one["target"] for one in found.directories] == directories
    assert [one["path"] for one in found.files.values()] == objects
    assert (of("2").fingerprint == found.fingerprint) is (not objects)
    for one in found.directories:
        assert one["source"].startswith("/state/files/sse-one/now/")
        assert (one["texts"] or one["secrets"]) == ({"a": "1"} if one["kind"] == "config" else one["secrets"])


def test_what_needs_a_service_that_needs_a_program_is_in_a_later_wave() -> None:
    found = services(
        release(
            container("k", reload=PROGRAMMED),
            container("r", reload={**PROGRAMMED, "at_start": False}),
            {**container("g", reload=PROGRAMMED), "after": ["sse-k"]},
            {**container("a"), "after": ["sse-r"]},
            {**container("b"), "after": ["sse-g", "sse-a"]},
        ),
        CLUSTER,
    )
    assert [one.wave for one in found] == [0, 0, 1, 0, 2]
    assert [one.first for one in found] == [one.wave for one in found]


def test_replicas_with_data_are_made_together_and_changed_one_wave_after_the_other() -> None:
    def broker(number: int) -> dict[str, Any]:
        return container(f"k-{number}", service="k", rolling=True, data={"/d": "d"}, reload=PROGRAMMED)

    client = {**container("a"), "after": ["sse-k-1", "sse-k-2", "sse-k-3"]}
    found = services(release(client, broker(1), broker(2), broker(3)), CLUSTER)
    assert [(one.first, one.wave) for one in found] == [(3, 3), (0, 0), (0, 1), (0, 2)]
    assert [one.group for one in found] == ["app", "data", "data", "data"]
    assert {one.request["UpdateConfig"]["Order"] for one in found} == {"stop-first"}
    assert [one.moves for one in found[1:]] == [False] * 3


def test_services_that_share_a_directory_run_on_the_same_hosts() -> None:
    public = container(shared={"/run/r": "requests"}, ports=[port("0.0.0.0")])
    beside = container("beside", shared={"/run/q": "requests"})
    found = services(release(beside, public), CLUSTER)
    assert [(one.group, one.request["Mode"]) for one in found] == [("edge", {"Global": {}})] * 2


REFUSED: dict[str, tuple[Any, str]] = {
    "a public port without a way out": (
        release(container(ports=[port("0.0.0.0")]), networks={"sse-network": {**NETWORK, "internal": True}}),
        "s.containers.one.segments: on internal networks alone, where a Swarm publishes no port",
    ),
    "IPv6": (release(container(), networks={"n": {**NETWORK, "ipv6": {}}}), "network_ipv6 is true"),
    "a port of the host": (release(container(reaches_host=[9])), r"one\.reaches_host: port 9 of its host"),
    "one address": (
        release(container(ports=[port("0.0.0.0"), {**port("192.0.2.1"), "host_port": 81}])),
        r"one\.ports\[1\]\.host_ip: 192\.0\.2\.1, and a Swarm publishes a port on every address",
    ),
    "public replicas": (release(*replicas(2, ports=[port("0.0.0.0")])), r"r-1\.ports: two of its replicas may run"),
    "replicas without a check": (
        release(*replicas(2, healthcheck={"http": {"port": 1}})),
        r"r-1\.healthcheck\.command: missing",
    ),
    "a socket between services": (
        release(*replicas(2, shared={"/run": "link"}), container(binds={"/link": "/state/shared/link"})),
        "sse-r-1 and sse-r-2 have the directory /state/shared/link in common",
    ),
    "data that another service reads": (
        release(container(data={"/d": "d"}), container("two", binds={"/tls": "/state/data/sse-one/d/tls"})),
        "sse-one and sse-two have the directory /state/data/sse-one/d in common",
    ),
    "a large config": (
        release(container(config={"/etc": {"a": "x" * (LARGEST_CONFIG + 1)}})),
        r"one\.config\./etc/a: 1024001 bytes",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_a_swarm_cannot_run_is_refused_with_its_place(what: str) -> None:
    wanted, said = REFUSED[what]
    with pytest.raises(spec.SpecError, match=said):
        services(wanted, CLUSTER)


def test_the_number_of_the_release_is_a_label_of_the_service_and_replaces_no_task() -> None:
    found = only(container())
    before, after = (labelled(found, release(), number) for number in (1, 2))
    assert before["Labels"]["sse.platform.release"] == "1"
    assert before["Labels"]["sse.platform.spec"] == found.fingerprint
    assert {**before, "Labels": {}} == {**after, "Labels": {}}
