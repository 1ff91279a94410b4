"""The import name belongs to scikit-dimension too."""

import importlib

import pytest

import skdim


def test_import_says_what_to_do_beside_scikit_dimension(tmp_path, monkeypatch):
    metadata = tmp_path / "scikit_dimension-0.5.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: scikit-dimension\nVersion: 0.5.0\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.warns(UserWarning, match="separate environments") as said:
        importlib.reload(skdim)

    assert "scikit-deepinfomax and scikit-dimension are both installed" in str(said[0].message)
