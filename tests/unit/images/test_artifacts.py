"""Each archive that Maven brings is compared with our own list, and the list has those of every version in use."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
MAVEN = ROOT / "roles/images/files/maven"
LIST = MAVEN / "artifacts.sha256"


def names() -> list[str]:
    return [line.split("  ")[1] for line in LIST.read_text().splitlines()]


def check(directory: Path) -> subprocess.CompletedProcess[str]:
    """Run the check as the Dockerfile has it."""
    text = (MAVEN / "Dockerfile").read_text()
    [command] = re.findall(r"^RUN (find target/image .*?; fi)$", text, re.MULTILINE | re.DOTALL)
    return subprocess.run(["sh", "-c", command.replace("\\\n", "")], cwd=directory, capture_output=True, text=True)  # noqa: PLW1510


def test_every_line_is_a_hash_and_a_name_and_no_name_comes_twice() -> None:
    assert all(re.fullmatch(r"[0-9a-f]{64}  [\w.+-]+\.jar", line) for line in LIST.read_text().splitlines())
    assert len(names()) == len(set(names())) > 60


def test_the_versions_of_the_catalogue_are_in_the_list() -> None:
    catalogue = yaml.safe_load((ROOT / "roles/images/vars/main.yml").read_text())["__images_catalogue"]
    agent = re.findall(r"<jmx.agent.version>(.*)</jmx.agent.version>", (MAVEN / "pom.xml").read_text())
    known = {f"jmx_prometheus_javaagent-{one}.jar" for one in agent}
    for name, entry in catalogue.items():
        if entry.get("packages", {}).get("build") == "roles/images/files/maven":
            version = entry["packages"]["args"]["VERSION"]
            known.add(f"zookeeper-{version}.jar" if name == "zookeeper" else f"kafka_2.13-{version}.jar")
    assert len(known) == 4
    assert known <= set(names())


def test_an_archive_that_is_not_in_the_list_ends_the_build_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "target/image/opt").mkdir(parents=True)
    (tmp_path / "target/image/opt/evil.jar").write_text("x")
    (tmp_path / "artifacts.sha256").write_bytes(LIST.read_bytes())
    refused = check(tmp_path)
    assert refused.returncode == 1
    assert "evil.jar" in refused.stdout
    digest = subprocess.run(
        ["sha256sum", "target/image/opt/evil.jar"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout[:64]
    (tmp_path / "artifacts.sha256").write_text(f"{digest}  evil.jar\n")
    assert check(tmp_path).returncode == 0
