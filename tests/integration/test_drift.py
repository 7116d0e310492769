"""Whatever somebody does to a running stack, drift names it, one `up` mends it, and nothing else is touched.

SSE_VANDALISM makes all sequences; without it, every other one is made. test_vandalism.py does what comes by chance to
small stacks.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.sse.platform.tests.integration.stack import Stack

ANY = ("app-1", "app-2", "app-3", "nginx", "redis-master", "prometheus", "node-exporter")


class Act(NamedTuple):
    """One thing that somebody does by hand."""

    does: Callable[[Stack, Any], None]
    named: str  # what drift says of it, with {c} for the container
    victims: tuple[str, ...] = ANY  # by short name
    restarts: bool = False  # the victim cannot be mended while it runs


def detach(stack: Stack, victim: Any) -> None:
    stack.engine.networks.get(f"{stack.name}-network").disconnect(victim, force=True)


def stop_and_detach(stack: Stack, victim: Any) -> None:
    victim.kill()
    detach(stack, victim)


def attach_elsewhere(stack: Stack, victim: Any) -> None:
    stack.engine.networks.get("bridge").connect(victim)


def attach_without_address(stack: Stack, victim: Any) -> None:
    detach(stack, victim)
    stack.engine.networks.get(f"{stack.name}-network").connect(victim)


def mislead(stack: Stack, victim: Any) -> None:
    """Have a name that NGINX needs lead elsewhere."""
    with Path(victim.attrs["HostsPath"]).open("a") as hosts:
        hosts.write(f"{stack.prefix}.99 app-2\n")


def limit(_: Stack, victim: Any) -> None:
    victim.update(mem_limit="500m", memswap_limit="500m", restart_policy={"Name": "no"})


def mounted(victim: Any, target: str) -> Path:
    """Return the directory of the host that a container has mounted."""
    return next(Path(one["Source"]) for one in victim.attrs["Mounts"] if one["Destination"] == target)


def edit(_: Stack, victim: Any) -> None:
    path = mounted(victim, "/etc/nginx") / "nginx.conf"
    path.write_text(path.read_text() + "# edited\n")


def delete_file(_: Stack, victim: Any) -> None:
    (mounted(victim, "/etc/nginx") / "nginx.conf").unlink()


def delete_config(_: Stack, victim: Any) -> None:
    shutil.rmtree(mounted(victim, "/etc/prometheus"))


def delete_data(_: Stack, victim: Any) -> None:
    shutil.rmtree(mounted(victim, "/data"))


def take_data(_: Stack, victim: Any) -> None:
    os.chown(mounted(victim, "/data"), 4242, 4242)


def make_by_hand(stack: Stack, victim: Any) -> None:
    """Make another container in its place that has its name and its labels, and more rights."""
    victim.remove(force=True)
    stack.engine.containers.run(
        victim.attrs["Image"],
        ["600"],
        name=victim.name,
        labels=victim.labels,
        entrypoint=["sleep"],
        cap_add=["NET_ADMIN"],
        user="0",
        detach=True,
    )


def chain_of(stack: Stack) -> str:
    """Return the name of the stack's own chain."""
    chains = subprocess.run(["iptables", "-w", "-S"], check=True, capture_output=True, text=True).stdout
    return next(line.split()[1] for line in chains.splitlines() if line.startswith("-N") and stack.name in line.lower())


def flush(stack: Stack, _: Any) -> None:
    subprocess.run(["iptables", "-w", "-F", chain_of(stack)], check=True)


def call_too_late(stack: Stack, _: Any) -> None:
    """Have everything pass before the chain is asked; the chains of other stacks on this engine still are."""
    chain = chain_of(stack)
    for option, target in (("-A", "RETURN"), ("-D", chain), ("-A", chain)):
        subprocess.run(["iptables", "-w", option, "DOCKER-USER", "-j", target], check=True)


def replace_rule(stack: Stack, _: Any) -> None:
    subprocess.run(["iptables", "-w", "-R", chain_of(stack), "2", "-j", "RETURN"], check=True)


