#!/usr/bin/env python3
"""Complete the words of a command line in bash, zsh or fish: ./sse completion SHELL prints what a shell reads.

The shell asks `./sse completion --words N -- WORDS` at each Tab, so the answers are those of this version, from the
table of verbs and from what is there. It needs no Python environment, since Tab must not begin to install one.
"""

from __future__ import annotations

import ast
import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import parsers
from verbs import VERBS, Verb

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypeGuard

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "tools"
SOCKET = "/var/run/docker.sock"
ENGINE_SECONDS = 2.0  # after which the engine is not waited for
COMMON = ("-i", "-l", "-e", "-K", "-h", "--help", "--inventory", "--limit", "--extra-vars", "--ask-become-pass")
OF_PLAYBOOKS = ("-v", "--check", "--diff")
TAGS = ("--tags", "--skip-tags")
SETTING = re.compile(r"^([a-z][a-z0-9_]+):", re.MULTILINE)
HOST = re.compile(r"^ {4,8}([A-Za-z0-9][\w.-]*):(?: *\{.*\})? *$")  # below `hosts:` of an inventory in YAML
VALUED = {"-i", "--inventory", "-l", "--limit", "-e", "--extra-vars", "-n", "--tail", "--since", "--grep", "--seconds"}
OTHER_HOSTS = {"-i", "--inventory", "--inventory-file"}
# What the words after a verb are, where it is one of these.
CONTAINERS = {"logs", "exec", "restart", "reload", "probe", "capture"}
ONE = {"exec", "capture"}
NUMBERS = {"rollback", "diff"}
TEXTS = {"audit", "bundle", "exec", "key", "listen", "probe", "publish"}  # tools that take files or any other text
FIXED = {
    "completion": ("bash", "zsh", "fish"),
    "node": ("add", "drain", "remove"),
    "pause": ("publishing", "rollout"),
    "resume": ("publishing", "rollout"),
    "releases": ("show",),
    "test": ("lint", "unit", "stacks", "integration", "browser", "molecule"),
}
LEVELS = ("debug", "info", "warning", "error", "critical")
SCRIPTS = {
    "bash": r"""# bash: eval "$(./sse completion bash)", or this as ~/.local/share/bash-completion/completions/sse
_sse() {
    local command=${COMP_WORDS[0]/#\~/$HOME}
    mapfile -t COMPREPLY < <("$command" completion --words "$((COMP_CWORD - 1))" -- "${COMP_WORDS[@]:1}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then compopt -o nospace; fi
}
complete -o default -o bashdefault -F _sse sse ./sse
""",
    "zsh": r"""#compdef sse
# zsh: eval "$(./sse completion zsh)" after compinit, or write this into a file _sse in a directory of $fpath
_sse() {
    local -a found
    local command=${${(Q)words[1]}/#\~/$HOME}
    found=("${(@f)$("$command" completion --words $((CURRENT - 2)) -- "${(@Q)words[2,-1]}" 2>/dev/null)}")
    found=(${found:#})
    (( $#found )) || { _files; return }
    compadd -- ${found:#*=}
    compadd -S '' -- ${(M)found:#*=}
}
compdef _sse sse ./sse
""",
    "fish": r"""# fish: ./sse completion fish | source, or write this into ~/.config/fish/completions/sse.fish
function __sse_words
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l found ($before[1] completion --words (math (count $before) - 1) -- $before[2..-1] $current 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path $current
    end
end
complete -c sse -f -a '(__sse_words)'
""",
}


def main(words: Sequence[str]) -> int:
    """Print the script of a shell, or the words that may come next."""
    if words[:1] == ["--words"] and len(words) > 2 and words[1].isdigit():
        index, line = int(words[1]), list(words[3:])
        current = line[index] if index < len(line) else ""
        found = [one for one in candidates(line[:index], current) if one.startswith(current)]
        sys.stdout.writelines(f"{one}\n" for one in dict.fromkeys(found))
        return 0
    parser = parsers.of_verb("completion")
    parser.add_argument("shell", choices=list(SCRIPTS), help="the shell that reads it")
    sys.stdout.write(SCRIPTS[parser.parse_args(words).shell])
    return 0


def candidates(before: Sequence[str], current: str = "-") -> list[str]:
    """Return every word that may come after these; none where a file or any other text is meant.

    :param current: what is written of the word; options are for who has written their dash, or where nothing else comes
    """
    if not before:
        return [*VERBS, "help", "--version", "--help"]
    name, *rest = before
    if name == "help":
        return list(VERBS)
    verb = VERBS.get(name)
    if verb is None:
        return []
    previous = rest[-1] if rest else ""
    if previous in OTHER_HOSTS:
        return inventories()
    if previous in {"-l", "--limit"}:
        return hosts(rest)
    if previous in {"-e", "--extra-vars"}:
        return settings(verb)
    if previous == "--level":
        return list(LEVELS)
    if takes_value(verb, previous):
        return []
    words = arguments(name, rest)
    takes_words = words or verb.arguments or name in TEXTS
    return words if takes_words and not current.startswith("-") else [*words, *flags(name, verb)]


def takes_value(verb: Verb, word: str) -> bool:
    """Tell whether a value of an own option comes next that cannot be foreseen."""
    return any(word in {one.flag, one.short} and one.value and not one.otherwise for one in verb.options)


