"""Check and convert every public variable of the collection; the fact ``settings`` holds them in their types."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.sse.platform.plugins.module_utils.settings import conversion as rules
from ansible_collections.sse.platform.plugins.module_utils.settings import cross_rules, names, network

COLLECTION = Path(__file__).resolve().parents[2]
# A value may refer to variables that refer to others; each pass settles one level.
PASSES = 5
# Facts of our own flow that begin like a role's name.
OWN_FACTS = ("stack_declarations", "stack_outcome", "network_steps")
# Patterns of names that belong to somebody else.
IGNORED = "stack_foreign_variables"


def role_options(roles: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """The options of every role's main entry point, by role and variable."""
    # As yaml.safe_load, in C where libyaml is there: ten times as fast.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    options: dict[str, dict[str, dict[str, Any]]] = {}
    for path in sorted(roles.glob("*/meta/argument_specs.yml")):
        spec = loader(path.read_bytes()).get_single_data()
        options[path.parts[-3]] = spec["argument_specs"].get("main", {}).get("options") or {}
    return options


class ActionModule(ActionBase):
    """Runs on the controller only; the managed host is not touched."""

    _supports_check_mode = True
    _supports_diff = False
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the fact ``settings``, or fail with every problem in one message."""
        result = super().run(tmp, task_vars)
        self.validate_argument_spec({})
        by_role = role_options(COLLECTION / "roles")
        options = {name: option for role in by_role.values() for name, option in role.items()}
        variables = {**self._defaults(by_role, task_vars or {}), **(task_vars or {})}

        settings, problems = self._convert(options, variables)
        ignored = settings.get(IGNORED, [])
        misspelt, strangers = names.unknown_names(self._given(variables), options, by_role, ignored)
        problems = [*misspelt, *problems, *cross_rules.cross_problems(settings, _is_readable)]
        pair = [settings.get(name) or "" for name in ("nginx_certificate", "nginx_certificate_key")]
        if all(map(_is_readable, pair)):
            problems += _certificate_problems(*pair)
        keys = settings.get("app_keys_file")
        if keys and _is_readable(keys):
            problems += _keys_problems(keys, self._loader.get_real_file(keys))
        if problems:
            count = "1 setting is" if len(problems) == 1 else f"{len(problems)} settings are"
            lines = "".join(f"\n  - {problem}" for problem in problems)
            msg = f"{count} not accepted, and nothing was changed:{lines}"
            raise AnsibleActionFail(msg)

        settings.update(network.derived(settings))
        result["warnings"] = strangers
        result["ansible_facts"] = {"settings": settings}
        # With a secret among them, -v prints no result at all.
        result["_ansible_no_log"] = any(option.get("no_log") and settings.get(name) for name, option in options.items())
        return result

    @staticmethod
    def _given(variables: dict[str, Any]) -> list[str]:
        """Names that the inventory and -e bring, without what plays, roles and Ansible itself define."""
        names = variables["hostvars"].raw_get(variables["inventory_hostname"])
        return [name for name in names if not name.startswith(("_", "ansible_")) and name not in OWN_FACTS]

    def _defaults(self, by_role: dict[str, dict[str, Any]], variables: dict[str, Any]) -> dict[str, Any]:
        """Defaults of roles that the play does not import statically, so that every verb has the same settings."""
        defaults: dict[str, Any] = {}
        for role, options in by_role.items():
            path = COLLECTION / "roles" / role / "defaults/main.yml"
            if any(name not in variables for name in options) and path.exists():
                defaults.update(self._loader.load_from_file(str(path), trusted_as_template=True) or {})
        return defaults

    def _convert(
        self, options: dict[str, dict[str, Any]], variables: dict[str, Any]
    ) -> tuple[dict[str, Any], list[str]]:
        settings: dict[str, Any] = {}
        problems: dict[str, str] = {}
        templates: dict[str, Any] = {}
        for name, option in options.items():
            if name not in variables:
                if option.get("required"):
                    problems[name] = f"{name} is missing: accepted is {rules.accepted(name, option)}"
            elif _has_template(variables[name]):
                templates[name] = variables[name]
            else:
                self._settle(name, variables[name], option, settings, problems)
        for _ in range(PASSES):
            before = dict(settings)
            templar = self._templar.copy_with_new_env(available_variables={**variables, **settings})
            for name, value in templates.items():
                problems.pop(name, None)
                try:
                    resolved = templar.template(value)
                except AnsibleError as error:
                    reason = str(error).splitlines()[0]
                    problems[name] = f"{name} is {rules.show(rules.plain(value), options[name])}: {reason}"
                    continue
                self._settle(name, resolved, options[name], settings, problems)
            if settings == before:
                break
        # A default that is built from a refused value is refused only because of it.
        return settings, [text for name, text in problems.items() if not _mentions(templates.get(name), problems, name)]

    @staticmethod
    def _settle(
        name: str, value: Any, option: dict[str, Any], settings: dict[str, Any], problems: dict[str, str]
    ) -> None:
        value = rules.plain(value)
        try:
            settings[name] = rules.convert(name, value, option)
        except rules.RefusedError as reason:
            problems[name] = rules.problem(name, value, option, reason)


def _is_readable(path: str) -> bool:
    return bool(path) and os.access(Path(path).expanduser(), os.R_OK)


def _certificate_problems(certificate: str, key: str) -> list[str]:
    # Costs 30 ms to load: only who brings a certificate pays.
    from ansible_collections.sse.platform.plugins.module_utils.settings import certificate as pair  # noqa: PLC0415

    return pair.problems(certificate, key, dt.datetime.now(dt.timezone.utc))


def _keys_problems(name: str, path: str) -> list[str]:
    """Have the program that will read the file say whether it can; `path` is the file, decrypted."""
    command = [sys.executable, "-m", "sse_app.keys", path]
    environment = {**os.environ, "PYTHONPATH": str(COLLECTION / "app")}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return []
    reason = run.stderr.strip().removeprefix(f"{path}: ")
    return [f"app_keys_file is '{name}': {reason}; accepted is a file of API keys (./sse key makes one)"]


def _mentions(template: Any, names: Iterable[str], own: str) -> bool:
    return template is not None and any(name in str(template) for name in names if name != own)


def _has_template(value: Any) -> bool:
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, dict):
        return any(_has_template(item) for pair in value.items() for item in pair)
    return isinstance(value, list) and any(map(_has_template, value))