def bridge_of(stack: Stack) -> tuple[str, str, str]:
    """Return the bridge of the stack's network, its subnet, and the address of the host on it."""
    network = stack.engine.networks.get(f"{stack.name}-network").attrs
    pool = network["IPAM"]["Config"][0]
    return network["Options"]["com.docker.network.bridge.name"], pool["Subnet"], f"{pool['Gateway']}/24"


def take_address(stack: Stack, _: Any) -> None:
    device, _, gateway = bridge_of(stack)
    subprocess.run(["ip", "addr", "del", gateway, "dev", device], check=True)


def switch_bridge_off(stack: Stack, _: Any) -> None:
    subprocess.run(["ip", "link", "set", bridge_of(stack)[0], "down"], check=True)


def delete_bridge(stack: Stack, _: Any) -> None:
    subprocess.run(["ip", "link", "del", bridge_of(stack)[0]], check=True)


def unplug(_: Stack, victim: Any) -> None:
    """Take the host's end of a container's interface off the bridge."""
    inside = ["nsenter", "-t", str(victim.attrs["State"]["Pid"]), "-n", "ip", "-o", "link", "show", "eth0"]
    shown = subprocess.run(inside, check=True, capture_output=True, text=True).stdout
    number = shown.partition("@if")[2].partition(":")[0]
    listed = subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True).stdout.splitlines()
    device = next(one.split()[1].partition("@")[0] for one in listed if one.startswith(f"{number}: "))
    subprocess.run(["ip", "link", "set", device, "nomaster"], check=True)


def take_rules_of_engine(stack: Stack, _: Any) -> None:
    """Take the way out and, in each generation of the engine, a rule of the filter."""
    device, subnet, _ = bridge_of(stack)
    masquerade = ("POSTROUTING", "-s", subnet, "!", "-o", device, "-j", "MASQUERADE")
    subprocess.run(["iptables", "-w", "-t", "nat", "-D", *masquerade], check=True)
    listed = subprocess.run(["iptables", "-w", "-S"], check=True, capture_output=True, text=True).stdout.splitlines()
    rule = next(one.split()[1:] for one in listed if f"-o {device} " in one and one.endswith("-j DOCKER"))
    subprocess.run(["iptables", "-w", "-D", *rule], check=True)


def lose_secret(stack: Stack, _: Any) -> None:
    (stack.state / "secrets/redis_exporter_password").unlink()


def tell_redis(_: Stack, victim: Any) -> None:
    """Change in the running server what its files declare."""
    admin = 'REDISCLI_AUTH="$(cat /run/users/password)" redis-cli --user admin'
    for words in ("config set maxmemory 1mb", "acl setuser somebody on nopass '~*' +@all"):
        victim.exec_run(["sh", "-c", f"{admin} {words}"])


ACTS = [
    Act(detach, "connect to {n} (was detached)"),
    Act(stop_and_detach, "start {c}: is exited; connect to {n} (was detached)", restarts=True),
    Act(attach_elsewhere, "disconnect from bridge (not declared)"),
    Act(attach_without_address, "connect to {n} as "),
    Act(limit, "restart: no -> unless-stopped"),
    Act(lambda _, victim: victim.update(cpu_shares=64), "cpu shares: 64 -> "),
    Act(edit, "/etc/nginx/nginx.conf: was changed on the host", ("nginx",)),
    Act(delete_file, "/etc/nginx/nginx.conf: is missing", ("nginx",)),
    Act(delete_config, "/etc/prometheus/prometheus.yml: is missing", ("prometheus",), restarts=True),
    Act(delete_data, "is gone; it is made again and is empty", ("redis-master",), restarts=True),
    Act(take_data, "belongs to 4242:4242", ("redis-master",)),
    Act(flush, "firewall", ()),
    Act(mislead, "/etc/hosts: app-2 not as pinned", ("nginx",)),
    Act(lambda _, victim: victim.kill(), "start {c}: is exited", restarts=True),
    Act(lambda _, victim: victim.remove(force=True), "+ {c} (new)", restarts=True),
    Act(make_by_hand, "~ {c}: was made by hand", restarts=True),
    Act(call_too_late, "firewall", ()),
    Act(lambda _, victim: victim.rename(f"of-somebody-{victim.short_id}"), "> rename {c}: is called of-somebody-"),
    Act(replace_rule, "firewall", ()),
    Act(
        lambda _, victim: victim.kill("HUP"),
        "its restart policy no longer holds",
        ("nginx", "prometheus"),
        restarts=True,
    ),
    Act(tell_redis, "user somebody is not declared; maxmemory is 1048576 -> ", ("redis-master",)),
    Act(lose_secret, "secret redis_exporter_password: another value", ("redis-exporter",), restarts=True),
    Act(delete_bridge, "network {n}: its bridge br-it is gone", ()),
    Act(take_address, "network {n}: its bridge br-it has lost the address ", ()),
    Act(switch_bridge_off, "network {n}: its bridge br-it is down", ()),
    Act(take_rules_of_engine, "network {n}: 2 rules of the engine are gone: ", ()),
    Act(unplug, "connect to {n} (its interface is not on the bridge br-it)"),
    Act(lambda _, victim: victim.pause(), "start {c}: is paused"),
]


