"""The front of ./sse: what it says of a verb, and what it hands to ansible-playbook or to a tool."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import children
import docs_reference
import front
import inventories
import parsers
import pytest
import surroundings
import verb_help
import verbs
import yaml
from ansible.cli.playbook import PlaybookCLI
from ansible_collections.sse.platform.plugins.plugin_utils import this_run

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
TOOLS = ROOT / "tools"
PLAYBOOKS = {verb.playbook or name for name, verb in verbs.VERBS.items() if not (TOOLS / f"{name}.py").exists()}
PLAYBOOKS -= set(inventories.OF_CLUSTERS_ALONE)
PLAYBOOKS |= {option.playbook for verb in verbs.VERBS.values() for option in verb.options if option.playbook}
SCALE = verbs.Verb(
    takes_tags=True,
    group="deploy",
    purpose="For tests.",
    arguments=(verbs.Argument("SERVICE=N", "the wanted replicas", "scale_to", many=True),),
    options=(
        verbs.Option("--why", "the reason", "why", value="WHY", short="-m"),
        verbs.Option("--wait", "wait for another run", "wait", value="SECONDS", otherwise="600"),
        verbs.Option("--yes", "do not ask", "yes"),
    ),
)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOLS / "front.py"), *words]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def test_every_playbook_and_every_tool_is_a_verb_of_the_table() -> None:
    assert {path.stem for path in (ROOT / "playbooks").glob("*.yml")} == PLAYBOOKS
    tools = {path.stem for path in TOOLS.glob("*.py") if os.access(path, os.X_OK)}
    assert tools <= set(verbs.VERBS)


@pytest.mark.parametrize("name", verbs.VERBS)
def test_each_verb_has_a_group_and_two_examples_of_its_own(name: str) -> None:
    verb = verbs.VERBS[name]
    assert verb.group in verbs.GROUPS
    assert len(verb.examples) == 2
    assert all(command.split()[0] == name for command, _ in verb.examples)


@pytest.mark.parametrize("name", [name for name in verbs.VERBS if not (TOOLS / f"{name}.py").exists()])
def test_the_help_of_a_playbook_is_short_and_complete(name: str) -> None:
    verb, text = verbs.VERBS[name], verb_help.text(name, verbs.VERBS[name])
    assert len(text.splitlines()) < 50
    assert max(map(len, text.splitlines())) <= 120
    for wanted in (*verb.settings, *(option.flag for option in verb.options), *(one for one, _ in verb.examples)):
        assert wanted in text, wanted
    assert ("\n  2  " in text) == bool(verb.findings)


@pytest.mark.parametrize("name", [name for name in verbs.VERBS if (TOOLS / f"{name}.py").exists()])
def test_the_purpose_of_a_tool_is_wrapped_in_its_help(name: str) -> None:
    assert max(map(len, parsers.of_verb(name).format_help().splitlines())) <= 110


@pytest.mark.parametrize("name", [name for name, verb in verbs.VERBS.items() if not verb.playbook])
def test_the_examples_of_a_playbook_are_accepted_by_its_verb(name: str) -> None:
    if not (TOOLS / f"{name}.py").exists():
        for command, _ in verbs.VERBS[name].examples:
            front.read(name, verbs.VERBS[name], command.split()[1:])


def test_the_list_names_each_verb_once() -> None:
    listed = re.findall(r"^  (\S+) ", run().stdout, re.MULTILINE)
    assert sorted(listed) == sorted(verbs.VERBS)
    assert run("--help").stdout == run("help").stdout == run().stdout


@pytest.mark.parametrize("words", ["", "releases", "listen news", "--before releases"])
def test_a_closed_output_is_said_before_anything_is_done(words: str) -> None:
    ended = subprocess.run(
        ["sh", "-c", f'exec "$0" "$1" {words} >&-', sys.executable, str(ROOT / "tools/front.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert re.fullmatch(r"sse: the standard output is closed; .*\n", ended.stderr)


def test_the_version_is_that_of_the_collection() -> None:
    version = re.search(r"^version: (\S+)", (ROOT / "galaxy.yml").read_text(), re.MULTILINE)
    assert version
    assert version[1] in run("--version").stdout


def test_a_screen_is_that_of_our_own_variable_and_of_no_other() -> None:
    environment = {"ANSIBLE_STDOUT_CALLBACK": "json", "SSE_SCREEN": "minimal", "ANSIBLE_FORKS": "2"}
    assert surroundings.clean(environment) == ["ANSIBLE_STDOUT_CALLBACK"]
    assert environment["ANSIBLE_STDOUT_CALLBACK"] == "minimal"
    assert environment["ANSIBLE_FORKS"] == "2"


def test_a_misspelt_verb_is_refused_before_anything_is_prepared() -> None:
    for words in (["destory"], ["--before", "destory"]):
        refused = run(*words)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "There is no verb 'destory': did you mean 'destroy'?" in refused.stderr
    assert run("--before", "destroy").returncode == front.NEEDS_ENVIRONMENT


def test_our_own_words_become_variables_and_the_others_stay_for_ansible() -> None:
    words = shlex.split("-i inventory/vm app=3 -m why-not --limit vm kafka=1 --wait -e a=b --yes -vv --check")
    found = front.read("scale", SCALE, words)
    assert found.variables == {"scale_to": ["app=3", "kafka=1"], "why": "why-not", "wait": "600", "yes": True}
    assert found.ansible == ["-i", "inventory/vm", "--limit", "vm", "-e", "a=b", "-vv", "--check"]
    assert front.read("scale", SCALE, ["app=3", "--wait=20"]).variables["wait"] == "20"
    assert front.read("scale", SCALE, ["--wait", "app=3"]).variables["wait"] == "600"


@pytest.mark.parametrize(
    ("verb", "words", "message"),
    [
        (verbs.VERBS["up"], ["app_replicas=3"], "it takes no argument. Did you mean -e app_replicas=3?"),
        (SCALE, ["--yes"], "./sse NAME needs SERVICE=N, the wanted replicas. Run ./sse NAME -h for examples."),
        (verbs.VERBS["doctor"], ["--fixx"], "./sse NAME has no option '--fixx': did you mean '--fix'?"),
        (verbs.VERBS["node"], ["drian", "two"], "takes add, drain or remove: found 'drian': did you mean 'drain'?"),
        (
            verbs.VERBS["node"],
            ["two", "drain"],
            "./sse NAME takes add, drain or remove: found 'two'. Nothing was done.",
        ),
        (verbs.VERBS["node"], ["drain"], "./sse NAME needs HOST, a host, as the inventory calls it."),
        (verbs.VERBS["up"], ["--chek"], "did you mean '--check'?"),
        (SCALE, ["app=3", "--why"], "--why needs a value: --why WHY"),
        (verbs.VERBS["up"], ["--wait=soon"], "--wait takes a number of seconds, such as --wait 60: found 'soon'."),
        (verbs.VERBS["up"], ["--canary=-5"], "--canary takes a number of seconds, such as --canary 60: found '-5'."),
        (verbs.VERBS["up"], ["--canary="], "--canary takes a number of seconds, such as --canary 60: found ''."),
        (verbs.VERBS["rollback"], ["-1"], "./sse NAME has no option '-1'. Run ./sse NAME -h for its options."),
        (verbs.VERBS["plan"], ["-z"], "./sse NAME has no option '-z'. Run"),
        (verbs.VERBS["drift"], ["--json"], "./sse NAME has no option '--json'. Run"),
        (verbs.VERBS["up"], ["-i"], "-i needs a value, and no word follows it."),
        (verbs.VERBS["drift"], ["--start-at-task", "x"], "./sse NAME has no option '--start-at-task'"),
        (verbs.VERBS["drift"], ["--tags", "app"], "./sse NAME takes no --tags: it is about the whole stack."),
        (verbs.VERBS["restore"], ["x", "-Ct", "app"], "Those that take it: up, scale, plan. Nothing was done."),
        (verbs.VERBS["destroy"], ["--skip=app"], "./sse NAME takes no --skip: "),
        (verbs.VERBS["verify"], ["-tapp"], "./sse NAME takes no -tapp: "),
        (verbs.VERBS["up"], ["--check", "--tags"], "--tags needs a value, and no word follows it."),
    ],
)
def test_wrong_words_are_refused_with_what_the_verb_takes(verb: verbs.Verb, words: list[str], message: str) -> None:
    with pytest.raises(front.RefusedError) as refused:
        front.read("NAME", verb, words)
    assert message in str(refused.value)


def test_a_document_has_an_end_and_watching_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert front.main(["status", "--json", "--watch"]) == 1
    assert "choose one of them" in capsys.readouterr().err


def test_letters_may_stand_together_and_values_beside_their_letter() -> None:
    words = ["app=3", "-mwhy not", "-CD", "-vvv", "-ivm,", "-Kea=b", "--ch", "--skip=app"]
    found = front.read("scale", SCALE, words)
    assert found.variables == {"scale_to": ["app=3"], "why": "why not"}
    assert found.ansible == words[2:]


def test_the_options_of_ansible_are_known_with_those_that_take_a_value() -> None:
    """A word that follows one of them must not be taken for an argument of ours."""
    cli = PlaybookCLI(["ansible-playbook", "x.yml"])
    cli.init_parser()
    parser = cast(argparse.ArgumentParser, cli.parser)
    actions: list[Any] = parser._actions
    takes_value = {flag for one in actions if one.nargs is None for flag in one.option_strings}
    assert takes_value == front.VALUED | {"--start-at-task"}  # which would skip what later tasks need
    switches = {flag for one in actions if one.nargs == 0 for flag in one.option_strings if flag.startswith("--")}
    assert switches - {"--help"} == front.SWITCHES
    letters = {flag[1] for one in actions if one.nargs == 0 for flag in one.option_strings if len(flag) == 2}
    assert letters - {"h"} == front.LETTERS


@pytest.mark.parametrize(("code", "runs"), [(0, 1), (1, 1), (130, 2), (143, 2)])
def test_an_option_with_a_playbook_of_its_own_tidies_up_after_an_interruption(
    monkeypatch: pytest.MonkeyPatch, code: int, runs: int
) -> None:
    called: list[list[str]] = []

    def ended(command: list[str]) -> children.Ended:
        called.append(command)
        return children.Ended(code, "")

    monkeypatch.setattr(front.children, "run", ended)
    assert front.main(["backup", "--drill", "x.backup"]) == code
    assert len(called) == runs
    assert all(Path(one[1]).name == "drill.yml" for one in called)
    assert ("asked_drill_cleanup" in called[-1][-1]) == (runs == 2)


def test_a_run_whose_output_is_lost_is_a_failure_that_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(front.children, "run", lambda _: children.Ended(1, "unwritten: No space left on device"))
    assert front.main(["releases"]) == 1
    assert capsys.readouterr().err.endswith("its output cannot be written: No space left on device\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [(["up"], True), (["rollback"], True), (["restore", "x.backup"], False), (["status"], False)],
)
def test_who_interrupts_a_run_is_told_what_stays(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], said: bool
) -> None:
    monkeypatch.setattr(front.children, "run", lambda _: children.Ended(130, ""))
    assert front.main(words) == 130
    assert ("What was done stays, and the next run goes on" in capsys.readouterr().err) == said


def calls(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each module of this collection that a playbook calls, also by tasks and roles, with its arguments."""

    def below(part: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        for key, value in part.items() if isinstance(part, dict) else ():
            name = key.removeprefix("ansible.builtin.")
            words: dict[str, Any] = value if isinstance(value, dict) else {"file": value}
            if key.startswith("sse.platform."):
                yield key.removeprefix("sse.platform."), value or {}
            elif name in {"import_tasks", "include_tasks"}:
                beside = path.parent / words["file"]
                yield from calls(beside if beside.exists() else path.parent / "tasks" / words["file"])
            elif name in {"import_role", "include_role"}:
                tasks = ROOT / "roles" / words["name"].rpartition(".")[2] / "tasks"
                yield from calls(tasks / words.get("tasks_from", "main.yml"))
            elif name == "import_playbook":
                yield from calls(path.parent / str(value))
            else:
                yield from below(value)
        for item in part if isinstance(part, list) else ():
            yield from below(item)

    if path.exists():
        yield from below([one for one in yaml.safe_load(path.read_text()) or [] if one.get("check_mode") is not True])


def test_each_verb_that_the_lock_can_stop_takes_the_option_that_the_lock_names() -> None:
    """A run that must end because of another one is told to use --wait."""
    modules = (ROOT / "plugins/modules").glob("*.py")
    waits = {path.stem for path in modules if "wait" in docs_reference.documentation(path).get("options", {})}
    assert {"lock", "stack", "drill"} <= waits
    takes = {name for name, verb in verbs.VERBS.items() if any(one.flag == "--wait" for one in verb.options)}
    found: set[str] = set()
    for name, verb in verbs.VERBS.items():
        of_cluster = {f"cluster/{name}_{word}" for one in verb.arguments for word in one.words}
        own = of_cluster or {verb.playbook or name}
        for playbook in own | {one.playbook for one in verb.options if one.playbook}:
            for module, given in calls(ROOT / "playbooks" / f"{playbook}.yml"):
                gives_back = module == "lock" and given.get("state") == "absent"
                prepares = module == "prepare" or (module == "release" and given.get("prepare"))
                if prepares or (module in waits and {"run", "meta"} & given.keys() and not gives_back):
                    found.add(name)
                    assert prepares or "asked_wait" in given.get("wait", ""), (name, module)
    # A plan locks nothing; what it sees while another run works does not count, so it may wait for that one, too.
    assert found | {"plan"} == takes


def test_a_tool_explains_itself_with_the_words_of_the_table() -> None:
    text = run("probe", "--help").stdout
    assert verbs.VERBS["probe"].findings in text
    refused = run("probe", "only-one-word")
    assert refused.returncode == 1
    assert "./sse probe -h has examples" in refused.stderr


@pytest.mark.parametrize("words", [("key",), ("key", "--nosuch"), ("test", "nosuch"), ("diagram", "--nosuch")])
def test_wrong_words_for_a_tool_end_with_1_and_show_the_way_to_examples(words: tuple[str, ...]) -> None:
    refused = run(*words)
    assert refused.returncode == 1
    assert f"./sse {words[0]} -h has examples" in refused.stderr


@pytest.mark.parametrize("name", [name for name in verbs.VERBS if (TOOLS / f"{name}.py").exists()])
def test_the_help_of_a_tool_has_its_examples_and_exit_codes(name: str) -> None:
    text = run(name, "-h").stdout
    assert f"usage: ./sse {name} " in text
    for wanted in (*(f"./sse {command}" for command, _ in verbs.VERBS[name].examples), "exit codes:"):
        assert wanted in text


def test_a_key_that_is_not_there_is_not_removed_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    assert run("key", str(path), "orders", "--publish", "orders.*").returncode == 0
    refused = run("key", str(path), "order", "--remove")
    assert refused.returncode == 1
    assert "it has no key of the name 'order'; it has orders. Nothing was changed" in refused.stderr


EMPTY, TWO = "all: {children: {web: {}}}\n", "all: {hosts: {vm1: {}, vm2: {}}}\n"


@pytest.mark.parametrize("verb", ["status", "logs"])  # a playbook and a tool
@pytest.mark.parametrize(
    ("inventory", "limit", "said"),
    [
        (None, [], "There is no inventory"),
        ("[vm", [], "parse"),
        (EMPTY, [], "has no host, so nothing was done"),
        (TWO, ["-l", "vm3"], "is meant by 'vm3': did you mean 'vm2'? Its hosts are vm1, vm2."),
    ],
)
def test_a_run_that_means_no_host_is_an_error_that_names_the_hosts(
    tmp_path: Path, verb: str, inventory: str | None, limit: list[str], said: str
) -> None:
    path = tmp_path / "hosts.yml"
    if inventory:
        path.write_text(inventory)
    refused = run(verb, "-i", str(path), *limit)
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert said in refused.stdout + refused.stderr
    assert str(path) in refused.stdout + refused.stderr


@pytest.mark.parametrize(
    ("name", "text", "is_one"),
    [
        ("hosts.yml", "all:\n  children:\n    managers:\n      hosts: {a: {}}\n", True),
        ("hosts.yml", "all: {children: {managers: {hosts: {a: {}}}}}\n", True),
        ("hosts.yml", "all: {children: {'managers': {children: {both: {}}}}, both: {hosts: {a: {}}}}\n", True),
        ("hosts.yml", "managers: {hosts: {a: {x: !vault abc}}}\n", True),
        ("hosts.yml", "all:\n  children: &them\n    it: {children: *them}\n    they: {children: {managers: }}\n", True),
        ("hosts.json", '{"all": {"children": {"managers": {"hosts": {"a": {}}}}}}', True),
        ("hosts.ini", "[managers]\na\n", True),
        ("hosts.ini", "[both]\na\n[managers:children] # all of them\nboth\n", True),
        ("hosts", "[managers]\na\n", True),
        ("hosts", "---\nmanagers:\n  hosts: {a: }\n", True),
        ("hosts.yml", "all:\n  hosts:\n    vm: {}\n    # managers: none\n", False),
        ("hosts.yml", "all: {hosts: {managers_vm: {}}}\n", False),
        ("hosts.yml", "all:\n  hosts:\n    vm:\n      contact:\n        managers: [ann]\n", False),
        ("hosts.yml", "all:\n  hosts: {vm: }\n  vars:\n    managers: [ann]\n", False),
        ("hosts.yml", "- managers:\n", False),
        ("hosts.yml", "managers: [\n", False),
        ("hosts.ini", "vm contact=managers\n", False),
    ],
)
def test_an_inventory_with_managers_is_a_cluster(tmp_path: Path, name: str, text: str, is_one: bool) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "group_vars").mkdir()
    assert inventories.is_cluster([str(tmp_path)]) is is_one
    assert inventories.is_cluster([str(tmp_path / name)]) is is_one
    assert not inventories.is_cluster(["vm,"])


