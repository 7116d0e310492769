#!/usr/bin/env python3
"""List the ports of the host that answer to others, and compare them with what is declared; 2 where they differ."""

from __future__ import annotations

import argparse
import json
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import containers
import inventories

# isort: split
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding, of, report
from ansible_collections.sse.platform.plugins.module_utils.verify import outside

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json


def main() -> int:
    """Look from a neighbour of the host and, where the host is another machine, from here too."""
    parser = containers.parser()
    parser.add_argument("--ports", default=outside.ALL_PORTS, help="try these ports and ranges (default: all ports)")
    parser.add_argument("--allow", default="", metavar="PORTS", help="accept that these other ports of the host answer")
    parser.add_argument("--address", action="append", default=[], help="try a remote host at this address of it")
    parser.add_argument("--json", action="store_true", help="print what answers as JSON")
    options = parser.parse_args()
    try:
        ports, allowed = outside.ports_of(options.ports), outside.ports_of(options.allow) if options.allow else []
    except ValueError as error:
        parser.error(str(error))
    if inventories.is_cluster(options.inventory):
        return cluster(options, ports, allowed)
    host = containers.host(options)
    say(f"connecting to {len(ports)} ports of the host from a neighbour")
    found = containers.module(options, "scan", {"ports": options.ports, "allow": allowed})
    answers, lines = {"beside": found["answers"]}, found["lines"]
    findings = [Finding(**one) for one in found["findings"]]
    addresses = reached_at(host, options.address, found["known"])
    if addresses:
        view = from_here(found["known"], addresses, ports)
        answers["here"] = [one._asdict() for one in view.answers]
        lines += view.lines
        findings += view.findings
    return ended(options, answers, lines, findings)


def ended(options: argparse.Namespace, answers: Json, lines: list[str], findings: list[Finding]) -> int:
    """Show what was found; return the exit code."""
    if options.json:
        document = {"answers": answers, "findings": [one._asdict() for one in findings]}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        end = report(findings) if findings else "what is declared answers, and nothing else does"
        sys.stdout.write("\n".join([*lines, end]) + "\n")
    return 2 if findings else 0


def say(text: str) -> None:
    """Show what happens at the moment."""
    sys.stderr.write(f"sse: {text}\n")


def cluster(options: argparse.Namespace, ports: list[int], allowed: list[int]) -> int:
    """Look at the hosts of a cluster from a neighbour of each, from each other host, and from here.

    With -l, these hosts are looked at, by all.
    """
    only, options.limit = options.limit, None
    if options.address:
        raise SystemExit("sse: --address is about one host. A cluster is tried at the addresses of its inventory.")
    hosts = {one.name: one for one in containers.of_cluster(options)}
    with tempfile.TemporaryDirectory(prefix="sse-") as directory:
        to = Path(directory) / "found.json"
        given: dict[str, object] = {"scan_to": str(to), "scan_ports": options.ports, "scan_allow": allowed}
        if only:
            given["scan_only"] = only.replace(":", ",").split(",")
        code = containers.playbook(options, "cluster/scan.yml", given)
        if not to.exists():
            return 1
        found: Json = json.loads(to.read_text())
    answers: Json = {}
    lines: list[str] = []
    findings: list[Finding] = []
    for name, scanned in found["beside"].items():
        views = {"beside": scanned, **{host: seen[name] for host, seen in found["from"].items() if name in seen}}
        if addresses := reached_at(hosts[name], [], scanned["known"], of_cluster=True):
            view = from_here(scanned["known"], addresses, ports)
            views["here"] = {
                "lines": view.lines,
                "answers": [one._asdict() for one in view.answers],
                "findings": [one._asdict() for one in view.findings],
            }
        answers[name] = {place: one["answers"] for place, one in views.items()}
        for one in views.values():
            lines += [f"{name} {line}" if line.startswith("from") else line for line in one["lines"]]
            findings += [of({**each, "subject": f"{name}: {each['subject']}"}) for each in one["findings"]]
    told = ended(options, answers, lines, list(dict.fromkeys(findings)))
    return code or told


def reached_at(host: containers.Host, asked: list[str], known: outside.Known, *, of_cluster: bool = False) -> list[str]:
    """Return the addresses of the host to try from here: the asked ones or, where none is asked, those of its name.

    :param of_cluster: whether nobody can ask for one, so that a name which only SSH knows is told, and left out
    """
    own = known["outer"]
    for one in asked:
        if one not in own:
            raise SystemExit(f"The host does not have the address {one}: expected one of {', '.join(own)}.")
    if asked or not host.ssh:
        return asked
    name = hostname(host.ssh)
    try:
        found = sorted({str(one[4][0]) for one in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)})
    except OSError as error:
        if of_cluster:
            say(f"not looking at {host.name} from here: the name {name} gives no address ({error})")
            return []
        raise SystemExit(f"The name {name} gives no address ({error}). Give one with --address.") from None
    if any(one.startswith("127.") or one == "::1" for one in found):
        at, way = (f" at {host.name}", "") if of_cluster else ("", "; --address names the host's own")
        say(f"not looking{at} from here: {name} is this machine, which forwards SSH{way}")
        return []
    return found


def hostname(ssh: tuple[str, ...]) -> str:
    """Return the name or address that ssh would connect to, by its own configuration."""
    lines = containers.output([ssh[0], "-G", *ssh[1:]]).splitlines()
    return next(line.split()[1] for line in lines if line.startswith("hostname "))


def from_here(known: outside.Known, addresses: list[str], ports: list[int]) -> outside.View:
    """Look from this machine."""
    wanted = [(address, port) for address in addresses for port in ports]
    most = outside.longest(len(wanted), outside.AFAR_SECONDS)
    say(f"connecting to {len(wanted)} ports of {', '.join(addresses)} from here: at most {most:.0f} s")

    def told(tried: int, answering: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r  {tried} of {len(wanted)} tried, {answering} answer" + "\n" * (tried == len(wanted)))

    return outside.view(known, ("here,", known["client"]), wanted, addresses, outside.AFAR_SECONDS, told)


if __name__ == "__main__":
    sys.exit(main())
