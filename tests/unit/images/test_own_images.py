"""Images of one's own: from a registry, from a build context, from an archive."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.images import own_images
from ansible_collections.sse.platform.plugins.module_utils.images.build_contexts import (
    context_files,
    context_hash,
    pack_contexts,
)
from ansible_collections.sse.platform.plugins.module_utils.images.steps import ImagesError, Step, at_mirror
from ansible_collections.sse.platform.plugins.module_utils.model import spec

CATALOGUE = {
    "base": Step("base", "base", "sse-platform/base:1", "build"),
    "app": Step("app", "app", "sse-platform/app:1", "build"),
    "kafka-kraft": Step("kafka-kraft", "kafka", "sse-platform/kafka:1", "build"),
}
NAMES = {"app": "app", "kafka": "kafka-kraft"}
DIGEST = "@sha256:" + "a" * 64


def services(*images: Any) -> dict[str, Any]:
    return {f"s{index}": {"containers": {f"c{index}": {"image": image}}} for index, image in enumerate(images)}


def steps(*images: Any, prefix: str = "") -> list[own_images.OwnImage]:
    return list(
        own_images.steps(services(*images), NAMES, CATALOGUE, prefix, lambda path: context_hash(Path(path))).values()
    )


def refusal(image: Any) -> str:
    with pytest.raises(ImagesError) as refused:
        steps(image)
    assert str(refused.value).startswith("services_extra.s0.containers.c0.image")
    return str(refused.value)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    directory = tmp_path / "My_Service"
    directory.mkdir()
    (directory / "Dockerfile").write_text(
        "FROM debian:13 AS build\nFROM ${BASE}\nfrom scratch\nCOPY --from=build / /\nFROM build\n"
    )
    return directory


def archive(path: Path, **tags: str) -> str:
    """Write what `docker save` does; each tag with the id of its image."""
    entries = [{"RepoTags": [tag.replace("_", ":")], "Config": f"{content}.json"} for tag, content in tags.items()]
    content = json.dumps(entries).encode()
    with tarfile.open(path, "w") as file:
        member = tarfile.TarInfo("manifest.json")
        member.size = len(content)
        file.addfile(member, io.BytesIO(content))
    return str(path)


def test_a_name_of_the_catalogue_stays_one() -> None:
    assert steps("app", "kafka") == []


@pytest.mark.parametrize(
    ("written", "reference"),
    [
        ("redis:7", "redis:7"),
        ("alpine", "alpine:latest"),
        ("docker.io/library/redis:7", "redis:7"),
        ("ghcr.io/x/y:1.2", "ghcr.io/x/y:1.2"),
        (f"ghcr.io/x/y{DIGEST}", f"ghcr.io/x/y{DIGEST}"),
        (f"redis:7{DIGEST}", f"redis{DIGEST}"),
        ("127.0.0.1:5000/tool:1", "127.0.0.1:5000/tool:1"),
        ("base:1", "base:1"),
    ],
)
def test_a_reference_is_pulled_as_the_engine_lists_it(written: str, reference: str) -> None:
    (one,) = steps(written)
    assert (one.step.reference, one.step.how) == (reference, "pull")


def test_a_mirror_has_what_names_no_registry_and_nothing_else() -> None:
    assert at_mirror("redis:7", "m.example:5000/hub") == "m.example:5000/hub/library/redis:7"
    assert at_mirror("ghcr.io/x/y:1", "m.example:5000") == "ghcr.io/x/y:1"
    (one,) = steps("tool/x:1", prefix="m.example")
    assert one.step.reference == "m.example/tool/x:1"


@pytest.mark.parametrize(
    "written", ["Redis:7", "a b", "redis:", "/x", "x/", "-x", f"x@sha256:{'a' * 63}", "", 7, None, []]
)
def test_what_is_no_image_is_refused(written: Any) -> None:
    assert spec.IMAGE_EXPECTED in refusal(written) or "non-empty" in refusal(written)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"bild": "/x"}, "bild: unknown key; known keys are args, build, from"),
        ({"archive": "/x", "tag": "1"}, "tag: unknown"),
    ],
)
def test_an_unknown_key_is_refused(written: dict[str, str], said: str) -> None:
    assert said in refusal(written)


def test_a_build_has_a_reference_that_changes_with_its_content_arguments_and_base(context: Path) -> None:
    def reference(**more: Any) -> str:
        (one,) = steps({"build": str(context), **more})
        assert (one.step.how, one.step.name) == ("build", "my-service")
        return one.step.reference

    first = reference()
    assert first.startswith("sse-platform/own-my-service:")
    assert reference() == first
    assert (
        len({first, reference(args={"A": "1"}), reference(**{"from": {"BASE": "base"}}), reference(args={"A": 2})}) == 4
    )
    (context / "more").touch()
    assert reference() != first


def test_a_build_is_made_after_the_images_of_the_catalogue_that_it_begins_from(context: Path) -> None:
    (one,) = steps({"build": str(context), "from": {"BASE": "kafka"}})
    assert (one.step.needs, one.step.args) == (("kafka-kraft",), {"BASE": "sse-platform/kafka:1"})
    assert "from names none: expected one of app, base, kafka" in refusal(
        {"build": str(context), "from": {"BASE": "none"}}
    )


def test_a_directory_without_dockerfile_is_refused(tmp_path: Path) -> None:
    assert f"build is '{tmp_path}', which has no Dockerfile" in refusal({"build": str(tmp_path)})


def test_an_archive_is_loaded_and_its_reference_changes_with_its_content(tmp_path: Path) -> None:
    def one(**tags: str) -> Step:
        return steps({"archive": archive(tmp_path / "a.tar", **tags)})[0].step

    first, second = one(tool_1="aa"), one(tool_1="bb")
    assert (first.how, first.loaded, first.file) == ("load", "tool:1", str(tmp_path / "a.tar"))
    assert first.reference.startswith("sse-platform/own-tool:")
    assert first.reference != second.reference


def test_an_archive_of_several_images_needs_the_name_of_one(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar", tool_1="aa", tool_2="bb")
    assert "expected `reference`, one of tool:1, tool:2" in refusal({"archive": path})
    assert "has no image tool:3" in refusal({"archive": path, "reference": "tool:3"})
    assert steps({"archive": path, "reference": "tool:2"})[0].step.loaded == "tool:2"
    assert "no archive of images" in refusal({"archive": "/etc/hostname"})


def test_a_registry_is_asked_for_missing_pulls_and_for_what_missing_builds_begin_from(context: Path) -> None:
    own = own_images.steps(
        services("redis:7", {"build": str(context)}), NAMES, CATALOGUE, "", lambda path: context_hash(Path(path))
    )
    missing = [CATALOGUE["base"], *(one.step for one in own.values())]
    assert own_images.asked(own, missing, frozenset()) == {
        "redis:7": "services_extra.s0.containers.c0.image",
        "debian:13": f"services_extra.s1.containers.c1.image.build ({context}/Dockerfile)",
    }
    assert own_images.asked(own, missing, frozenset({"debian:13"})).keys() == {"redis:7"}
    assert own_images.asked(own, [], frozenset()) == {}


def test_a_context_of_ones_own_may_have_links_exceptions_and_ignore_its_dockerfile(context: Path) -> None:
    for name in ("a.log", "keep.log", "logs/b.log", "logs/keep.log", "src/x"):
        (context / name).parent.mkdir(exist_ok=True)
        (context / name).touch()
    (context / "link").symlink_to("src")
    (context / "dangling").symlink_to("/nowhere")
    (context / ".dockerignore").write_text("# comment\n*.log\nlogs\nDockerfile\n!keep.log\n!logs/keep.log\n")
    assert list(context_files(context)) == [
        *(".dockerignore", "Dockerfile", "dangling", "keep.log", "link", "logs/keep.log", "src/x")
    ]
    with tarfile.open(fileobj=io.BytesIO(pack_contexts(Path("/nowhere"), [str(context)]))) as packed:
        names = {member.name: member for member in packed.getmembers()}
    assert not any(name.startswith("/") for name in names)
    assert names[f"{context}/link".lstrip("/")].linkname == "src"
    before = context_hash(context)
    (context / "link").unlink()
    (context / "link").symlink_to("logs")
    assert context_hash(context) != before
