#!/usr/bin/env python3
"""Check networking practices of the platform, of Compose files or of a running project."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import containers
import inventories

# isort: split
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.views import audit, project
from compose_files import loading, reading

LABEL = "com.docker.compose.project"
RULES = {rule.id: rule for rule in audit.RULES}


def main() -> int:
    """Print every finding; end with 2 where there is one, and with 1 where there is nothing to check."""
    parser = containers.parser()
    parser.add_argument(
        "target",
        nargs="*",
        help="Compose files, each over those before it; a directory with Compose files;\n"
        "or a running project (default: the platform)",
    )
    parser.add_argument("-f", "--file", action="append", default=[], help="a Compose file, as for docker compose")
    parser.add_argument("--env-file", action="append", default=[], type=Path, help="read variables from it, not .env")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--list", action="store_true", help="print the practices and check nothing")
    options = parser.parse_args()
    if options.list:
        sys.stdout.writelines(f"{rule.id}  {rule.severity:6}  {rule.practice}: {rule.reason}\n" for rule in audit.RULES)
        return 0
    try:
        projects = find(options)
    except project.ProjectError as error:
        sys.stderr.write(f"sse: {error}. Nothing was audited.\n")
        return 1
    for one in projects:
        sys.stderr.writelines(f"sse: {note}\n" for note in one.notes if options.json)
    found = {one.name: audit.audit(one) for one in projects}
    if options.json:
        document = {name: list(map(record, findings)) for name, findings in found.items()}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(report(one, found[one.name]) for one in projects) + "\n")
    return 2 if any(found.values()) else 0


def find(options: argparse.Namespace) -> list[project.Project]:
    """Return the projects to check."""
    files = [*options.file, *options.target]
    if not files:
        cluster = inventories.is_cluster(options.inventory)
        releases = containers.applied(options) if cluster else containers.releases(options)
        return [project.from_release(release) for release in releases]
    target = files[0]
    if len(files) == 1 and not options.file and Path(target).is_dir():
        there = loading.found_in(Path(target), options.env_file)
        if there:  # the file .env of the directory counts before that of the first Compose file, which may be below it
            beside = dict.fromkeys(one / ".env" for one in (there[0].parent, Path(target)))
            return [reading.read(there, options.env_file or list(filter(loading.there, beside)), named=False)]
        if "/" in target or target.startswith("."):
            expected = ", ".join(loading.DEFAULTS)
            raise project.ProjectError(f"{target}: expected a directory with one of {expected}, found none of them")
    if options.file or len(files) > 1 or target.endswith((".yml", ".yaml")) or Path(target).is_file():
        return [reading.read(list(map(Path, files)), options.env_file)]
    if inventories.is_cluster(options.inventory):
        raise project.ProjectError(
            f"{target}: no file has this name, and the projects of a cluster are not told apart by host: expected a "
            "Compose file, a directory with one, or no name for the platform of the cluster"
        )
    host = containers.host(options)
    named = ("--filter", f"label={LABEL}={target}")
    ids = host.output("ps", "-aq", *named).split()
    if not ids:
        known = host.output("ps", "-a", "--format", f'{{{{.Label "{LABEL}"}}}}').split()
        names = ", ".join(sorted(set(known)))
        expected = f"a Compose file, a directory with one, or a running project, which are {names}"
        raise project.ProjectError(f"{target}: no file and no running project has this name: expected {expected}")
    networks = host.output("network", "ls", "-q", *named).split()
    return [project.from_engine(target, inspect(host, "container", ids), inspect(host, "network", networks))]


def inspect(host: containers.Host, kind: str, ids: list[str]) -> Any:
    """Return what the engine knows of these containers or networks."""
    return json.loads(host.output(kind, "inspect", *ids)) if ids else []


def record(finding: Finding) -> dict[str, str]:
    """Return a finding as JSON shows it."""
    rule = RULES[finding.rule]
    shown = {"id": rule.id, "severity": rule.severity, "subject": finding.subject, "found": finding.evidence}
    return shown | {"reason": rule.reason, "mend": rule.mend}


def report(one: project.Project, findings: list[Finding]) -> str:
    """Write the findings of one project for people: each broken practice once, with all places that break it."""
    notes = [f"  note: {note}" for note in one.notes]
    if not findings:
        return "\n".join([f"{one.name}: {len(one.services)} services keep all {len(RULES)} practices", *notes])
    lines = [f"{one.name}: {len(findings)} findings in {len(one.services)} services"]
    for rule in audit.RULES:
        places = [f"    {finding.subject}: {finding.evidence}" for finding in findings if finding.rule == rule.id]
        if places:
            lines += [f"  {rule.id} {rule.severity}: {rule.practice}", *places]
            lines += [f"    why:  {rule.reason}", f"    mend: {rule.mend}"]
    return "\n".join(lines + notes)


if __name__ == "__main__":
    sys.exit(main())
