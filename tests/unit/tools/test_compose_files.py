"""Compose files are read as Compose reads them. A new report is one more row: its files, and what they mean."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from compose_files import loading, reading
from compose_files.nodes import ProjectError

ROOT = Path(__file__).resolve().parents[3]
SECRET = "hunter2-5f1d"
UNSET = ("A", "B", "PORT", "TAG", "COMPOSE_FILE", "COMPOSE_PATH_SEPARATOR")


class Read(NamedTuple):
    """Files that are read, and what they mean."""

    files: str | dict[str, str]  # one file, or several by their names
    ports: tuple[str, ...] = ()  # SERVICE ADDRESS HOST->CONTAINER/PROTOCOL
    notes: tuple[str, ...] = ()  # each is part of a note
    named: tuple[str, ...] = ()  # the files that are named; without any, the directory
    networks: tuple[str, ...] | None = None  # SERVICE:NETWORK or SERVICE=MODE
    environment: dict[str, str] | None = None  # of the service `a`
    variables: dict[str, str] = {}  # noqa: RUF012 - in the environment of the command
    compose: bool = True  # Compose takes it, too


class Refused(NamedTuple):
    """Files that are refused, and what is said."""

    files: str | dict[str, str]
    said: str
    named: tuple[str, ...] = ()


def one(body: str, more: str = "") -> str:
    """A file with the service `a`."""
    return "services:\n  a:\n    image: x\n" + "".join(f"    {line}\n" for line in body.splitlines()) + more


READ = {
    # Variables
    "default after :-": Read(one('ports: ["${PORT:-6379}:6379"]'), ("a 0.0.0.0 6379->6379/tcp",)),
    "default after -": Read(one('ports: ["${PORT-81}:80"]'), ("a 0.0.0.0 81->80/tcp",), variables={"TAG": "1"}),
    "empty is set for -": Read(one('ports: ["${PORT-81}:80"]'), ("a 0.0.0.0 ->80/tcp",), variables={"PORT": ""}),
    "empty is not set for :-": Read(
        one('ports: ["${PORT:-81}:80"]'), ("a 0.0.0.0 81->80/tcp",), variables={"PORT": ""}
    ),
    "nested defaults": Read(one('ports: ["${A:-${B:-82}}:80"]'), ("a 0.0.0.0 82->80/tcp",)),
    "nested in a set variable": Read(
        one('ports: ["${A:-${B:-82}}:80"]'), ("a 0.0.0.0 7->80/tcp",), variables={"B": "7"}
    ),
    "instead": Read(one('ports: ["${A:+127.0.0.1:}80:80"]'), ("a 127.0.0.1 80->80/tcp",), variables={"A": "1"}),
    "instead of nothing": Read(one('ports: ["${A:+127.0.0.1:}80:80"]'), ("a 0.0.0.0 80->80/tcp",)),
    "without braces": Read(one("ports: [$PORT:80]"), ("a 0.0.0.0 8->80/tcp",), variables={"PORT": "8"}),
    "a whole port": Read(one('ports: ["${PORT:-127.0.0.1:5:5/udp}"]'), ("a 127.0.0.1 5->5/udp",)),
    "required and set": Read(one('ports: ["${PORT:?say it}:80"]'), ("a 0.0.0.0 9->80/tcp",), variables={"PORT": "9"}),
    "required and not set": Read(
        one("environment: {A: '${A:?say it}'}"), notes=("does not start without A: say it",), compose=False
    ),
    "an unknown address": Read(
        one('ports: ["$A:$B:3000"]'),
        notes=("the address and the host port of container port 3000 are unknown: nothing sets A and B",),
        compose=False,
    ),
    "an unknown host port": Read(
        one('ports: ["$B:3000"]'), ("a 0.0.0.0 ->3000/tcp",), notes=("the host port of container port 3000 is unknown",)
    ),
    "an unknown container port": Read(one('ports: ["80:$B"]'), notes=("nothing sets B",), compose=False),
    "dollar signs": Read(one("environment: {P: '$$A $(date) $1 a$'}"), environment={"P": "$A $(date) $1 a$"}),
    "braces in a default": Read(
        one("environment: {P: '${A:-{\"x\":1}}'}"), environment={"P": '{"x":1}'}, compose=False
    ),
    ".env": Read(
        {"compose.yml": one('ports: ["$PORT:80"]'), ".env": "# c\nexport PORT='83' # port\n"}, ("a 0.0.0.0 83->80/tcp",)
    ),
    ".env under the environment": Read(
        {"compose.yml": one('ports: ["$PORT:80"]'), ".env": "PORT=83\n"},
        ("a 0.0.0.0 84->80/tcp",),
        variables={"PORT": "84"},
    ),
    ".env of Windows": Read(
        {"compose.yml": one('ports: ["$PORT:80"]'), ".env": '\ufeffA=8\r\nPORT="${A}5"\r\n'}, ("a 0.0.0.0 85->80/tcp",)
    ),
    ".env with all its forms": Read(
        {
            "compose.yml": one("environment: {P: '$P', Q: '$Q', R: '$R', S: '$S', T: '$T'}"),
            ".env": "P=a b # c\nQ: 1\nR='$P'\nS=\"x\\ny$P\"\nT=a#b\n",
        },
        environment={"P": "a b", "Q": "1", "R": "$P", "S": "x\nya b", "T": "a#b"},
    ),
    "env_file": Read(
        {
            "compose.yml": one("env_file: [one.env, two.env]\nenvironment: [Q=3]"),
            "one.env": "P=1\nQ=1\n",
            "two.env": "P=2\n",
        },
        environment={"P": "2", "Q": "3"},
    ),
    "env_file that may be absent": Read(one("env_file: [{path: no.env, required: false}]"), environment={}),
    "env_file that is absent": Read(one("env_file: .env.prod"), notes=("there is no file",), compose=False),
    "a variable from outside": Read(
        one("environment: [A, B]"), environment={"A": "1"}, variables={"A": "1"}, compose=False
    ),
    # YAML
    "sexagesimal": Read(
        one("ports:\n  - 2222:22\n  - 22:22"),
        ("a 0.0.0.0 2222->22/tcp", "a 0.0.0.0 22->22/tcp"),
        ('write "2222:22" in quotation marks', "1342"),
    ),
    "a mark at the beginning, and CRLF": Read(
        "\ufeff" + one("ports: [80]").replace("\n", "\r\n"), ("a 0.0.0.0 ->80/tcp",)
    ),
    "UTF-8": Read(one("labels: {n: größe}")),
    "text and numbers": Read(
        one("environment: {A: yes, B: 12:30, C: 0777, D: 1.10, E: 'true', F: true, G: 0x10, H: ~}"),
        environment={"A": "yes", "B": "12:30", "C": "511", "D": "1.1", "E": "true", "F": "true", "G": "16", "H": ""},
        notes=('write "12:30"',),
        variables={"H": ""},
        compose=False,
    ),
    "several documents": Read(
        one("ports: [80]") + "---\n" + one("ports: [81]"), ("a 0.0.0.0 ->80/tcp", "a 0.0.0.0 ->81/tcp")
    ),
    "anchors and merge keys": Read(
        "x-one: &one {image: x, ports: ['1:1']}\nx-two: &two {image: y, network_mode: none}\n"
        "services:\n  a: {<<: *one, ports: ['2:2']}\n  b: {<<: [*one, *two], networks: [default], network_mode: }\n",
        ("a 0.0.0.0 2->2/tcp", "b 0.0.0.0 1->1/tcp"),
        compose=False,
    ),
    "extensions everywhere": Read(
        "x-a: {b: '${'}\nservices:\n  a: {image: x, x-b: 1, build: {context: ., x-c: [1]}}\n", compose=False
    ),
    "the old version": Read("version: '3.8'\n" + one("ports: ['80:80']"), ("a 0.0.0.0 80->80/tcp",)),
    "numbers where text is meant": Read(
        "version: 3.8\n" + one("user: 1000"),
        notes=(
            "compose.yml:1: version: expected text: write 3.8 in quotation marks, found a number",
            "compose.yml:5: services.a.user",
        ),
        compose=False,
    ),
    "sections without content": Read(
        one("ports:\nlabels:\ndeploy:\ndepends_on:") + "volumes:\nnetworks:\n", compose=False
    ),
    "keys of later versions": Read(
        one(
            "build: {context: ., provenance: true, sbom: false}\n"
            "develop: {watch: [{path: ., action: sync, target: /x, initial_sync: true}]}"
        ),
        compose=False,
    ),
    "a key of a build that is not known yet": Read(
        one("build: {context: ., prefetch: true}\nports: ['1:1']"),
        ("a 0.0.0.0 1->1/tcp",),
        ("services.a.build.prefetch: expected a key of the Compose Specification",),
        compose=False,
    ),
    # Ports
    "only the container's": Read(
        one("ports: [80, '81', '82/udp']"), ("a 0.0.0.0 ->80/tcp", "a 0.0.0.0 ->81/tcp", "a 0.0.0.0 ->82/udp")
    ),
    "ranges": Read(
        one("ports: ['3000-3002:3000-3002', '8000-8002:80', '90-91']"),
        ("a 0.0.0.0 3000-3002->3000-3002/tcp", "a 0.0.0.0 8000-8002->80/tcp", "a 0.0.0.0 ->90-91/tcp"),
    ),
    "addresses": Read(
        one("ports: ['127.0.0.1:80:80', '127.0.0.1::81', '[::1]:82:82', '[::]:83:83/udp', ':84:84']"),
        (
            "a 127.0.0.1 80->80/tcp",
            "a 127.0.0.1 ->81/tcp",
            "a ::1 82->82/tcp",
            "a :: 83->83/udp",
            "a 0.0.0.0 84->84/tcp",
        ),
    ),
    "long syntax": Read(
        one(
            "ports:\n  - {target: 80, published: 8080, host_ip: 127.0.0.1, protocol: udp, mode: host, name: n}\n"
            "  - {target: '81', published: '9000-9002'}\n  - target: 82"
        ),
        ("a 127.0.0.1 8080->80/udp", "a 0.0.0.0 9000-9002->81/tcp", "a 0.0.0.0 ->82/tcp"),
    ),
    "long syntax with variables": Read(
        one("ports: [{target: '${PORT:-80}', published: '${A:-8080}'}]"), ("a 0.0.0.0 8080->80/tcp",)
    ),
    "a service behind a profile": Read(one("profiles: [debug]\nports: ['1:1']"), ("a 0.0.0.0 1->1/tcp",)),
    "replicas": Read(
        one("deploy: {mode: replicated, replicas: '${A:-2}'}\nports: ['80-81:80']"), ("a 0.0.0.0 80-81->80/tcp",)
    ),
    # Networks
    "the host's network": Read(one("network_mode: host"), networks=("a=host",)),
    "ports on the host's network": Read(
        one("network_mode: host\nports: ['80:80']"),
        notes=("publishes nothing with network_mode: host",),
        networks=("a=host",),
        compose=False,
    ),
    "no network": Read(one("network_mode: none"), networks=("a=none",)),
    "the network of a service": Read(
        one("network_mode: service:b", "  b: {image: y}\n"), networks=("a=service:b", "b:default")
    ),
    "the network of a container": Read(one("network_mode: container:vpn"), networks=("a=container:vpn",)),
    "the default bridge": Read(one("network_mode: bridge"), networks=("a:bridge",)),
    "external networks": Read(
        one("networks: [p, q]", "networks: {p: {external: true}, q: {external: true, name: r}}\n"),
        networks=("a:p", "a:q"),
    ),
    "networks with addresses": Read(
        one(
            "networks: {p: {ipv4_address: 10.0.0.9, aliases: [z]}, default: }",
            "networks: {p: {ipam: {config: [{subnet: 10.0.0.0/24}]}}}\n",
        ),
        networks=("a:p", "a:default"),
    ),
    # What is built, and what is kept secret
    "only built": Read("services:\n  a: {build: .}\n  b: {build: {context: ., args: [A=1]}}\n"),
    "secrets and configs": Read(
        one(
            "secrets: [s, {source: t, target: /t}]\nconfigs: [c]",
            "secrets: {s: {file: s}, t: {environment: HOME}}\nconfigs: {c: {content: 'a$$b'}}\n",
        )
    ),
    "a dependency that may be absent": Read(
        one("depends_on: {z: {condition: service_started, required: false}}"), compose=False
    ),
    # Several files
    "over the file of the directory": Read(
        {"compose.yml": one("ports: ['1:1']"), "compose.override.yml": one("ports: ['2:2']")},
        ("a 0.0.0.0 1->1/tcp", "a 0.0.0.0 2->2/tcp"),
    ),
    "COMPOSE_FILE in .env": Read(
        {
            ".env": "COMPOSE_FILE=1.yml:2.yml\nA=5\n",
            "1.yml": one("ports: ['1:1']"),
            "2.yml": one("ports: ['$A:2']"),
            "compose.yml": one("ports: ['3:3']"),
            "compose.override.yml": one("ports: ['4:4']"),
        },
        ("a 0.0.0.0 1->1/tcp", "a 0.0.0.0 5->2/tcp"),
    ),
    "COMPOSE_FILE in the environment, with a separator of its own": Read(
        {".env": "COMPOSE_FILE=compose.yml\n", "1.yml": one("ports: ['1:1']"), "2.yml": one("ports: ['2:2']")},
        ("a 0.0.0.0 1->1/tcp", "a 0.0.0.0 2->2/tcp"),
        variables={"COMPOSE_FILE": "1.yml,2.yml", "COMPOSE_PATH_SEPARATOR": ","},
    ),
    "COMPOSE_FILE does not count for a file that is named": Read(
        {".env": "COMPOSE_FILE=1.yml\n", "1.yml": one("ports: ['1:1']"), "2.yml": one("ports: ['2:2']")},
        ("a 0.0.0.0 2->2/tcp",),
        named=("2.yml",),
    ),
    "the first name counts": Read(
        {"docker-compose.yml": one("ports: ['1:1']"), "compose.yaml": one("ports: ['2:2']")}, ("a 0.0.0.0 2->2/tcp",)
    ),
    "a named file alone": Read(
        {"compose.yml": one("ports: ['1:1']"), "compose.override.yml": one("ports: ['2:2']")},
        ("a 0.0.0.0 1->1/tcp",),
        ("compose.override.yml is not read",),
        named=("compose.yml",),
    ),
    "merged": Read(
        {
            "1.yml": one(
                "ports: ['1:1', '2:2']\nenvironment: [P=1, Q=1]\ncommand: [x]\nnetworks: [n]", "networks: {n: }\n"
            ),
            "2.yml": one(
                "ports: ['2:2', '3:3']\nenvironment: {Q: 2}\nnetworks: {m: {aliases: [z]}}", "networks: {m: }\n"
            ),
        },
        ("a 0.0.0.0 1->1/tcp", "a 0.0.0.0 2->2/tcp", "a 0.0.0.0 3->3/tcp"),
        named=("1.yml", "2.yml"),
        networks=("a:n", "a:m"),
        environment={"P": "1", "Q": "2"},
    ),
    "!reset": Read({"1.yml": one("ports: ['1:1']"), "2.yml": one("ports: !reset []")}, named=("1.yml", "2.yml")),
    "!reset of what is not there": Read(one("ports: !reset []")),
    "!reset of one variable": Read(
        {"1.yml": one("environment: {P: 1, Q: 1}"), "2.yml": one("environment: {P: !reset null}")},
        named=("1.yml", "2.yml"),
        environment={"Q": "1"},
    ),
    "!override": Read(
        {"1.yml": one("ports: ['1:1']"), "2.yml": one("ports: !override ['2:2']")},
        ("a 0.0.0.0 2->2/tcp",),
        named=("1.yml", "2.yml"),
    ),
    "over what was reset": Read(
        {"1.yml": one("ports: ['1:1']"), "2.yml": one("ports: !reset []"), "3.yml": one("ports: ['3:3']")},
        ("a 0.0.0.0 3->3/tcp",),
        named=("1.yml", "2.yml", "3.yml"),
        compose=False,
    ),
    "paths begin at the first file": Read(
        {"1.yml": one("labels: {x: y}"), "sub/2.yml": one("env_file: e.env"), "e.env": "P=1\n"},
        named=("1.yml", "sub/2.yml"),
        environment={"P": "1"},
    ),
    "extends": Read(
        one("extends: b\nports: ['1:1']", "  b: {image: y, ports: ['2:2'], environment: {P: 1}}\n"),
        ("a 0.0.0.0 2->2/tcp", "a 0.0.0.0 1->1/tcp", "b 0.0.0.0 2->2/tcp"),
        environment={"P": "1"},
    ),
    "extends of extends": Read(
        one("extends: {service: b}", "  b: {extends: {service: c}}\n  c: {image: y, ports: ['2:2']}\n"),
        ("a 0.0.0.0 2->2/tcp", "b 0.0.0.0 2->2/tcp", "c 0.0.0.0 2->2/tcp"),
    ),
    "extends of another file": Read(
        {
            "compose.yml": one("extends: {file: common/base.yml, service: b}"),
            "common/base.yml": "services:\n  b: {extends: c, env_file: e.env}\n  c: {image: y, ports: ['${A:-4}:2']}\n",
            "common/e.env": "P=1\n",
        },
        ("a 0.0.0.0 4->2/tcp",),
        environment={"P": "1"},
    ),
    "extends without the base's ports": Read(
        one("extends: b\nports: !reset []", "  b: {image: y, ports: ['2:2']}\n"), ("b 0.0.0.0 2->2/tcp",)
    ),
    "include": Read(
        {
            "compose.yml": "include: [sub/compose.yml]\n" + one("depends_on: [b]"),
            "sub/compose.yml": "services:\n  b: {image: y, ports: ['$PORT:80']}\n",
            "sub/.env": "PORT=5\n",
        },
        ("b 0.0.0.0 5->80/tcp",),
    ),
    "include, the long form": Read(
        {
            "compose.yml": "include:\n  - path: [sub/1.yml, sub/2.yml]\n"
            "    project_directory: other\n    env_file: sub/x.env\n",
            "sub/1.yml": "services:\n  b: {image: y, ports: ['$PORT:80'], env_file: e.env}\n",
            "sub/2.yml": "services:\n  b: {ports: ['6:81']}\n",
            "sub/x.env": "PORT=5\n",
            "other/e.env": "P=1\n",
        },
        ("b 0.0.0.0 5->80/tcp", "b 0.0.0.0 6->81/tcp"),
    ),
    "include from elsewhere": Read(
        "include: ['oci://example.org/x']\n" + one("depends_on: [b]"),
        notes=("not read, because it is not on this machine",),
        compose=False,
    ),
}

REFUSED = {
    "no YAML": Refused("services: [", "compose.yml:2: the file: expected YAML"),
    "a tab": Refused("services:\n  a:\n\timage: x\n", "yml:3: the file: expected spaces for indentation, found a tab"),
    "no text": Refused("services:\n  a: \udcff\n", "yml:2: the file: expected text in UTF-8, found the byte 0xff"),
    "a key twice": Refused(
        one("", "  a: {image: y}\n"),
        "compose.yml:4: the file: expected each key once in a mapping, found 'a' again, which stands in line 2",
    ),
    "a bomb": Refused(
        "x0: &x0 [a, a]\n" + "".join(f"x{i}: &x{i} [*x{i - 1}, *x{i - 1}, *x{i - 1}]\n" for i in range(1, 30)),
        "expected at most 100000 values",
    ),
    "an alias in itself": Refused(
        "x-a: &a [*a]\nservices: {}\n",
        "compose.yml:1: the file: expected an alias of something above, found the alias *a, which holds itself",
    ),
    "very deep": Refused("x-a: " + "[" * 5000, "expected at most 100 levels"),
    "numbers that are none": Refused(one(f"mem_limit: 0x_\nports: [{'9' * 5000}]"), "services.a.ports[0]: expected"),
    "a name that is too long": Refused(one(f"extends: {{file: {'f' * 300}, service: b}}"), "expected a Compose file"),
    "not a mapping": Refused("- a\n", "compose.yml:1: the file: expected a mapping, found a list"),
    "no service": Refused("services: {}\n", "compose.yml:1: services: expected at least one service, found none"),
    "a service without content": Refused(
        "services:\n  web:\n",
        "2: services.web: expected a mapping, with an image or a build, for the service 'web', found nothing",
    ),
    "neither image nor build": Refused(
        "services:\n  web: {restart: always}\n",
        "compose.yml:2: services.web: expected an image or a build for the service 'web', found neither; where "
        "this file only changes another one, name that one before it",
    ),
    "an unknown key": Refused(
        one("prots: [80]"),
        "4: services.a.prots: expected a key of the Compose Specification (did you mean 'ports'?), found 'prots'",
    ),
    "the first format": Refused(
        "web: {image: x}\n", "compose.yml:1: web: expected a key of the Compose Specification ("
    ),
    "a wrong type": Refused(one("ports: {a: 1}"), "compose.yml:4: services.a.ports: expected a list, found a mapping"),
    "a name as address": Refused(
        one("ports: ['localhost:80:80']"),
        "4: services.a.ports[0]: expected [[address:]host port:]container port, with an IP address, found 'localhost'",
    ),
    "no port after the colon": Refused(
        one("ports: ['80:']"),
        "compose.yml:4: services.a.ports[0]: expected [[address:]host port:]container port, found '80:'",
    ),
    "a port that is too high": Refused(
        one("ports: ['70000:80']"), "expected ports from 0 to 65535, the first one first, found '70000'"
    ),
    "ranges of unlike length": Refused(
        one("ports: ['3000-3001:3000-3005']"),
        "expected as many host ports as container ports, found 3000-3001 for 3000-3005",
    ),
    "an unknown protocol": Refused(
        one("ports: ['80:80/icmp']"), "expected one of the protocols tcp, udp, sctp, found 'icmp'"
    ),
    "no variable": Refused(one("hostname: '${1}'"), "compose.yml:4: services.a.hostname: expected $NAME, ${NAME}"),
    "an open brace": Refused(one("hostname: '${A'"), "found '${' without its '}'"),
    "an undeclared network": Refused(
        one("networks: [n]"), "compose.yml:4: services.a.networks[0]: expected one of the networks default, found 'n'"
    ),
    "an unknown dependency": Refused(
        one("depends_on: [z]"), "compose.yml:4: services.a.depends_on[0]: expected one of the services a, found 'z'"
    ),
    "an unknown secret": Refused(
        one("secrets: [z]"), "services.a.secrets[0]: expected one of the secrets (there is none), found 'z'"
    ),
    "a mode and networks": Refused(
        one("network_mode: host\nnetworks: [default]"),
        "services.a.networks: expected either network_mode or networks, found both",
    ),
    "extends of nothing": Refused(
        one("extends: z"), "compose.yml:4: services.a.extends: expected one of the services a, found 'z'"
    ),
    "extends in a circle": Refused(
        one("extends: b", "  b: {extends: a}\n"), "expected services that do not extend one another, found a circle"
    ),
    "extends of no file": Refused(
        one("extends: {file: no.yml, service: b}"),
        "compose.yml:4: services.a.extends.file: expected a Compose file, found no file",
    ),
    "include of no file": Refused(
        "include: [no.yml]\n" + one(""), "compose.yml:1: include[0]: expected a Compose file, found no file"
    ),
    "include in a circle": Refused(
        {"compose.yml": "include: [b.yml]\n" + one(""), "b.yml": "include: [compose.yml]\n"},
        "expected files that do not include one another, found a circle",
    ),
    "included twice with another meaning": Refused(
        {"compose.yml": "include: [b.yml]\n" + one(""), "b.yml": "services:\n  a: {image: y}\n"},
        "services.a: expected services.a once, found another one in",
    ),
    "no such file": Refused(one(""), "no.yml: expected a Compose file, found none", named=("no.yml",)),
    ".env that is none": Refused({"compose.yml": one(""), ".env": "A=1\nno variable\n"}, ".env:2: expected NAME=value"),
}


def placed(files: str | dict[str, str], directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the files of a case, and make no variable of this machine count."""
    for name in UNSET:
        monkeypatch.delenv(name, raising=False)
    for name, text in (files if isinstance(files, dict) else {"compose.yml": files}).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    monkeypatch.chdir(directory)