def flags(name: str, verb: Verb) -> list[str]:
    """Return the options of a verb: from its table, or from the file of its tool."""
    if name == "completion":
        return ["--help"]
    tool = TOOLS / f"{name}.py"
    if tool.exists():
        common = () if name in {"test", "key"} else COMMON
        return [*declared(tool.read_text()), *common]
    return [*(one.flag for one in verb.options), *OF_PLAYBOOKS, *(TAGS if verb.takes_tags else ()), *COMMON]


def declared(source: str) -> list[str]:
    """Return the long options that a tool adds to its parser."""
    calls = (one for one in ast.walk(ast.parse(source)) if isinstance(one, ast.Call))
    added = (one for one in calls if isinstance(one.func, ast.Attribute) and one.func.attr == "add_argument")
    words = (word.value for call in added for argument in call.args for word in ast.walk(argument) if is_text(word))
    return [str(word) for word in words if str(word).startswith("--")]


def is_text(node: ast.AST) -> TypeGuard[ast.Constant]:
    """Tell whether a part of a program is a text."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def arguments(name: str, rest: Sequence[str]) -> list[str]:
    """Return what the verb itself takes, where that is known."""
    values = {index + 1 for index, word in enumerate(rest) if word in VALUED}
    words = [word for index, word in enumerate(rest) if not word.startswith("-") and index not in values]
    if name == "node" and words:
        return hosts(rest)
    if name in FIXED:
        if name == "releases" and words[-1:] == ["show"]:
            return releases(rest)
        return [one for one in FIXED[name] if one not in words]
    if name in NUMBERS:
        return releases(rest)
    if name in CONTAINERS and not (name in ONE and words):
        return containers(rest)
    if name == "scale":
        return [f"{one}=" for one in services(rest)]
    return []


def inventories() -> list[str]:
    """Return the inventories of this checkout, as one would write them here."""
    base = ROOT / "inventory"
    found = sorted(path for path in base.glob("*") if path.is_dir()) if base.is_dir() else []
    return [os.path.relpath(path) if Path.cwd() in path.parents else str(path) for path in found]


def hosts(rest: Sequence[str]) -> list[str]:
    """Return the hosts of the inventory that is meant, where it is a file of YAML in the usual form."""
    given = [rest[index + 1] for index in range(len(rest) - 1) if rest[index] in OTHER_HOSTS]
    found: list[str] = []
    for one in given or [os.environ.get("ANSIBLE_INVENTORY") or str(ROOT / "inventory" / "local")]:
        if "," in one:
            found += filter(None, one.split(","))
            continue
        path = Path(os.path.expanduser(one))  # noqa: PTH111 - Path.expanduser raises where it knows no such user
        for file in (path / "hosts.yml", path / "hosts.yaml", path):
            if file.is_file():
                found += in_yaml(file.read_text(errors="replace"))
                break
    return found


def in_yaml(text: str) -> list[str]:
    """Return the names below each `hosts:`."""
    found: list[str] = []
    depth = level = -1
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if re.match(r" *hosts: *$", line):
            depth = indent
        elif line.strip() and not line.lstrip().startswith("#"):
            if indent <= depth:
                depth = level = -1
            match = HOST.match(line)
            if depth >= 0 and match and level in {-1, indent}:
                level = indent
                found.append(match[1])
    return found


def settings(verb: Verb) -> list[str]:
    """Return the names of settings: first those that matter most to the verb."""
    names = {
        name for file in sorted(ROOT.glob("roles/*/defaults/main.yml")) for name in SETTING.findall(file.read_text())
    }
    return [f"{name}=" for name in (*verb.settings, *sorted(names - set(verb.settings)))]


def stack(rest: Sequence[str]) -> str:
    """Return the name of the stack that a command line means."""
    given = [word.partition("=")[2] for word in rest if word.startswith("stack_name=")]
    return given[-1] if given else "sse"


def asked(rest: Sequence[str], form: str) -> list[str]:
    """Ask the engine of this machine about the containers of the stack; nothing where it does not answer at once."""
    if OTHER_HOSTS & set(rest):
        return []
    label = f"label=sse.platform.stack={stack(rest)}"
    command = ["docker", "-H", f"unix://{SOCKET}", "ps", "-a", "--filter", label, "--format", form]
    try:
        run = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=ENGINE_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return sorted(set(run.stdout.split())) if run.returncode == 0 else []


def containers(rest: Sequence[str]) -> list[str]:
    """Return the short names of containers, and the names of their services."""
    form = '{{.Label "sse.platform.container"}} {{.Label "sse.platform.service"}}'
    return [one for one in asked(rest, form) if one not in rest]


def services(rest: Sequence[str]) -> list[str]:
    """Return the services of the stack."""
    return asked(rest, '{{.Label "sse.platform.service"}}')


def releases(rest: Sequence[str]) -> list[str]:
    """Return the numbers of the releases that are kept, or at least of those that run."""
    kept: Iterable[Path] = Path(f"/var/lib/{stack(rest)}-platform/releases").glob("*/*.json")
    found: set[int] = set()
    with contextlib.suppress(OSError):  # it belongs to root alone
        found |= {int(path.stem) for path in kept if path.stem.isdigit()}
    found |= {int(one) for one in asked(rest, '{{.Label "sse.platform.release"}}') if one.isdigit()}
    return [str(number) for number in sorted(found, reverse=True)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
