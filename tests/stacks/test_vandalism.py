"""Whatever somebody does to a small stack: drift names it, one run mends it, and nothing else is touched.

Random acts on random releases (pairs.py). SSE_VANDALISM=100 draws a hundred sequences. One of them again:
`pytest tests/stacks/test_vandalism.py -k 'acts17]'`. test_drift.py does the same to the whole platform.
"""

from __future__ import annotations

import os
import random
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.sse.platform.tests.stacks import pairs
from ansible_collections.sse.platform.tests.stacks.pairs import STACK, Drawn
from ansible_collections.sse.platform.tests.stacks.small import Small, there

SEQUENCES = int(os.environ.get("SSE_VANDALISM", "6"))


class Victim(NamedTuple):
    """A container, what is declared of it, and a chance."""

    container: Any
    declared: dict[str, Any]
    chance: random.Random
    engine: Any

    def network(self) -> Any:
        """Return one of its declared networks that it is on."""
        self.container.reload()
        joined = sorted(one for one in self.container.attrs["NetworkSettings"]["Networks"] if STACK in one)
        return self.engine.networks.get(self.chance.choice(joined))

    def mounted(self, key: str) -> Path:
        """Return the directory of the host that it has mounted for `config` or `data`."""
        target = next(iter(self.declared[key]))
        return next(Path(one["Source"]) for one in self.container.attrs["Mounts"] if one["Destination"] == target)

    def file(self) -> Path:
        """Return one of its config files on the host."""
        return self.mounted("config") / self.chance.choice(sorted(self.declared["config"]["/etc/drawn"]))


class Act(NamedTuple):
    """One thing that somebody does by hand."""

    does: Callable[[Victim], object]
    named: str  # what is said of it
    needs: str = ""  # what the victim must declare
    restarts: bool = False  # the victim cannot be mended while it runs
    anew: bool = False  # the victim is made anew or has another name, so nothing else is done to it or said of it


def detach(victim: Victim) -> None:
    victim.network().disconnect(victim.container, force=True)


def attach_anyhow(victim: Victim) -> Any:
    if victim.declared["address"] is None and not victim.declared.get("aliases"):
        return add_alias(victim)  # what the engine chooses is all that it has, so the other way changes nothing
    network = victim.network()
    network.disconnect(victim.container, force=True)
    return network.connect(victim.container)


def limit(victim: Victim) -> None:
    victim.container.update(mem_limit="64m", memswap_limit="64m")


def edit(victim: Victim) -> None:
    file = victim.file()
    file.write_text(file.read_text() + "edited\n")


def add_alias(victim: Victim) -> None:
    network = victim.network()
    network.disconnect(victim.container, force=True)
    network.connect(victim.container, aliases=[victim.declared.get("name", "x"), "another-name"])


def make_by_hand(victim: Victim) -> None:
    """Make another container in its place that has its name and its labels, and more rights."""
    victim.container.remove(force=True)
    victim.engine.containers.run(
        victim.container.attrs["Image"],
        ["600"],
        name=victim.container.name,
        labels=victim.container.labels,
        entrypoint=["sleep"],
        environment={"BY": "hand"},
        cap_add=["NET_ADMIN"],
        user="0",
        detach=True,
    )


