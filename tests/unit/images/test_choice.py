"""Properties of the choice of images, their references, and the Dockerfiles they are built from."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from ansible_collections.sse.platform.plugins.filter.build_failure import build_failure
from ansible_collections.sse.platform.plugins.module_utils.images import bundle
from ansible_collections.sse.platform.plugins.module_utils.images import choice as images
from ansible_collections.sse.platform.plugins.module_utils.images.build_contexts import (
    ContextError,
    context_hash,
    pack_contexts,
    with_labels,
)
from ansible_collections.sse.platform.plugins.module_utils.images.catalogue import parse_catalogue

ROOT = Path(__file__).resolve().parents[3]
CATALOGUE: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "roles/images/vars/main.yml").read_text())[
    "__images_catalogue"
]
RECIPES = [
    (key, source, entry[source]) for key, entry in CATALOGUE.items() for source in images.SOURCES if source in entry
]
BUILDS = [(key, source, recipe) for key, source, recipe in RECIPES if "build" in recipe]
CONTEXTS = sorted({recipe["build"] for _, _, recipe in BUILDS})

SETTINGS: dict[str, Any] = {
    "alerts_to": {},
    "images_source": "auto",
    "services_extra": {},
    "images_registry_prefix": "",
    "images_archive": "",
    "images_debian_suite": "trixie",
    "images_debian_mirror": "",
    "kafka_coordination": "kraft",
    "kafka_remote_servers": [],
    "redis_remote_server": "",
    "exposure_tls": "self_signed",
    "grafana_archive": "",
    "grafana_archive_sha256": "",
}


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """A collection whose build contexts hold a Dockerfile and one more file."""
    for context in CONTEXTS:
        directory = tmp_path / "collection" / context
        directory.mkdir(parents=True)
        (directory / "Dockerfile").write_text(f"FROM {context}\n")
        (directory / "input").write_text("1")
    return tmp_path / "collection"


def never(registry: str) -> bool:
    raise AssertionError(f"{registry} was asked although its answer decides nothing")


def choose(
    collection: Path,
    present: Any = (),
    *,
    answers: Any = lambda _: False,
    distribution: str = "debian",
    only: tuple[str, ...] = (),
    runs: Any = (),
    **changes: Any,
) -> dict[str, Any]:
    host = images.Host(frozenset(present), distribution, answers, frozenset(runs))
    settings: Any = {**SETTINGS, **changes}
    return cast("Any", images.choose(parse_catalogue(CATALOGUE, settings), settings, host, collection, only=only))


def everything(chosen: dict[str, Any]) -> set[str]:
    return set(chosen["references"].values()) | {step["reference"] for step in chosen["steps"]}


def save(path: Path, tags: list[str]) -> str:
    """Write an archive as `docker save` does; returns its path."""
    content = json.dumps([{"RepoTags": [tag]} for tag in tags]).encode()
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("manifest.json")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return str(path)


# --- references


def test_a_reference_changes_with_its_own_inputs_and_with_those_of_its_base(collection: Path) -> None:
    before = choose(collection, images_source="packages")["references"]
    (collection / "roles/images/files/redis/input").write_text("2")
    after = choose(collection, images_source="packages")["references"]
    assert {name for name in before if before[name] != after[name]} == {"redis"}
    (collection / "roles/images/files/base/input").write_text("2")
    at_last = choose(collection, images_source="packages")["references"]
    assert [name for name in after if after[name] == at_last[name]] == []


def test_a_reference_changes_with_execute_permission_and_file_name(collection: Path) -> None:
    script = collection / "app/input"
    references = [choose(collection, images_source="packages")["references"]["app"]]
    script.chmod(0o755)
    references.append(choose(collection, images_source="packages")["references"]["app"])
    script.rename(script.with_name("other"))
    references.append(choose(collection, images_source="packages")["references"]["app"])
    assert len(set(references)) == 3


def test_the_suite_and_the_coordination_are_inputs(collection: Path) -> None:
    plain = choose(collection, images_source="packages")["references"]
    older = choose(collection, images_source="packages", images_debian_suite="bookworm")["references"]
    assert not set(plain.values()) & set(older.values())
    other = choose(collection, images_source="packages", kafka_coordination="zookeeper")["references"]
    assert set(other) - set(plain) == {"zookeeper"}
    assert {name for name in plain if plain[name] != other[name]} == {"kafka"}


def test_what_dockerignore_names_is_neither_hashed_nor_packed(collection: Path) -> None:
    app = collection / "app"
    (app / ".dockerignore").write_text("# comment\ntests\n**/__pycache__\n*.log\n")
    before = context_hash(app)
    for name in ("tests/test_a.py", "pkg/__pycache__/a.pyc", "tests/deep/er.py", "a.log"):
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).write_text("x")
    assert context_hash(app) == before
    (app / "pkg/tests").mkdir()
    (app / "pkg/tests/a.py").write_text("x")
    assert context_hash(app) != before
    with tarfile.open(fileobj=io.BytesIO(pack_contexts(collection, ["app"]))) as archive:
        assert sorted(one.name for one in archive if one.isfile()) == [
            "app/.dockerignore",
            "app/Dockerfile",
            "app/input",
            "app/pkg/tests/a.py",
        ]


def test_a_context_brings_what_stands_elsewhere_in_the_collection(tmp_path: Path) -> None:
    page, shared = tmp_path / "page", tmp_path / "clients/shared"
    page.mkdir()
    shared.mkdir(parents=True)
    (page / "Dockerfile").write_text("FROM scratch\n")
    (page / ".dockerignore").write_text("**/*.test.ts\n")
    (page / ".context").write_text("client ../clients/shared\n")
    for name in ("index.ts", "index.test.ts"):
        (shared / name).write_text("1")
    before = context_hash(page)
    with tarfile.open(fileobj=io.BytesIO(pack_contexts(tmp_path, ["page"]))) as archive:
        assert {name for name in archive.getnames() if "client" in name} == {"page/client", "page/client/index.ts"}
    (shared / "index.ts").write_text("2")
    assert context_hash(page) != before
    (page / ".context").write_text("client ../clients/gone\n")
    with pytest.raises(ContextError, match="the collection is not complete"):
        context_hash(page)


def test_a_context_without_dockerfile_is_refused(collection: Path) -> None:
    (collection / "app/Dockerfile").unlink()
    with pytest.raises(ContextError, match=r"app has no Dockerfile"):
        choose(collection)


# --- steps


@pytest.mark.parametrize("source", images.SOURCES)
@pytest.mark.parametrize("coordination", ["kraft", "zookeeper"])
def test_each_image_is_got_after_those_it_is_built_from(collection: Path, source: str, coordination: str) -> None:
    chosen = choose(collection, images_source=source, kafka_coordination=coordination)
    got: set[str] = set()
    for step in chosen["steps"]:
        assert set(step["needs"]) <= got, step
        got.add(step["image"])
    assert {step["reference"] for step in chosen["steps"]} >= set(chosen["references"].values())


@pytest.mark.parametrize("source", images.SOURCES)
def test_nothing_is_missing_when_every_image_is_present(collection: Path, source: str) -> None:
    wanted = choose(collection, images_source=source)["references"].values()
    again = choose(collection, wanted, images_source=source)
    assert again["missing"] == []
    assert again["steps"] == []


def test_only_the_program_that_changed_is_built_again(collection: Path) -> None:
    present = everything(choose(collection, images_source="packages"))
    (collection / "app/input").write_text("2")
    assert choose(collection, present)["missing"] == ["app"]


def test_a_limited_run_gets_only_those_images_and_their_bases(collection: Path) -> None:
    chosen = choose(collection, images_source="packages", only=("app", "some-other-tag"))
    assert chosen["missing"] == ["base", "python", "app"]
    assert set(chosen["references"]) >= {"redis", "nginx"}
    assert len(choose(collection, images_source="packages", only=("network",))["missing"]) > 3


def test_a_mirror_has_official_images_below_library(collection: Path) -> None:
    chosen = choose(collection, images_source="registry", images_registry_prefix="registry.example:5000/mirror/")
    assert (
        chosen["references"]["redis"]
        == f"registry.example:5000/mirror/library/{CATALOGUE['redis']['registry']['pull']}"
    )
    assert chosen["references"]["prometheus"].startswith("registry.example:5000/mirror/prom/prometheus:")


# --- the source


def test_images_on_the_host_are_taken_before_anything_is_asked(collection: Path, tmp_path: Path) -> None:
    archive = save(tmp_path / "images.tar", ["redis:1"])
    for source in images.SOURCES:
        present = choose(collection, images_source=source)["references"].values()
        assert choose(collection, present, answers=never, images_archive=archive)["source"] == source


def test_our_own_program_s_change_does_not_move_the_source(collection: Path) -> None:
    present = everything(choose(collection, images_source="packages"))
    (collection / "dashboard/input").write_text("2")
    chosen = choose(collection, present, answers=never)
    assert (chosen["source"], chosen["missing"]) == ("packages", ["dashboard"])


def test_a_given_archive_comes_before_the_registry(collection: Path, tmp_path: Path) -> None:
    tags = [
        reference
        for name, reference in choose(collection, images_source="packages")["references"].items()
        if name != "redis"
    ]
    archive = save(tmp_path / "images.tar", [*tags, "redis:7.0.1"])
    chosen = choose(collection, answers=never, images_archive=archive)
    assert chosen["source"] == "archive"
    assert chosen["references"]["redis"] == "redis:7.0.1"
    assert {step["how"] for step in chosen["steps"]} == {"load"}
    assert set(chosen["unavailable"]) == {"grafana"}
    assert choose(collection, everything(chosen), images_source="archive", images_archive=archive)["missing"] == []


def test_the_registry_comes_before_packages_and_the_reason_names_it(collection: Path) -> None:
    asked: list[str] = []

    def answers(registry: str) -> bool:
        asked.append(registry)
        return len(asked) == 1

    chosen = choose(collection, answers=answers, images_registry_prefix="registry.example:5000/x")
    assert (chosen["source"], chosen["reason"]) == ("registry", "registry.example:5000 answers")
    chosen = choose(collection, answers=answers)
    assert chosen["source"] == "packages"
    assert asked == ["registry.example:5000", images.DEFAULT_REGISTRY]
    assert chosen["reason"] == f"the image registry {images.DEFAULT_REGISTRY} does not answer"


def test_a_source_that_was_asked_for_is_taken_unasked(collection: Path) -> None:
    present = choose(collection, images_source="packages")["references"].values()
    chosen = choose(collection, present, answers=never, images_source="registry")
    assert (chosen["source"], chosen["reason"]) == ("registry", "images_source is registry")


# --- refusals


def test_an_incomplete_archive_is_refused_by_the_names_it_lacks(collection: Path, tmp_path: Path) -> None:
    archive = save(tmp_path / "images.tar", ["redis:8"])
    with pytest.raises(images.ImagesError, match=r"lacks app, dashboard, .*kafka, .*nginx.*expected an") as refused:
        choose(collection, images_archive=archive)
    assert "redis," not in str(refused.value)


def test_what_is_no_archive_is_refused(collection: Path, tmp_path: Path) -> None:
    (tmp_path / "images.tar").write_text("no archive")
    for path in (tmp_path / "images.tar", tmp_path / "missing.tar"):
        with pytest.raises(images.ImagesError, match=r"images_archive is '.*\.tar', which is no archive"):
            choose(collection, images_archive=str(path))
    with pytest.raises(images.ImagesError, match=r"images_archive is ''"):
        choose(collection, images_source="archive")


def test_a_host_that_is_no_debian_needs_a_mirror_only_to_build_the_base(collection: Path) -> None:
    with pytest.raises(images.ImagesError, match=r"images_debian_mirror is '' and this host runs ubuntu"):
        choose(collection, images_source="packages", distribution="ubuntu")
    ready = choose(collection, images_source="packages", distribution="ubuntu", images_debian_mirror="http://d/debian")
    base = next(step["reference"] for step in ready["steps"] if step["image"] == "base")
    assert choose(collection, [base], images_source="packages", distribution="ubuntu")["missing"]
    choose(collection, images_source="registry", distribution="ubuntu")


def test_grafana_is_unavailable_without_an_archive_and_says_what_to_give(collection: Path) -> None:
    chosen = choose(collection, images_source="packages")
    assert "grafana" not in chosen["references"]
    assert "grafana_archive" in chosen["unavailable"]["grafana"]


def test_grafana_stays_without_its_archive_once_it_runs(collection: Path) -> None:
    built = "sse-platform/grafana:1"
    for source in images.SOURCES:
        left = choose(collection, [built], runs=[built], images_source=source)
        assert left["references"]["grafana"] == (built if source == "packages" else "grafana/grafana:12.2.0")
    assert "grafana" not in choose(collection, [], runs=[built], images_source="packages")["references"]
    assert "grafana" not in choose(collection, [built], images_source="packages")["references"]


@pytest.mark.parametrize("source", images.SOURCES)
def test_a_given_grafana_archive_is_used_once_its_checksum_fits(collection: Path, tmp_path: Path, source: str) -> None:
    archive = tmp_path / "grafana.tar.gz"
    archive.write_bytes(b"grafana")
    digest = hashlib.sha256(b"grafana").hexdigest()
    given: dict[str, Any] = {
        "images_source": source,
        "grafana_archive": str(archive),
        "grafana_archive_sha256": digest.upper(),
    }
    chosen = choose(collection, **given)
    assert chosen["references"]["grafana"].startswith("sse-platform/grafana:")
    assert next(step for step in chosen["steps"] if step["image"] == "grafana")["file"] == str(archive)
    with pytest.raises(images.ImagesError, match=rf"grafana_archive_sha256 is '0{{64}}' but .* has {digest}"):
        choose(collection, **{**given, "grafana_archive_sha256": "0" * 64})
    archive.write_bytes(b"newer")
    newer = choose(collection, **{**given, "grafana_archive_sha256": hashlib.sha256(b"newer").hexdigest()})
    assert newer["references"]["grafana"] != chosen["references"]["grafana"]
    archive.unlink()
    assert choose(collection, everything(chosen), **given)["missing"] == []
    with pytest.raises(images.ImagesError, match=r"can't be read: No such file"):
        choose(collection, **given)


# --- needed


def test_the_images_of_both_sources_are_needed_whichever_is_chosen(collection: Path) -> None:
    both = [choose(collection, images_source=source) for source in images.SOURCES]
    assert both[0]["needed"] == both[1]["needed"]
    ours = {one for chosen in both for one in everything(chosen) if one.startswith("sse-platform/")}
    assert set(both[0]["needed"]) >= ours
    assert all(one.startswith("sse-platform/") for one in both[0]["needed"])


def test_a_changed_context_makes_another_image_needed(collection: Path) -> None:
    before = choose(collection, images_source="packages")
    (collection / "app/input").write_text("2")
    after = choose(collection, images_source="packages")
    changed = set(before["needed"]) - set(after["needed"])
    assert before["references"]["app"] in changed
    assert {one.partition(":")[0] for one in changed} == {"sse-platform/app"}


# --- the catalogue and the Dockerfiles


@pytest.mark.parametrize(("key", "source", "recipe"), BUILDS, ids=lambda value: value if isinstance(value, str) else "")
def test_catalogue_and_dockerfile_agree_on_build_arguments(key: str, source: str, recipe: dict[str, Any]) -> None:
    text = (ROOT / recipe["build"] / "Dockerfile").read_text()
    before_stages, *_ = re.split(r"^FROM ", text, maxsplit=1, flags=re.MULTILINE)
    arguments = re.findall(r"^ARG (\w+)", text, re.MULTILINE)
    bases = re.findall(r"^ARG (\w+)", before_stages, re.MULTILINE)
    assert sorted(bases) == sorted(recipe.get("from", {})), (key, source)
    assert sorted(set(arguments) - set(bases)) == sorted(recipe.get("args", {})), (key, source)
    assert set(recipe.get("from", {}).values()) <= set(CATALOGUE), (key, source)


@pytest.mark.parametrize("context", CONTEXTS)
def test_the_host_s_configuration_reaches_builder_stages_only(context: str) -> None:
    *_, final = re.split(r"^FROM ", (ROOT / context / "Dockerfile").read_text(), flags=re.MULTILINE)
    builder_only = {recipe["build"] for key, _, recipe in BUILDS if key == "node"}
    if context not in builder_only:
        assert ".host" not in final
        assert not re.search(r"^(COPY|ADD) (--\S+ )*\.(/| )", final, re.MULTILINE), "a whole context holds .host"


def test_an_image_with_the_host_s_configuration_is_never_run_nor_the_base_of_one() -> None:
    for key, source, recipe in BUILDS:
        final = re.findall(r"^FROM \$\{(\w+)\}", (ROOT / recipe["build"] / "Dockerfile").read_text(), re.MULTILINE)
        if final:
            assert recipe["from"][final[-1]] != "node", (key, source)
    assert CATALOGUE["node"]["internal"]


@pytest.mark.parametrize("context", ["roles/images", "app/Dockerfile", "dashboard/Dockerfile"])
def test_no_file_names_a_mirror_or_a_package_registry(context: str) -> None:
    path = ROOT / context
    for file in [path] if path.is_file() else path.rglob("*"):
        if file.is_file():
            addresses = set(re.findall(r"https?://\w[^\s\"'<]+", file.read_text()))
            assert addresses <= {"http://maven.apache.org/POM/4.0.0", "http://0.0.0.0/"}, file


def test_every_upstream_reference_is_pinned_by_tag() -> None:
    for key, source, recipe in RECIPES:
        if "pull" in recipe:
            assert re.fullmatch(r"[a-z0-9_./-]+:[A-Za-z0-9_.-]*\d[A-Za-z0-9_.-]*|debian:trixie-slim", recipe["pull"]), (
                key,
                source,
            )


# --- a failed build


def test_of_a_failed_build_the_lines_that_tell_of_trouble_are_shown() -> None:
    log = ["Step 1/2 : FROM x", " ---> Running in 1\nall well\nerror in an earlier step", " ---> Running in 2"]
    log += ["\nGet:1 something\n", "\x1b[91mE: Unable to locate package nothing\x1b[0m\n"]
    message = f"Error building sse-platform/x - code: 100, message: it returned 100, logs: {log!r}"
    assert build_failure(message).splitlines() == [
        "Error building sse-platform/x - code: 100, message: it returned 100",
        "E: Unable to locate package nothing",
    ]
    assert build_failure("the engine is gone") == "the engine is gone"


@pytest.mark.parametrize(
    "address",
    ["http://me:p%40ss@proxy:3128/", "http://me:@x/@proxy", "https://token@index/simple", "http://proxy:3128"],
)
def test_of_a_failed_build_no_password_of_a_proxy_or_an_index_is_shown(address: str) -> None:
    for message in (
        f"no answer from {address}",
        f"x, logs: {[' ---> Running in 2', f'{chr(10)}error at {address}']!r}",
    ):
        shown = build_failure(message)
        assert "me:" not in shown
        assert "token" not in shown
        assert address.rpartition("@")[2].removeprefix("http://") in shown


# --- labels of the stages


def test_every_stage_gets_a_label_and_a_builder_stage_the_image_that_it_is_for() -> None:
    text = b'ARG A\nFROM --platform=x ${A} AS one\nRUN sql "select a \\\nFROM b"\nfrom \\\n  two\nUSER 1'
    stage = b"LABEL sse.platform.stage=true\n"
    builder = b"ARG SSE_PLATFORM_IMAGE\nLABEL sse.platform.builder=${SSE_PLATFORM_IMAGE}\n"
    assert with_labels(text) == (
        b"ARG A\nFROM --platform=x ${A} AS one\n"
        + stage
        + b'RUN sql "select a \\\nFROM b"\n'
        + builder
        + b"from \\\n  two\n"
        + stage
        + b"USER 1"
    )
    assert with_labels(b"FROM scratch") == b"FROM scratch\n" + stage


# --- a bundle


def bundle_of(collection: Path, references: list[str], **changes: Any) -> None:
    (collection / "bundle").mkdir()
    told = {"format": 1, "images": dict.fromkeys(references, "sha256:1"), **changes}
    (collection / "bundle/manifest.json").write_text(json.dumps(told))


def test_the_images_of_a_bundle_are_loaded_and_nothing_is_asked(collection: Path) -> None:
    references = sorted(choose(collection, images_source="packages")["references"].values())
    bundle_of(collection, references)
    for source in ("auto", "bundle"):
        chosen = choose(collection, answers=never, images_source=source)
        assert chosen["source"] == "bundle"
        assert sorted(chosen["references"].values()) == references
        assert {(step["how"], step["file"]) for step in chosen["steps"]} == {
            ("load", f"{collection}/bundle/images.tar.gz")
        }
        assert chosen["unavailable"] == {"grafana": "it is not in the bundle"}
    assert choose(collection, references, images_source="bundle")["missing"] == []


def test_a_bundle_is_not_compared_with_the_checksum_of_an_archive_that_an_image_in_it_was_made_from(
    collection: Path, tmp_path: Path
) -> None:
    given: dict[str, Any] = {"grafana_archive": str(tmp_path / "grafana.tar.gz"), "grafana_archive_sha256": "0" * 64}
    references = [*choose(collection, images_source="packages")["references"].values(), "sse-platform/grafana:1"]
    bundle_of(collection, references)
    chosen = choose(collection, images_source="bundle", **given)
    assert "sse-platform/grafana:1" in [step["reference"] for step in chosen["steps"]]


def test_a_bundle_that_lacks_an_image_or_is_not_there_is_refused(collection: Path) -> None:
    with pytest.raises(images.ImagesError, match="this checkout did not come in a bundle"):
        choose(collection, images_source="bundle")
    references = [*choose(collection, images_source="packages")["references"].values()]
    bundle_of(collection, [one for one in references if "/redis:" not in one])
    with pytest.raises(images.ImagesError, match="does not hold redis"):
        choose(collection, images_source="bundle")
    (collection / "bundle/manifest.json").write_text('{"format": 7}')
    with pytest.raises(images.ImagesError, match="of another format"):
        choose(collection)


@pytest.mark.parametrize(
    ("changes", "wants", "said"),
    [
        ({}, {"images": True, "packages": True}, []),
        ({"architecture": "arm64"}, {"images": True, "packages": False}, ["for arm64, and the host is amd64"]),
        ({"architecture": "arm64"}, {"images": False, "packages": False}, []),
        ({"distribution": "debian 13"}, {"images": True, "packages": True}, ["for debian 13, and the host runs"]),
        ({"distribution": "debian 13"}, {"images": True, "packages": False}, []),
        ({"packages": []}, {"images": True, "packages": True}, ["no Debian packages"]),
    ],
)
def test_a_host_takes_only_what_fits_it(changes: dict[str, Any], wants: dict[str, bool], said: list[str]) -> None:
    held: Any = {"architecture": "amd64", "distribution": "debian 12", "packages": ["x.deb"], **changes}
    found = list(bundle.misfits(held, "amd64", "debian 12", **wants))
    assert len(found) == len(said)
    assert all(one in text for one, text in zip(said, found, strict=True))


def test_a_damaged_archive_of_images_is_refused_by_its_name(collection: Path) -> None:
    bundle_of(collection, [])
    (collection / "bundle/images.tar.gz").write_bytes(b"one")
    digest = hashlib.sha256(b"one").hexdigest()
    (collection / "bundle/SHA256SUMS").write_text(f"{digest}  images.tar.gz\n")
    bundle.refuse_damaged(collection, "images.tar.gz")
    (collection / "bundle/images.tar.gz").write_bytes(b"two")
    with pytest.raises(images.ImagesError, match=r"images\.tar\.gz is damaged"):
        bundle.refuse_damaged(collection, "images.tar.gz")


def test_every_directory_of_a_context_can_be_entered_whatever_the_umask_of_the_host_is(tmp_path: Path) -> None:
    (tmp_path / "app/deep/below").mkdir(parents=True)
    (tmp_path / "app/Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "app/deep/below/f").write_text("x")
    with tarfile.open(fileobj=io.BytesIO(pack_contexts(tmp_path, ["app"]))) as archive:
        found = {one.name: one.mode for one in archive if one.isdir()}
    assert found == dict.fromkeys(["app", "app/deep", "app/deep/below"], 0o755)
