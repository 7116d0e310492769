"""Python loads files of this collection from what it compiled before, and Ansible finds everything else."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

from ansible_collections.sse.platform.plugins.plugin_utils import compiled_imports

PLUGINS = [str(Path(compiled_imports.__file__).parents[1])]
OURS = compiled_imports.OURS
PROGRAM = """
from ansible_collections.sse.platform.plugins.callback import phases
phases.CallbackModule()
import ansible_collections.sse.platform.plugins.module_utils.model.release as later
print(type(later.__spec__.loader).__name__)
"""


def test_a_file_of_this_collection_is_loaded_as_python_loads_files() -> None:
    found = compiled_imports.CompiledOnce.find_spec(
        f"{OURS}module_utils.model.spec", [f"{PLUGINS[0]}/module_utils/model"]
    )
    assert found is not None
    assert isinstance(found.loader, SourceFileLoader)
    assert found.cached is not None


def test_what_has_no_file_or_is_not_ours_is_left_to_ansible() -> None:
    find = compiled_imports.CompiledOnce.find_spec
    assert find(f"{OURS}plugin_utils", PLUGINS) is None  # a package
    assert find(f"{OURS}nosuch", PLUGINS) is None
    assert find("ansible_collections.community.docker.plugins.modules", PLUGINS) is None
    assert find("json", None) is None


def test_the_screen_which_ansible_loads_first_has_it_asked() -> None:
    """Under Ansible's own importer, which compiles in every run."""
    finder = "from ansible.utils.collection_loader import _collection_finder as found\n"
    finder += f"found._AnsibleCollectionFinder(paths=[{str(Path(PLUGINS[0]).parents[3])!r}])._install()\n"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(
        [sys.executable, "-c", finder + PROGRAM], env=environment, cwd="/", capture_output=True, text=True, check=False
    )
    assert (run.stdout, run.stderr) == ("SourceFileLoader\n", "")