def put_instead(path: Path, *, directory: bool = False) -> None:
    """Put a directory in place of a file, or a file in place of a directory."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.mkdir() if directory else path.write_text("somebody's")


ACTS = [
    Act(detach, "(was detached)"),
    Act(detach, "(was detached)"),
    Act(attach_anyhow, "connect to "),
    Act(add_alias, "connect to "),
    Act(lambda one: one.engine.networks.get("bridge").connect(one.container), "disconnect from bridge (not declared)"),
    Act(limit, "memory: 67108864 -> "),
    Act(lambda one: one.container.update(restart_policy={"Name": "no"}), "restart: no -> unless-stopped"),
    Act(lambda one: one.container.update(cpu_shares=64), "cpu shares: 64 -> "),
    Act(lambda one: one.container.update(cpuset_mems="0"), "CpusetMems is 0, and", restarts=True, anew=True),
    Act(edit, "was changed on the host", needs="config"),
    Act(lambda one: one.file().unlink(), "is missing", needs="config"),
    Act(lambda one: one.file().chmod(0o666), "permissions 666 -> 444", needs="config"),
    Act(lambda one: (one.mounted("config") / "more.conf").write_text("x"), "is not declared", needs="config"),
    Act(lambda one: put_instead(one.file(), directory=True), "was changed on the host", needs="config"),
    Act(lambda one: put_instead(one.mounted("config")), "is missing", needs="config", restarts=True),
    Act(lambda one: put_instead(one.mounted("data")), "is no directory; it is kept as", needs="data", restarts=True),
    Act(lambda one: shutil.rmtree(one.mounted("config")), "is missing", needs="config", restarts=True),
    Act(lambda one: shutil.rmtree(one.mounted("data")), "made again and is empty", needs="data", restarts=True),
    Act(lambda one: os.chown(one.mounted("data"), 4242, 4242), "belongs to 4242:4242", needs="data"),
    Act(lambda one: (one.mounted("data") / "own").write_text("x"), "/own belongs to 0:0 -> ", needs="data"),
    Act(lambda one: one.container.pause(), "is paused"),
    Act(lambda one: one.container.kill(), "is exited", restarts=True),
    Act(lambda one: one.container.stop(), "is exited", restarts=True),
    Act(lambda one: one.container.remove(force=True), "(new)", restarts=True, anew=True),
    Act(make_by_hand, "was made by hand", restarts=True, anew=True),
    Act(lambda one: one.container.rename("pairs-elsewhere"), "> rename ", anew=True),
    Act(lambda one: one.container.rename(f"{one.container.name}-previous"), "> restore ", anew=True),
]
FLUSH, CUT = "its rules differ", "it is gone"  # what is said of acts on the whole stack
OPEN = "lets connections pass before DOCKER-USER is called"
BY_HAND = f"{STACK} by hand"  # the comment of a rule that nothing removes but this test


def flush(_: Small, __: random.Random) -> str:
    subprocess.run(["iptables", "-w", "-F", f"SSE-{STACK}"], check=True)
    return FLUSH


def replace_rule(_: Small, __: random.Random) -> str:
    subprocess.run(["iptables", "-w", "-R", f"SSE-{STACK}", "2", "-j", "RETURN"], check=True)
    return FLUSH


def call_too_late(_: Small, __: random.Random) -> str:
    """Have everything pass before the chain is asked; the chains of other stacks on this engine still are."""
    for option, target in (("-A", "RETURN"), ("-D", f"SSE-{STACK}"), ("-A", f"SSE-{STACK}")):
        subprocess.run(["iptables", "-w", option, "DOCKER-USER", "-j", target], check=True)
    return FLUSH


def joined(small: Small) -> list[str]:
    """Return the networks of the stack that containers are on."""
    found = {each for one in small.containers().values() for each in one.attrs["NetworkSettings"]["Networks"]}
    return sorted(one for one in found if one.startswith(STACK))


def open_before(small: Small, chance: random.Random) -> str:
    """Have everything to a network of the stack pass; other stacks on this engine stay closed."""
    if not joined(small):
        return flush(small, chance)
    network = small.engine.networks.get(chance.choice(joined(small)))
    device = network.attrs["Options"]["com.docker.network.bridge.name"]
    rule = ["-o", device, "-m", "comment", "--comment", BY_HAND, "-j", "ACCEPT"]
    subprocess.run(["iptables", "-w", "-I", "FORWARD", *rule], check=True)
    return OPEN


@pytest.fixture(autouse=True)
def _no_rule_is_left() -> Iterator[None]:
    """Remove what `open_before` has inserted."""
    yield
    listed = subprocess.run(["iptables", "-w", "-S", "FORWARD"], check=True, capture_output=True, text=True).stdout
    for line in listed.splitlines():
        if BY_HAND in line:
            subprocess.run(["iptables", "-w", "-D", *shlex.split(line)[1:]], check=True)


def remove_network(small: Small, chance: random.Random) -> str:
    shared = [one for one in joined(small) if one in {f"{STACK}-network", f"{STACK}-app"}]
    if not shared:
        return flush(small, chance)
    network = small.engine.networks.get(chance.choice(shared))
    for one in small.containers().values():
        if network.name in one.attrs["NetworkSettings"]["Networks"]:
            network.disconnect(one, force=True)
    network.remove()
    return CUT


WHOLE = [flush, replace_rule, call_too_late, open_before, remove_network]


def vandalise(small: Small, drawn: Drawn, chance: random.Random) -> tuple[list[tuple[str, str]], set[str]]:
    """Do some things to the stack; return what must be said of which container, and those that may restart."""
    said: list[tuple[str, str]] = []
    restarts: set[str] = set()
    names = sorted(drawn.containers)
    for short in chance.sample(names, chance.randint(1, len(names))):
        name = f"{STACK}-{short}"
        able = [one for one in ACTS if not one.needs or drawn.containers[short].get(one.needs)]
        for act in chance.sample(able, chance.choice([1, 1, 2])):
            done = [one for one in ACTS if (name, one.named) in said]
            if any(one.anew or one.needs for one in done):
                break  # of two changes of one file the run names one
            victim = Victim(small.engine.containers.get(name), drawn.containers[short], chance, small.engine)
            try:
                act.does(victim)
            except Exception:  # noqa: BLE001 - the act before makes this one impossible: a paused container's network
                continue
            said = [one for one in said if one[0] != name] if act.anew else said
            if act.named == "is exited":  # a paused container that ends is paused no more
                said = [one for one in said if one != (name, "is paused")]
            said.append((name, act.named))
            restarts |= {name} if act.restarts else set()
    for act in chance.sample(WHOLE, chance.choice([0, 1])):
        said.append(("", act(small, chance)))
    return said, restarts


@pytest.mark.parametrize("seed", range(SEQUENCES), ids=lambda seed: f"acts{seed}")
def test_whatever_is_done_by_chance_is_named_and_mended_and_nothing_else_is_touched(small: Small, seed: int) -> None:
    chance = random.Random(seed)
    drawn = pairs.release_by_chance(chance)
    release = drawn.release(small.images)
    small.make_networks(release, small.missing_networks(release))
    small.request(release, drawn, check=False, to_make=set())
    assert small.drift() == []

    said, restarts = vandalise(small, drawn, chance)
    before = {one.id: one.started for one in small.seen().values()}
    drift = small.drift()
    to_make = small.missing_networks(release)
    preview = small.request(release, drawn, check=True, to_make=to_make)
    small.make_networks(release, to_make)
    report = small.request(release, drawn, check=False, to_make=set())
    assert report.changes == preview.changes
    for name, what in said:
        for lines in (drift, report.changes) if name else (drift,):
            assert any(name in line and what in line for line in lines), (name, what, lines)

    touched = {name for name, one in small.seen().items() if before.get(one.id) != one.started}
    assert touched <= restarts
    there(small, release, drawn)
    assert small.drift() == []
    assert not small.request(release, drawn, check=True, to_make=set()).changes
