"""Says which brokers decide about the data of a broker, and has others decide. No broker of these data runs meanwhile.

The platform runs it on the host. Standard input is JSON: `do` says what, `data` is the directory. What it answers is
JSON, too. A broker starts only where the file `quorum` names the brokers that decide by its configuration
(start-kafka.sh), so that file is written last: until then, everything is as it was.

- `look`: who decides, with their names, of which cluster the data are, how much they are, and how much `take` takes
- `take`: what a broker needs to decide like this one: the metadata of the cluster, without its votes
- `give`: make that the data of the broker with the number `number`, instead of all that is there
- `decide`: from now on, the brokers in `decides` decide; an empty text is this broker alone
"""

import base64
import contextlib
import io
import json
import os
import shutil
import sys
import tarfile
from pathlib import Path

METADATA, META, QUORUM, VOTES = "__cluster_metadata-0", "meta.properties", "quorum", "quorum-state"


def expect_no_link(*paths):
    """Refuse what the user of the broker may have put there to have root read or write elsewhere."""
    for path in paths:
        if path.is_symlink():
            raise OSError(f"{path} is a link, and a broker makes none")


def properties(path):
    expect_no_link(path)
    try:
        lines = path.read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def size(path):
    total = 0
    for directory, _, files in os.walk(path):
        for name in files:
            with contextlib.suppress(FileNotFoundError):  # a broker that runs removes some
                total += (Path(directory) / name).stat().st_blocks * 512
    return total


def look(data):
    found = properties(data / META)
    if not found:
        return {}
    expect_no_link(data / QUORUM)
    decides = (data / QUORUM).read_text().strip() if (data / QUORUM).exists() else ""
    members = [one.partition("@")[2].partition(":")[0] for one in decides.split(",") if one]
    sizes = {"bytes": size(data), "needed": size(data / METADATA)}
    kept = any(path.name == "partition.metadata" and path.parent.name != METADATA for path in data.glob("*/*"))
    return {"decides": decides, "members": members, "cluster": found.get("cluster.id", ""), "kept": kept, **sizes}


def take(data):
    expect_no_link(data / METADATA)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as packed:
        for path in sorted((data / METADATA).iterdir()):
            if path.name != VOTES and path.is_file():
                packed.add(path, f"{METADATA}/{path.name}")
    return {"cluster": properties(data / META)["cluster.id"], "archive": base64.b64encode(archive.getvalue()).decode()}


def give(data, taken, number, decides):
    # The data directory itself is mounted, and belongs to the user of the broker.
    owner, new = data.stat(), data / "new"
    expect_no_link(new)
    shutil.rmtree(new, ignore_errors=True)
    (data / META).unlink(missing_ok=True)  # without it, nobody takes what is half done for data
    new.mkdir(mode=0o700)
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(taken["archive"])), mode="r:gz") as packed:
        for one in packed:
            source = packed.extractfile(one)
            name = Path(one.name).name
            if source and one.name == f"{METADATA}/{name}":
                (new / METADATA).mkdir(exist_ok=True, mode=0o700)
                (new / METADATA / name).write_bytes(source.read())
    for path in data.iterdir():
        if path != new:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (new / METADATA).rename(data / METADATA)
    new.rmdir()
    write(data / QUORUM, decides + "\n")
    write(data / META, f"version=1\nnode.id={number}\ncluster.id={taken['cluster']}\n")
    for path in (data / METADATA, *(data / METADATA).iterdir()):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    os.sync()
    return {}


def decide(data, decides):
    expect_no_link(data / METADATA)
    # Its votes are of those who decided before.
    (data / METADATA / VOTES).unlink(missing_ok=True)
    if decides:
        write(data / QUORUM, decides + "\n")
    else:
        (data / QUORUM).unlink(missing_ok=True)
    os.sync()
    return {}


def write(path, text):
    """Write a file in one step, for the user of its directory."""
    new, owner = path.with_name(path.name + ".new"), path.parent.stat()
    new.unlink(missing_ok=True)
    with new.open("x") as file:  # which follows no link
        file.write(text)
        os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
    new.rename(path)


def main():
    asked = json.load(sys.stdin)
    data = Path(asked["data"])
    if asked["do"] == "look":
        return look(data)
    if asked["do"] == "take":
        return take(data)
    if asked["do"] == "give":
        return give(data, asked["taken"], asked["number"], asked["decides"])
    return decide(data, asked["decides"])


try:
    print(json.dumps(main()))
except (OSError, KeyError, tarfile.TarError) as error:
    print(f"the data of a broker: {error}", file=sys.stderr)
    sys.exit(1)