def table() -> list[list[Act]]:
    """Return every act once, several together, so that each act costs no run of its own."""
    return [ACTS[start::4] for start in range(4)]


SEQUENCES = table()


def choose(acts: list[Act], seed: int) -> list[tuple[Act, str]]:
    """Give each act a victim of its own; an act that finds none is left out."""
    chance, taken, found = random.Random(seed), set[str](), list[tuple[Act, str]]()
    for act in sorted(acts, key=lambda act: len(act.victims)):
        free = [name for name in act.victims if name not in taken]
        if free or not act.victims:
            victim = chance.choice(free) if free else ""
            taken.add(victim)
            found.append((act, victim))
    return found


@pytest.mark.parametrize("number", range(0, len(SEQUENCES), 1 if "SSE_VANDALISM" in os.environ else 2))
def test_whatever_is_done_to_a_stack_is_named_and_mended_and_nothing_else_is_touched(
    deployed: Stack, number: int
) -> None:
    deployed.up()
    chosen = choose(SEQUENCES[number], number)
    for act, victim in chosen:
        act.does(deployed, deployed.container(victim) if victim else None)
    before = deployed.ids()

    drift = deployed.play("drift")
    assert drift.code != 0, drift.output
    planned = deployed.play("site", "--check").output
    mended = deployed.up().output
    for act, victim in chosen:
        said = act.named.format(c=f"{deployed.name}-{victim}", n=f"{deployed.name}-network")
        for output in (drift.output, planned, mended):
            assert any(said in line and victim in line for line in output.splitlines()), f"{said}\n{output}"

    may_restart = {f"{deployed.name}-{victim}" for act, victim in chosen if act.restarts}
    touched = {name for name, one in deployed.ids().items() if before.get(name) != one}
    assert touched <= may_restart
    # Only what `up` connected again has its pinned names for sure: one that is missing is no drift.
    for one in (deployed.container(victim) for act, victim in chosen if act.named.startswith("connect to ")):
        named = [host.split(":") for host in one.attrs["HostConfig"]["ExtraHosts"] or []]
        pinned = {(name, address) for name, address in named if address[0].isdigit()}
        lines = one.exec_run(["cat", "/etc/hosts"]).output.decode().splitlines()
        assert pinned <= {(name, line.split()[0]) for line in lines for name in line.split()[1:]}, one.name
    again = deployed.play("drift")
    assert again.code == 0, again.output


def test_a_network_that_is_gone_is_made_and_every_container_is_back_on_it_without_a_restart(deployed: Stack) -> None:
    deployed.up()
    before = deployed.ids()
    network = deployed.engine.networks.get(f"{deployed.name}-network")
    for container in network.containers:
        network.disconnect(container, force=True)
    network.remove()
    drift = deployed.play("drift")
    assert f"network {network.name}: it is gone" in drift.output
    deployed.up()
    assert deployed.ids() == before
    assert deployed.play("drift").code == 0