def chosen(case: Read | Refused) -> list[Path]:
    """The files that are read."""
    return list(map(Path, case.named)) or loading.found_in(Path())


@pytest.mark.parametrize("case", READ.values(), ids=READ)
def test_a_file_means_what_it_means_to_compose(case: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    placed(case.files, tmp_path, monkeypatch)
    for name, value in case.variables.items():
        monkeypatch.setenv(name, value)
    project = reading.read(chosen(case), named=bool(case.named))
    ports = [
        f"{service.name} {port.host_ip} {port.published}->{port}" + ("/tcp" if port.protocol == "tcp" else "")
        for service in project.services
        for port in service.ports
    ]
    assert sorted(ports) == sorted(case.ports)
    for part in case.notes:
        assert any(part in note for note in project.notes), project.notes
    assert len(project.notes) <= len(case.notes) + 1, "no other note but that of variables that nothing sets"
    services = {one.name: one for one in project.services}
    if case.networks is not None:
        found = {f"{one.name}={one.mode}" for one in services.values() if one.mode}
        assert found | {f"{one.name}:{net}" for one in services.values() for net in one.networks} == set(case.networks)
    if case.environment is not None:
        assert services["a"].environment == case.environment


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_named_with_file_line_and_what_was_expected(
    case: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed(case.files, tmp_path, monkeypatch)
    with pytest.raises(ProjectError) as refused:
        reading.read(chosen(case))
    assert case.said in str(refused.value)
    assert "\n" not in str(refused.value)


def compose_program() -> list[str]:
    """Compose, version 2 or later, where it is installed."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            run = subprocess.run([*command, "version", "--short"], capture_output=True, text=True, check=False)
            if run.returncode == 0 and not run.stdout.startswith("1."):
                return command
    return []


COMPOSE = compose_program()


@pytest.mark.skipif(not COMPOSE, reason="docker compose (version 2 or later) is not installed here")
@pytest.mark.parametrize("name", [name for name, case in READ.items() if case.compose])
def test_compose_itself_reads_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = READ[name]
    placed(case.files, tmp_path, monkeypatch)
    files = [word for one in case.named for word in ("-f", one)]
    run = subprocess.run(
        [*COMPOSE, *files, "--profile", "*", "config", "--format", "json"],
        env={**os.environ, **case.variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    services: dict[str, Any] = json.loads(run.stdout)["services"]
    ports = [(name, port) for name, one in services.items() for port in one.get("ports", ())]
    theirs = {
        (name, port.get("host_ip") or "0.0.0.0", str(port.get("published", "")), port["target"], port["protocol"])
        for name, port in ports
    }
    for variable, value in case.variables.items():
        monkeypatch.setenv(variable, value)
    project = reading.read(chosen(case), named=bool(case.named))
    ours = {
        (service.name, port.host_ip, published(port, offset), number, port.protocol)
        for service in project.services
        for port in service.ports
        for offset, number in enumerate(port.container_ports)
    }
    assert ours == theirs
    assert {one.name for one in project.services} == set(services)
    for one in project.services:
        their = services[one.name]
        assert one.environment == {
            key: value.replace("$$", "$")  # as it would have to be written in a file
            for key, value in their.get("environment", {}).items()
            if value is not None
        }
        assert (one.mode or "bridge") == their.get("network_mode", one.mode or "bridge")
        assert set(one.needs) <= set(their.get("depends_on", {}))  # Compose adds those that share a namespace
        if not one.mode and "network_mode" not in their:
            assert set(one.networks) == set(their["networks"])


def published(port: Any, offset: int) -> str:
    """The host's port of one container port; a range for a single one stays a range."""
    first, _, last = port.published.partition("-")
    return str(int(first) + offset) if last and len(port.container_ports) > 1 else port.published


def test_no_note_and_no_refusal_shows_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = one(f"environment: {{P: '{SECRET}', Q: '${{1}}{SECRET}'}}")
    placed(text, tmp_path, monkeypatch)
    with pytest.raises(ProjectError) as refused:
        reading.read(chosen(Refused("", "")))
    assert SECRET not in str(refused.value)


def audit(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the tool, as ./sse audit does."""
    command = [sys.executable, str(ROOT / "tools/audit.py"), *words]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


def test_several_files_and_a_directory_are_audited_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed({"compose.yml": one("ports: ['$B:6379']"), "prod.yml": one("privileged: true")}, tmp_path, monkeypatch)
    (tmp_path / "x.env").write_text("B=7000\n")
    both = audit(tmp_path, "-f", "compose.yml", "-f", "prod.yml", "--env-file", "x.env", "--json")
    assert both.returncode == 2, both.stderr
    [findings] = json.loads(both.stdout).values()
    shown = [(finding["id"], finding["found"]) for finding in findings]
    assert ("NET003", "port 6379 (Redis) is published on 0.0.0.0 as 7000") in shown
    assert ("SEC002", "privileged: true") in shown
    alone = audit(tmp_path, ".")
    assert alone.returncode == 2
    assert "privileged" not in alone.stdout
    assert "note: nothing sets B:" in alone.stdout


def test_a_directory_is_audited_by_the_files_that_its_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        ".env": "COMPOSE_FILE=deploy/prod.yml\nA=7000\n",
        "deploy/.env": "A=8000\nB=127.0.0.1\n",
        "deploy/prod.yml": one("ports: ['$A:6379', '$B:9:5432']"),
        "compose.yml": one("privileged: true"),
    }
    placed(files, tmp_path, monkeypatch)
    shown = audit(tmp_path, ".").stdout
    assert "port 6379 (Redis) is published on 0.0.0.0 as 7000" in shown
    assert "port 5432" not in shown
    assert "privileged" not in shown
    (tmp_path / "deploy/prod.yml").unlink()
    run = audit(tmp_path, ".")
    assert run.returncode == 1
    assert "deploy/prod.yml: expected a Compose file, found none" in run.stderr


def test_what_cannot_be_audited_ends_with_1_and_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    placed(one("prots: [80]"), tmp_path, monkeypatch)
    run = audit(tmp_path, "compose.yml")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("sse: compose.yml:4: services.a.prots: expected a key of the Compose Specification")
    (tmp_path / "compose.yml").unlink()
    empty = audit(tmp_path, ".")
    assert (empty.returncode, empty.stdout) == (1, "")
    assert "expected a directory with one of compose.yaml, compose.yml" in empty.stderr