@pytest.mark.parametrize("group", ["managers", "others"])
def test_of_a_program_that_names_hosts_ansible_knows_the_groups(
    tmp_path: Path, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ansible").write_text(f'#!/bin/sh\n[ "$1" = {group} ] && printf "  hosts (1):\\n    a\\n"\nexit 0\n')
    for name, text in (("hosts.sh", "#!/bin/sh\n"), ("hosts.yml", "plugin: amazon.aws.aws_ec2\n")):
        (tmp_path / name).write_text(text)
    for program in ("ansible", "hosts.sh"):
        (tmp_path / program).chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    for name in ("hosts.sh", "hosts.yml"):
        assert inventories.is_cluster([str(tmp_path / name)]) is (group == "managers")


def test_each_of_several_inventories_of_the_environment_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one").write_text("vm\n")
    (tmp_path / "two").write_text("[managers]\na\n")
    monkeypatch.setenv("ANSIBLE_INVENTORY", f"{tmp_path / 'one'},{tmp_path / 'two'}")
    assert inventories.is_cluster([])
    assert not inventories.is_cluster(["vm,"])


def test_an_archive_beside_the_hosts_is_not_read_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all: {hosts: {vm: {}}}\n")
    (tmp_path / "images.tar").write_bytes(b"\xff" * inventories.MOST + b"\n[managers]\na\n")
    assert not inventories.is_cluster([str(tmp_path)])


def test_a_verb_for_a_cluster_has_a_playbook_of_its_own_and_others_are_refused() -> None:
    whole = ("up", "plan", "rollback", "status", "verify", "drift", "doctor", "destroy", "backup", "restore", "rotate")
    for name in whole:
        found = front.of_cluster(name, verbs.VERBS[name], front.CommandLine({}, []), ["x"])
        assert found == ROOT / f"playbooks/cluster/{name}.yml"
        assert found.exists()
    for name in inventories.OF_FIRST_MANAGER:
        line = front.CommandLine({}, [])
        assert front.of_cluster(name, verbs.VERBS[name], line, ["x"]) == ROOT / f"playbooks/{name}.yml"
        hosts = yaml.safe_load((ROOT / f"playbooks/{name}.yml").read_text())[0]["hosts"]
        assert "asked_hosts" in hosts
        assert line.variables == {"asked_hosts": "managers[0]"}
    for word in verbs.VERBS["node"].arguments[0].words:
        line = front.read("node", verbs.VERBS["node"], [word, "two"])
        assert front.of_cluster("node", verbs.VERBS["node"], line, ["x"]) == ROOT / f"playbooks/cluster/node_{word}.yml"
        assert (ROOT / f"playbooks/cluster/node_{word}.yml").exists()
    tagged = front.CommandLine({}, ["--tags", "app"])
    with pytest.raises(front.RefusedError, match=r"sse up --tags is not available with deployment: swarm"):
        front.of_cluster("up", verbs.VERBS["up"], tagged, ["x"])
    with pytest.raises(front.RefusedError, match=r"sse lab is not available with deployment: swarm: it makes networks"):
        front.of_cluster("lab", verbs.VERBS["lab"], front.CommandLine({}, []), ["x"])
    line = front.read("backup", verbs.VERBS["backup"], ["--drill"])
    drill = next(one for one in verbs.VERBS["backup"].options if one.playbook)
    assert front.of_cluster("backup", verbs.VERBS["backup"], line, ["x"], drill) == ROOT / "playbooks/cluster/drill.yml"
    assert (ROOT / "playbooks/cluster/drill.yml").exists()
    assert line.variables == {"asked_drill": True, "asked_hosts": "managers[0]"}
    line = front.read("scale", verbs.VERBS["scale"], ["app=5"])
    assert front.of_cluster("scale", verbs.VERBS["scale"], line, ["x"]) == ROOT / "playbooks/cluster/up.yml"
    assert line.variables == {"asked_scale": ["app=5"]}


def test_every_verb_that_a_cluster_does_not_have_is_refused_with_a_reason_and_named_in_its_page() -> None:
    page = (ROOT / "docs/cluster.md").read_text().partition("\n## Verbs\n")[2].partition("\n## ")[0]
    of_no_host = {"key", "completion", "test"}
    for name in set(verbs.VERBS) - of_no_host:
        assert f"`{name}`" in page, name
    for name in set(verbs.VERBS) - set(inventories.OF_CLUSTERS) - of_no_host:
        said = inventories.of_one_host(name, ["x"])
        assert said.startswith(f"./sse {name} is not available with deployment: swarm: ")
        why, instead = inventories.INSTEAD.get(name, ("it is about one host", "docs/cluster.md"))
        assert why in said
        assert instead in said
    assert set(inventories.INSTEAD).isdisjoint(inventories.OF_CLUSTERS)


def test_a_verb_about_hosts_of_a_cluster_is_refused_where_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text(TWO)
    refused = run("node", "drain", "vm1", "-i", str(tmp_path))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("sse: ./sse node is about the hosts of a cluster, and the hosts of ")


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("destroy", "--engine"),
    ],
)
def test_an_option_that_a_cluster_does_not_have_is_refused_by_its_name(name: str, word: str) -> None:
    verb = verbs.VERBS[name]
    line = front.read(name, verb, [word])
    with pytest.raises(front.RefusedError, match=rf"^\./sse {name} {word} is not available with deployment: swarm: "):
        front.of_cluster(name, verb, line, ["x"])


