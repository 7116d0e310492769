"""What is in the images that run."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker.errors

if TYPE_CHECKING:
    from ansible_collections.sse.platform.tests.integration.stack import Stack

# Where builder stages have this host's own package configuration.
CONFIGURATION = ("/etc/pip.conf", "/root/.npmrc", "/run/host")
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"


def content(container: Any, path: str) -> bytes | None:
    """The file at a path of the container's file system, None where there is none."""
    try:
        parts, _ = container.get_archive(path)
    except docker.errors.NotFound:
        return None
    with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as archive:
        file = archive.extractfile(archive.getmembers()[0])
        return file.read() if file else b""


def test_no_image_holds_this_host_s_certificate_authorities_or_package_configuration(stack: Stack) -> None:
    authorities = Path(AUTHORITIES).read_bytes()
    for name, one in stack.containers().items():
        assert content(one, AUTHORITIES) != authorities, name
        assert [path for path in CONFIGURATION if content(one, path) is not None] == [], name
