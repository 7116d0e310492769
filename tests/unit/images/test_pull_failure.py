"""What is said where an image cannot be pulled."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest
import yaml

TASKS = Path(__file__).resolve().parents[3] / "roles/images/tasks/pull.yml"
HELPER = "Credentials store error: docker-credential-desktop.exe not installed or not available in PATH"


@pytest.mark.parametrize(
    ("message", "said", "unsaid"),
    [
        (HELPER, "remove it from there, or install the program", "reaches the registry"),
        ("manifest unknown", "Check that box reaches the registry", "config.json"),
    ],
)
def test_a_pull_that_fails_says_what_to_do(message: str, said: str, unsaid: str) -> None:
    [pull] = yaml.safe_load(TASKS.read_text())
    text = jinja2.Template(pull["rescue"][0]["ansible.builtin.fail"]["msg"]).render(
        __images_step={"reference": "redis:8"}, ansible_failed_result={"msg": message}, inventory_hostname="box"
    )
    assert text.startswith(f"redis:8 could not be pulled: {message}. ")
    assert said in text
    assert unsaid not in text
