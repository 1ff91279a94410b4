"""The import name belongs to scikit-dimension too."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def say_on_import(folder):
    command = [sys.executable, "-c", "import skdim"]
    path = os.pathsep.join([str(ROOT), str(folder)])
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    return done.stderr


def test_import_says_what_to_do_beside_scikit_dimension(tmp_path):
    metadata = tmp_path / "scikit_dimension-0.5.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: scikit-dimension\nVersion: 0.5.0\n")
    said = say_on_import(tmp_path)

    assert "scikit-deepinfomax and scikit-dimension are both installed" in said
    assert "separate environments" in said
