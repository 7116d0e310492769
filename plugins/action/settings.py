# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Check and convert every public variable of the collection; the fact ``settings`` holds them in their types."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import yaml
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.utils.vars import load_extra_vars
from ansible_collections.sse.platform.plugins.module_utils.settings import (
    conversion,
    cross_rules,
    names,
    network,
    paths,
    receivers,
)
from ansible_collections.sse.platform.plugins.module_utils.settings.options import Option, load, openings
from ansible_collections.sse.platform.plugins.module_utils.settings.scaling import ScaleError, scaled
from ansible_collections.sse.platform.plugins.module_utils.settings.values import expected
from ansible_collections.sse.platform.plugins.plugin_utils import compiled_templates
from ansible_collections.sse.platform.plugins.plugin_utils.controller_action import COLLECTION, ControllerAction
from ansible_collections.sse.platform.plugins.plugin_utils.given import FOREIGN, given_names
from ansible_collections.sse.platform.plugins.plugin_utils.this_run import SCALE, this_controller, this_run
from ansible_collections.sse.platform.plugins.plugin_utils.written import place_of

# A value may refer to variables that refer to others; each pass resolves one level.
PASSES = 5
# What `./sse scale` says.
ONCE = "{name} is {value} for this run alone: set it in the inventory, or the next ./sse up takes it back"


