"""How the site is built. Nothing here reaches the network."""

import re
import runpy
from pathlib import Path

ABOUT = runpy.run_path(str(Path(__file__).parents[1] / "skdim" / "about.py"))

project = "scikit-deepinfomax"
author = "the skdim developers"
copyright = f"2026, {author}"
version = release = ABOUT["__version__"]

extensions = [
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
default_role = "code"

html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_title = f"{project} {version}"
html_theme_options = {
    "logo": {"text": project},
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
}
html_sidebars = {"architecture": []}

copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

# numpydoc states the types; the signature then stays short.
autodoc_typehints = "none"
autosummary_generate = True
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"[\\/]plot_",
    "backreferences_dir": "api/backreferences",
    "doc_module": ("skdim",),
    "reference_url": {"skdim": None},
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "show_signature": False,
}

# A star that opens a name, as in "shape (n, *grid)": not one of a parameter "*args : Any",
# not one that a later star closes, and not one inside ``literals``.
OPENING_STAR = re.compile(r"(?<=[\s(\[,])\*(?=[A-Za-z_])(?![\w.]+( \w+)*\*)")
PARAMETER = re.compile(r"^\s*\*{1,2}\w+( :.*)?$")


def escape_stars(app, what, name, obj, options, lines):
    """Keep reStructuredText from reading the shapes of tensors as emphasis."""
    for i, line in enumerate(lines):
        if not PARAMETER.match(line):
            parts = re.split(r"(`+[^`]*`+)", line)
            parts[::2] = [OPENING_STAR.sub(r"\\*", part) for part in parts[::2]]
            lines[i] = "".join(parts)


def skip_member(app, what, name, obj, skip, options):
    """Leave out the methods that scikit-learn generates, which refer to its own glossary."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def setup(app):
    """Escape before numpydoc, whose priority is 500, lays the sections out."""
    app.connect("autodoc-process-docstring", escape_stars, priority=400)
    app.connect("autodoc-skip-member", skip_member)