def test_doctor_looks_at_the_hosts_together_or_into_each_of_them() -> None:
    verb = verbs.VERBS["doctor"]
    line = front.read("doctor", verb, ["--fix"])
    assert front.of_cluster("doctor", verb, line, ["x"]) == ROOT / "playbooks/cluster/doctor.yml"
    line = front.read("doctor", verb, ["--host", "--fix", "-l", "two"])
    assert front.of_cluster("doctor", verb, line, ["x"]) == ROOT / "playbooks/doctor.yml"
    assert line.variables["asked_hosts"] == "managers:edge:app:data"


def test_every_option_of_a_verb_for_clusters_is_read_there_or_refused() -> None:
    texts = [path.read_text() for path in (ROOT / "playbooks/cluster").glob("*.yml")]
    read = re.findall(r"\basked_\w+|\bstack_destroy_confirmed\b|\bdoctor_fix\b", "".join(texts))
    known = {*front.OF_ONE_HOST, *front.OF_EACH_HOST, *read, this_run.WHY}
    own = {path.stem for path in (ROOT / "playbooks/cluster").glob("*.yml")}
    for name in set(inventories.OF_CLUSTERS) & set(verbs.VERBS):
        assert {one.variable for one in verbs.VERBS[name].options if one.playbook not in own} <= known, name


@pytest.mark.parametrize("path", ["~nobody-of-this-name/hosts.yml", "x" * 5000, "a\0b", "front.py/hosts.yml"])
def test_an_inventory_that_cannot_even_be_looked_for_is_named(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(TOOLS)
    assert f"There is no inventory '{path}'" in inventories.missing([path])
    assert not inventories.is_cluster([path])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("services: {}\n", "exists, and ./sse compose did not write it"),
        ("# Release 3 of the stack sse as a Compose file, for this host.\n", "nothing was applied on this host yet"),
    ],
)
def test_compose_overwrites_nothing_but_what_it_wrote(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "compose.yml"
    path.write_text(content)
    refused = run("compose", str(path), "-e", f"stack_state_directory={tmp_path / 'state'}")
    assert refused.returncode == 1
    assert said in refused.stdout
    assert path.read_text() == content
