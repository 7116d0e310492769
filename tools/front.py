"""The front of ./sse: it finds the verb, shows its help, and runs its playbook or its tool.

Before the Python environment is there, `front.py --before` answers what needs none with any Python 3.9.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import children
import inputs
import inventories
import surroundings
from nearest import did_you_mean
from verbs import GROUPS, VERBS, WAIT, Argument, Option, Verb

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent
FINE, FAILED, FINDINGS, NEEDS_ENVIRONMENT = 0, 1, 2, 3
HELP = ("-h", "--help")
# The options of ansible-playbook that take a value; the word after one of them is no argument of ours.
VALUED = {
    *("-i", "-l", "-e", "-t", "-f", "-M", "-u", "-c", "-T", "--inventory", "--inventory-file", "--limit"),
    *("--extra-vars", "--tags", "--skip-tags", "--forks", "--module-path", "--user", "--connection", "--timeout"),
    *("--private-key", "--key-file", "--ssh-common-args", "--sftp-extra-args", "--scp-extra-args"),
    *("--ssh-extra-args", "--become-method", "--become-user", "--become-password-file", "--become-pass-file"),
    *("--connection-password-file", "--conn-pass-file", "--vault-id", "--vault-password-file", "--vault-pass-file"),
}
SWITCHES = {
    *("--ask-become-pass", "--ask-pass", "--ask-vault-pass", "--ask-vault-password", "--become", "--check", "--diff"),
    *("--flush-cache", "--force-handlers", "--list-hosts", "--list-tags", "--list-tasks", "--step", "--syntax-check"),
    *("--verbose", "--version"),
}
# The options of ansible-playbook with one letter that take no value. Several of them may stand together, as in -CD.
LETTERS = frozenset("bCDJkKv")
# The options that choose some services, also shortened, and with letters before the letter.
TAGS = re.compile(r"-[bCDJkKv]*t|--ta(gs?)?(=|$)|--sk[a-z-]*(=|$)")
# With one of these options nobody has to be asked for the password of sudo, or it is asked for anyway.
ASKED = re.compile(r"-i|--inv|-\w*K|--(ask-)?become-pass")


class RefusedError(Exception):
    """The command line is not accepted. The message says why, and what to do."""


class CommandLine(NamedTuple):
    """The words after a verb, told apart."""

    variables: dict[str, object]  # from our own arguments and options
    ansible: list[str]  # for ansible-playbook, as they were given


def main(words: Sequence[str]) -> int:
    """Do what the command line says; return the exit code."""
    if sys.stdout is None:  # descriptor 1 is closed, and the next file that is opened would get what is printed
        return refuse("the standard output is closed; >/dev/null throws away what is printed. Nothing was done.")
    rest = list(words)
    before = rest[:1] == ["--before"]
    if before:
        rest.pop(0)
    name = rest.pop(0) if rest else ""
    if name == "help" and rest:
        name, rest = rest[0], ["--help"]
    if name in {"", "help", *HELP}:
        sys.stdout.write(overview())
        return FINE
    if name == "--version":
        sys.stdout.write(version() + "\n")
        return FINE
    verb = VERBS.get(name)
    if verb is None:
        return refuse(f"There is no verb '{name}'{did_you_mean(name, VERBS)} Run ./sse, which lists the verbs.")
    if name == "completion":  # at each Tab; it needs no environment
        import completion  # noqa: PLC0415 - no other verb needs it

        return completion.main(rest)
    if before:
        return NEEDS_ENVIRONMENT
    if dropped := surroundings.clean(os.environ):
        sys.stderr.write(f"sse: not used here, because ansible.cfg of this checkout decides: {', '.join(dropped)}\n")
    if said := surroundings.unusable(os.environ):
        return refuse(said)
    tool = ROOT / "tools" / f"{name}.py"
    if tool.exists():
        os.execv(sys.executable, [sys.executable, str(tool), *rest])
    try:
        if any(word in HELP for word in rest):
            from verb_help import text  # noqa: PLC0415 - it reads YAML, which takes time

            sys.stdout.write(text(name, verb))
            return FINE
        return play(name, verb, read(name, verb, rest))
    except RefusedError as error:
        return refuse(str(error))


def refuse(message: str) -> int:
    """Say why nothing is done."""
    sys.stderr.write(f"sse: {message}\n")
    return FAILED


def overview() -> str:
    """Return the list of all verbs, by group."""
    lines = ["usage: ./sse VERB [arguments]", ""]
    for group, title in GROUPS.items():
        lines += [title, *(f"  {name:10} {verb.purpose}" for name, verb in VERBS.items() if verb.group == group), ""]
    lines += [
        "./sse VERB -h says what a verb takes. A verb ends with 0 when all is fine, with 1 when it failed, and with 2",
        "when it worked and found something wrong. ./sse --version says which version this is.",
    ]
    return "\n".join(lines) + "\n"


def version() -> str:
    """Return the version of the collection with the commit of the checkout."""
    found = re.search(r"^version: *(\S+)", (ROOT / "galaxy.yml").read_text(), re.MULTILINE)
    commit = os.environ.get("PLATFORM_COMMIT", "")
    return f"sse.platform {found[1] if found else '?'}" + (f" (commit {commit})" if commit else "")


def read(name: str, verb: Verb, words: Sequence[str]) -> CommandLine:
    """Tell our own options and arguments from those of ansible-playbook.

    :raises RefusedError: naming what is missing, or what the verb does not take
    """
    own = {flag: option for option in verb.options for flag in (option.flag, option.short) if flag}
    found = CommandLine({}, [])
    given: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        flag, equals, value = word.partition("=")
        if not word.startswith("--") and (option := own.get(word[:2])) and word[2:]:  # as in -mWHY
            found.variables[option.variable] = checked(option, word[2:])
        elif option := own.get(flag):
            found.variables[option.variable] = checked(option, value if equals else value_of(option, left))
        elif word.startswith("-") and word != "-":
            if not is_of_ansible(word):
                known = {*own, *VALUED, *SWITCHES}
                meant = did_you_mean(flag, known)
                raise RefusedError(f"./sse {name} has no option '{flag}'{meant} Run ./sse {name} -h for its options.")
            if TAGS.match(word) and not verb.takes_tags:
                raise RefusedError(
                    f"./sse {name} takes no {flag}: it is about the whole stack. Those that take it: "
                    f"{', '.join(one for one, other in VERBS.items() if other.takes_tags)}. Nothing was done."
                )
            found.ansible.append(word)
            if word in VALUED:
                if not left:
                    raise RefusedError(f"{word} needs a value, and no word follows it. Nothing was done.")
                found.ansible.append(left.pop(0))
        else:
            given.append(word)
    for argument in verb.arguments:
        if argument.many and given:
            found.variables[argument.variable] = given
            given = []
        elif given:
            found.variables[argument.variable] = one_of(name, argument, given.pop(0))
        elif argument.required:
            raise RefusedError(
                f"./sse {name} needs {argument.name}, {argument.help}. Run ./sse {name} -h for examples."
            )
    if given:
        meant = f" Did you mean -e {given[0]}?" if "=" in given[0] else ""
        takes = " ".join(argument.name for argument in verb.arguments) or "no argument"
        raise RefusedError(f"./sse {name} does not take '{given[0]}': it takes {takes}.{meant}")
    return found


def one_of(name: str, argument: Argument, word: str) -> str:
    """Return a word that an argument may be, or refuse one that it may not be."""
    if argument.words and word not in argument.words:
        meant = did_you_mean(word, argument.words)
        raise RefusedError(f"./sse {name} takes {argument.help}: found '{word}'{meant} Nothing was done.")
    return word


def is_of_ansible(word: str) -> bool:
    """Tell whether ansible-playbook knows an option, also a shortened long one, or several letters together."""
    flag = word.partition("=")[0]
    if flag.startswith("--"):
        return any(one.startswith(flag) for one in VALUED | SWITCHES)
    letters = word[1:].lstrip("".join(LETTERS))
    return not letters or f"-{letters[0]}" in VALUED


def checked(option: Option, value: object) -> object:
    """Return the value of an option, or refuse one that cannot be meant; `default` stands for a setting."""
    if option.value == "SECONDS" and not re.fullmatch(r"[0-9]{1,9}|default", str(value)):
        raise RefusedError(
            f"{option.flag} takes a number of seconds, such as {option.flag} 60: found '{value}'. Nothing was done."
        )
    return value


def value_of(option: Option, left: list[str]) -> object:
    """Return the value of an option; where it takes one, it is the next word."""
    if not option.value:
        return True
    has_next = bool(left) and not left[0].startswith("-")
    if has_next and (not option.otherwise or left[0].isdigit()):
        return left.pop(0)
    if option.otherwise:
        return option.otherwise
    raise RefusedError(f"{option.flag} needs a value: {option.flag} {option.value}")


def play(name: str, verb: Verb, line: CommandLine) -> int:
    """Run the playbook of a verb; return the exit code of ./sse."""
    if {"asked_json", "asked_watch"} <= set(line.variables):
        raise RefusedError("--json writes one document, and --watch goes on until Ctrl-C: choose one of them.")
    chosen = inventories.values(line.ansible, "-i", "--inventory", "--inventory-file")
    if problem := inventories.missing(chosen) or inputs.problem(inputs.variables(line.ansible), chosen):
        raise RefusedError(problem)
    chosen_option = next((one for one in verb.options if one.playbook and one.variable in line.variables), None)
    playbook = ROOT / "playbooks" / f"{(chosen_option and chosen_option.playbook) or verb.playbook or name}.yml"
    if inventories.is_cluster(chosen):
        playbook = of_cluster(name, verb, line, chosen, chosen_option)
    elif name in inventories.OF_CLUSTERS_ALONE:
        raise RefusedError(inventories.of_clusters_alone(name, chosen))
    command = ["ansible-playbook", str(playbook), *line.ansible]
    if line.variables:
        command += ["-e", json.dumps(line.variables)]
    # Without an inventory in the arguments, the host is this machine, where sudo may ask for a password.
    if not os.environ.get("ANSIBLE_INVENTORY") and not any(
        ASKED.match(word) or "become" in word for word in line.ansible
    ):
        found = surroundings.sudo()
        if found.state == "impossible":
            raise RefusedError(surroundings.refusal(found.why))
        if found.state == "password" and sys.stdin.isatty():
            command.append("-K")
    document = bool(line.variables.get("asked_json"))
    ended = children.run(command, document=True) if document else children.run(command)
    if chosen_option and chosen_option.tidy and ended.code in children.INTERRUPTED:
        sys.stderr.write("sse: interrupted; removing what this run made\n")
        children.run([*command, "-e", json.dumps({chosen_option.tidy: True})])
    # What a restore has begun is whole or worth nothing: the next one says what to do.
    elif WAIT in verb.options and name not in {"plan", "restore"} and ended.code in children.INTERRUPTED:
        sys.stderr.write(
            "sse: interrupted. What was done stays, and the next run goes on from there; ./sse plan shows how.\n"
        )
    if ended.word.startswith(children.UNWRITTEN):
        reason = ended.word.removeprefix(children.UNWRITTEN)
        return refuse(f"the run has ended, and what it printed is lost, because its output cannot be written: {reason}")
    limit = inventories.values(line.ansible, "-l", "--limit")
    if ended.code == FAILED and ended.word == "" and limit:  # Ansible ended before the first play
        return refuse(inventories.no_host(chosen, limit[-1]))
    return ended.code


# The variables of options that are about one host, and what is instead of them for a cluster.
OF_ONE_HOST = {
    "docker_remove_engine": "the engines of its hosts stay",
}


# Options with which a verb looks into each host of a cluster by itself, as into one host.
OF_EACH_HOST = ("doctor_host",)


def of_cluster(name: str, verb: Verb, line: CommandLine, chosen: Sequence[str], option: Option | None = None) -> Path:
    """Return the playbook of a verb for the hosts of a cluster together.

    :param option: the one that has a playbook of its own
    :raises RefusedError: the verb, or one of its options, is about one host
    """
    if name not in inventories.OF_CLUSTERS:
        raise RefusedError(inventories.of_one_host(name, chosen))
    if name in inventories.OF_FIRST_MANAGER:
        line.variables["asked_hosts"] = "managers[0]"
        return ROOT / "playbooks" / f"{name}.yml"
    if any(TAGS.match(word) for word in line.ansible):
        raise RefusedError(
            f"./sse {name} --tags is not available with deployment: swarm: services of one host wait for those of "
            "another, so a run is about all of them. Leave it out: a run changes only what differs, which ./sse plan "
            "says. ./sse restart SERVICE is about one of them. Nothing was done."
        )
    for one in verb.options:
        if one.variable in line.variables and one.variable in OF_ONE_HOST:
            raise RefusedError(
                f"./sse {name} {one.flag} is not available with deployment: swarm: "
                f"{OF_ONE_HOST[one.variable]}. Leave it out. Nothing was done."
            )
    if option:
        line.variables["asked_hosts"] = "managers[0]"
        return ROOT / "playbooks" / "cluster" / f"{option.playbook}.yml"
    if any(one in line.variables for one in OF_EACH_HOST):
        line.variables["asked_hosts"] = "managers:edge:app:data"
        return ROOT / "playbooks" / f"{name}.yml"
    words = [str(line.variables[one.variable]) for one in verb.arguments if one.words]
    own = "up" if verb.playbook == "site" else verb.playbook or name
    return ROOT / "playbooks" / "cluster" / f"{'_'.join([own, *words])}.yml"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
