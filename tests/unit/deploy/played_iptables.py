"""Plays iptables for chains that a file `restore` puts in place, and the writing of their files."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import stack_firewall
from ansible_collections.sse.platform.plugins.module_utils.host import iptables


class PlayedIptables:
    """Chains as they are listed, and the commands that were run."""

    def __init__(self, chain: str, hook: str, *present: str) -> None:
        """Begin with what the hook, such as INPUT, has already."""
        self.chain, self.hook = chain, hook
        self.chains: dict[str, list[str]] = {hook: list(present)}
        self.ran: list[tuple[str, ...]] = []

    def run(self, *command: str, given: str = "") -> subprocess.CompletedProcess[str]:
        self.ran.append(command)
        words = command[3:] if command[0].endswith("tables") else command
        if words[:1] == ("-t",):
            words = words[2:]
        if command[0] == "/bin/sh":  # the file `restore`
            call, calls = f"-A {self.hook} -j {self.chain}", self.chains[self.hook]
            self.chains[self.chain] = iptables.rules_in(Path(command[1]).with_name("rules4").read_text())
            self.chains[self.hook] = [call, *(one for one in calls if one != call)]
        elif words[0] == "-S" and len(words) == 2:
            found = self.chains.get(words[1])
            return subprocess.CompletedProcess(command, found is None, "\n".join(found or []), "")
        elif words[0] == "-D":
            line = f"-A {words[1]} -j {words[3]}"
            if line not in self.chains[words[1]]:
                return subprocess.CompletedProcess(command, 1, "", "")
            self.chains[words[1]].remove(line)
        elif words[0] == "-X":
            self.chains.pop(words[1], None)
        return subprocess.CompletedProcess(command, 0, "", "")

    def play(self, monkeypatch: pytest.MonkeyPatch, hooks: Path) -> None:
        """Stand in for iptables, and write files without their modes and owners."""

        def write(directory: Path, files: dict[str, str], **_: Any) -> None:
            directory.mkdir(exist_ok=True)
            for name, text in files.items():
                (directory / name).write_text(text)

        monkeypatch.setattr(iptables, "run", self.run)
        monkeypatch.setattr(stack_firewall, "HOOKS", hooks)
        monkeypatch.setattr(stack_firewall, "systemd", lambda: False)
        monkeypatch.setattr(stack_firewall, "write_directory", write)