class ActionModule(ControllerAction):
    """Checks the settings on the controller."""

    OPTIONS: ClassVar = {"instead": {"type": "dict", "default": {}}}

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the fact ``settings``, or fail with every problem in one message."""
        self.files: dict[str, Given] = {}
        by_role = load(COLLECTION / "roles", _read_yaml)
        options = {name: option for role in by_role.values() for name, option in role.items()}
        scale = self._scaled(options)
        instead = self._instead(by_role, arguments["instead"])
        variables = {**self._defaults(by_role), **self.variables, **scale, **instead}

        with compiled_templates.kept():
            settings, refused = self._convert(options, variables)
        misspelt, strangers = names.unknown_names(
            given_names(self.variables), options, by_role, settings.get(FOREIGN, [])
        )
        broken = cross_rules.problems(settings, options)
        problems = [*misspelt, *refused, *broken, *self._file_problems(settings, options)]
        if problems:
            count = "1 setting is" if len(problems) == 1 else f"{len(problems)} settings are"
            lines = "".join(f"\n  - {problem}" for problem in problems)
            raise AnsibleActionFail(f"{count} not accepted, and nothing was changed:{lines}")

        return {
            "warnings": [
                *strangers,
                *(ONCE.format(name=name, value=value) for name, value in scale.items()),
                *self._open_files(),
            ],
            "ansible_facts": {
                "settings": {**_without_secrets(settings), **network.derived(settings)},
                "openings": openings(options),
                "this_run": this_run({**load_extra_vars(self._loader), **scale}, options, settings),
                "this_controller": this_controller(),
            },
            # With a secret among the settings, -v prints no result at all.
            "_ansible_no_log": any(option.get("no_log") and settings.get(name) for name, option in options.items()),
        }

    def _scaled(self, options: Mapping[str, Option]) -> dict[str, str]:
        """Return the settings that `./sse scale` asks for."""
        words = self._templar.template(self.variables.get(SCALE, []))
        try:
            return scaled([words] if isinstance(words, str) else words, options)
        except ScaleError as error:
            raise AnsibleActionFail(f"{error}. Nothing was changed") from None

    def _defaults(self, by_role: Mapping[str, Mapping[str, Option]]) -> dict[str, Any]:
        """Return the defaults of roles that the play does not import, so that every command has the same settings."""
        defaults: dict[str, Any] = {}
        for role, options in by_role.items():
            path = COLLECTION / "roles" / role / "defaults/main.yml"
            if any(name not in self.variables for name in options) and path.exists():
                defaults.update(self.read(path) or {})
        return defaults

    def _instead(self, roles: Iterable[str], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return values that replace all others, and the defaults of every setting whose default speaks of them."""
        if not given:
            return {}
        defaults: dict[str, Any] = {}
        for role in roles:
            path = COLLECTION / "roles" / role / "defaults/main.yml"
            if path.exists():
                defaults |= self.read(path) or {}
        moved = {
            name: value for name, value in defaults.items() if _has_template(value) and _mentions(value, given, name)
        }
        return {**moved, **given}

    def _convert(self, options: Mapping[str, Option], variables: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Return the settings that are accepted, and one sentence for each that is not."""
        settings: dict[str, Any] = {}
        problems: dict[str, str] = {}

        def convert(name: str, written: Any) -> None:
            value = conversion.plain(written)
            try:
                settings[name] = conversion.convert(value, options[name])
            except conversion.RefusedError as reason:
                problems[name] = conversion.problem(name, value, options[name], reason)
            else:
                self.files.update(_resolve_paths(settings, (written, variables[name]), name, options[name]))

        given = {name: variables[name] for name in options if name in variables}
        templates = {name: value for name, value in given.items() if _has_template(value)}
        for name, value in given.items():
            if name not in templates:
                convert(name, value)
        for __ in range(PASSES):
            before = dict(settings)
            templar = self._templar.copy_with_new_env(available_variables={**variables, **settings})
            for name, value in templates.items():
                problems.pop(name, None)
                try:
                    convert(name, templar.template(value))
                except AnsibleError as error:
                    shown = conversion.show(conversion.plain(value), options[name])
                    problems[name] = f"{name} is {shown}: {str(error).splitlines()[0]}"
            if settings == before:
                break
        # A default that is built from a refused value is refused only because of it.
        return settings, [text for name, text in problems.items() if not _mentions(templates.get(name), problems, name)]

    def _open_files(self) -> Iterator[str]:
        """Name the files with a secret that every user of the controller can read."""
        for name, (given, kind, option) in self.files.items():
            if option.get("private") and kind == "file" and paths.others_read(given.path):
                yield f"{name}: every user of this controller can read {given.path}. Close it: chmod 600 {given.path}"

    def _file_problems(self, settings: Mapping[str, Any], options: Mapping[str, Option]) -> Iterator[str]:
        """Say what is wrong with files on the controller: all are tried before anything changes."""
        absent = {name: reason for name, (one, kind, __) in self.files.items() if (reason := paths.problem(one, kind))}
        for name, reason in absent.items():
            given, kind, option = self.files[name]
            wanted = expected(option) if name in options else f"the path of a readable {kind}"
            yield f"{name} is '{given.written}': {reason}; expected {wanted}"
        for name, option in options.items():
            module, other, path = option.get("read_by"), option.get("key_of"), settings.get(name)
            if not path or name in absent:
                continue
            if option.get("authorities"):
                yield from _authorities_problems(name, path, self._loader.get_real_file(path))
            if module:
                yield from _reading_problems(module, name, path, self._loader.get_real_file(path), option)
            if other and settings.get(other) and other not in absent:
                yield from _certificate_problems((other, settings[other]), (name, path), settings)


class Given(NamedTuple):
    """A path among the settings, whether it is a file or a directory, and the setting that it belongs to."""

    path: paths.GivenPath
    kind: str
    option: Option


def _resolve_paths(
    settings: dict[str, Any], written: tuple[Any, Any], name: str, option: Option
) -> Iterator[tuple[str, Given]]:
    """Make the paths of a setting absolute, and yield by name what each was.

    :param written: the value, and the variable that it was made from: the place of either says where a path begins
    """
    for pattern, kind in option.get("paths", {}).items():
        for one in paths.named(settings, written[0], name, pattern):
            given = paths.resolve(one.parent[one.key], place_of(one.written, *written))
            one.parent[one.key] = given.path
            yield one.name, Given(given, kind, option)


def _without_secrets(settings: dict[str, Any]) -> dict[str, Any]:
    """Move what of the receivers of alerts is secret to the other secrets, where nothing shows it."""
    shown, secrets = receivers.split(settings[receivers.NAME])
    return {**settings, receivers.NAME: shown, "stack_secrets": {**settings["stack_secrets"], **secrets}}


def _read_yaml(text: bytes) -> Any:
    # As yaml.safe_load, but in C where libyaml is there: ten times as fast.
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text).get_single_data()


def _certificate_problems(certificate: tuple[str, str], key: tuple[str, str], settings: Mapping[str, Any]) -> list[str]:
    # It takes 30 ms to load: only who brings a certificate pays for it.
    from ansible_collections.sse.platform.plugins.module_utils.settings import certificate as pair  # noqa: PLC0415

    now, hosts = dt.datetime.now(dt.timezone.utc), settings.get("exposure_hosts", [])
    return pair.problems(pair.GivenFile(*certificate), pair.GivenFile(*key), now, hosts)


def _authorities_problems(name: str, path: str, decrypted: str) -> list[str]:
    # The same: most hosts have no authority of their own.
    from ansible_collections.sse.platform.plugins.module_utils.settings import certificate  # noqa: PLC0415

    now = dt.datetime.now(dt.timezone.utc)
    return certificate.authorities_problems(certificate.GivenFile(name, path), Path(decrypted).read_bytes(), now)


def _reading_problems(module: str, name: str, path: str, decrypted: str, option: Option) -> list[str]:
    """Ask the program that will read a file whether it can."""
    command = [sys.executable, "-m", *module.split(), decrypted]
    environment = {**os.environ, "PYTHONPATH": str(COLLECTION / "app")}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return []
    reason = run.stderr.strip().removeprefix(f"{decrypted}: ")
    return [f"{name} is '{path}': {reason}; expected {expected(option)}"]


def _mentions(template: Any, names: Iterable[str], own: str) -> bool:
    return template is not None and any(name in str(template) for name in names if name != own)


def _has_template(value: Any) -> bool:
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, dict):
        return any(_has_template(item) for pair in value.items() for item in pair)
    return isinstance(value, list) and any(map(_has_template, value))
