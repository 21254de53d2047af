"""The site: the READMEs and pages of the repository, where they are, and pages made from the code.

The source folder is the root of the repository, so that links between its files are links between
pages, and broken ones are errors. What is made from the code goes to ``made/``, beside this file.
"""

from __future__ import annotations

import sys
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from command_pages import command_page, find_commands  # noqa: E402
from docstring_entries import one_name_each  # noqa: E402
from module_pages import find_modules, module_page  # noqa: E402

project = "Music source separation papers, reproduced"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "shared/docs/index"
include_patterns = [
    *("*.md", "shared/docs/**", "**/README.md", "packages/*/CONFORMANCE.md", "results/tables/*"),
]
exclude_patterns = [
    *("build", "runs", "experiments/runs", ".*", "**/.*", "**/src", "**/tests/made"),
]

html_theme = "furo"
html_title = "Music source separation papers"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False

smartquotes = False  # "--" begins a flag
default_role = "code"  # docstrings quote names with one backtick or two
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Source"]
add_module_names = False
python_maximum_signature_line_length = 80


def write_pages(app: Sphinx) -> None:
    """Write the pages that are made from the code; a page that is unchanged keeps its time."""
    modules = find_modules(ROOT)
    pages = {f"modules/{name}": module_page(name, modules) for name in modules}
    for name, entry in find_commands(ROOT).items():
        pages[f"commands/{name}"] = command_page(name, entry)
    made = HERE / "made"
    for old in made.glob("*/*.md"):
        if str(old.relative_to(made).with_suffix("")) not in pages:
            old.unlink()
    for name, text in pages.items():
        path = made / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def split_docstring(
    app: Sphinx, kind: str, name: str, of: object, _: object, lines: list[str]
) -> None:
    """Give each name of an entry ``first, second: text`` its own entry."""
    lines[:] = one_name_each(lines)


def write_front_page(app: Sphinx, error: Exception | None) -> None:
    """Send those who open the folder to its first page."""
    if error is None and app.builder.format == "html":
        target = f"{root_doc}.html"
        move = f'<meta http-equiv="refresh" content="0; url={target}">'
        link = f'<a href="{target}">{html_title}</a>'
        page = f"<!doctype html><title>{html_title}</title>{move}{link}"
        (Path(app.outdir) / "index.html").write_text(page, encoding="utf-8")


class LinksElsewhere(SphinxTransform):
    """A link to a folder of the repository, or to the leaderboard's page, becomes its text.

    The site has neither, and a page without the files beside it shows nothing.
    """

    default_priority = 400

    def apply(self, **_: object) -> None:
        here = Path(self.env.doc2path(self.env.docname)).parent
        for node in list(self.document.findall(addnodes.pending_xref)):
            if (here / node["reftarget"]).is_dir():
                node.replace_self(node.children)
        for node in list(self.document.findall(addnodes.download_reference)):
            if node["reftarget"].endswith(".html"):
                node.replace_self(node.children)


class Dashes(SphinxPostTransform):
    """The dash between a parameter and its description; other text has no such dashes."""

    default_priority = 500

    def run(self, **_: object) -> None:
        for node in list(self.document.findall(nodes.Text)):
            if node.astext() == " -- ":
                node.parent.replace(node, nodes.Text(" – "))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(LinksElsewhere)
    app.add_post_transform(Dashes)
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-docstring", split_docstring, priority=400)  # before napoleon
    app.connect("build-finished", write_front_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
