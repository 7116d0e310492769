"""A host gets those images of an archive that it lacks, and their layers."""

from __future__ import annotations

import errno
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.images.parts import extract
from ansible_collections.sse.platform.plugins.module_utils.images.steps import ImagesError, archive_references

ENTRIES = [
    {"Config": "a.json", "RepoTags": ["a:1", "also:1"], "Layers": ["1/layer.tar", "2/layer.tar"]},
    {"Config": "b.json", "RepoTags": ["b:1"], "Layers": ["3/layer.tar"]},
    {"Config": "c.json", "RepoTags": None, "Layers": ["1/layer.tar"]},
]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Three images in the form of engines before 25: the only layer of b is a link to one of a."""
    path = tmp_path / "images.tar.gz"
    with tarfile.open(path, "w:gz") as made:
        for name in ("a.json", "1/layer.tar", "2/layer.tar", "b.json", "c.json"):
            one = tarfile.TarInfo(name)
            one.size = len(name)
            made.addfile(one, io.BytesIO(name.encode()))
        link = tarfile.TarInfo("3/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../1/layer.tar"
        made.addfile(link)
        content = json.dumps(ENTRIES).encode()
        one = tarfile.TarInfo("manifest.json")
        one.size = len(content)
        made.addfile(one, io.BytesIO(content))
    return path


@pytest.mark.parametrize(
    ("references", "names"),
    [
        (["a:1"], {"a.json", "1/layer.tar", "2/layer.tar"}),
        (["b:1"], {"b.json", "3/layer.tar", "1/layer.tar"}),
    ],
)
def test_an_image_comes_with_its_layers_and_without_others(
    archive: Path, tmp_path: Path, references: list[str], names: set[str]
) -> None:
    part = tmp_path / "part.tar.gz"
    with part.open("wb") as file:
        assert extract(archive, references, file)
    with tarfile.open(part) as made:
        assert set(made.getnames()) == {"manifest.json", *names}
        layer = made.extractfile("1/layer.tar")
        assert layer
        assert layer.read() == b"1/layer.tar"
    assert set(archive_references(part)) == set(references)


def test_an_archive_of_which_all_is_wanted_goes_as_it_is(archive: Path) -> None:
    file = io.BytesIO()
    assert not extract(archive, ["a:1", "also:1", "b:1"], file)
    assert file.getvalue() == b""


def test_an_image_that_is_not_in_the_archive_is_named(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(ImagesError, match="lacks x:1"):
        extract(archive, ["a:1", "x:1"], io.BytesIO())
    (tmp_path / "no.tar").write_text("text")
    with pytest.raises(ImagesError, match="is no archive of images"):
        extract(tmp_path / "no.tar", ["a:1"], io.BytesIO())


def test_an_archive_that_is_cut_off_or_damaged_is_told_in_a_sentence(archive: Path) -> None:
    whole = archive.read_bytes()
    for broken in (whole[: len(whole) * 2 // 3], whole[:40] + bytes(80) + whole[120:]):
        archive.write_bytes(broken)
        with pytest.raises(ImagesError, match="is no archive of images"):
            extract(archive, ["a:1"], io.BytesIO())
        with pytest.raises(ImagesError, match="which is no archive of images"):
            archive_references(archive)


def test_a_full_disk_of_this_machine_is_not_told_of_the_archive(archive: Path) -> None:
    class Full(io.BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ImagesError, match=r"could not be taken out: .*No space left on device"):
        extract(archive, ["a:1"], Full())
