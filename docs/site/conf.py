"""The settings of Sphinx. ``python -m docs.site`` reads them; docs/site/staging.py says of which
folder."""

from vta import __version__

project = "VTA"
author = "the authors of VTA"
version = release = __version__
html_title = f"VTA {__version__}"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "docs.site.python_references",
    "docs.site.themed_pictures",
]
nb_execution_mode = "off"  # notebooks come with their outputs: `make notebooks`
exclude_patterns = ["tutorials/scripts"]  # downloads
myst_enable_extensions = ["colon_fence", "deflist", "attrs_block", "attrs_inline"]
myst_heading_anchors = 3
suppress_warnings = [
    "ref.python",  # a word of a parameter's type that several modules have
]
nitpicky = True
nitpick_ignore_regex = [("py:(class|obj)", ".*")]  # words of types in docstrings, as `array`

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = True
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True

html_theme = "furo"
pygments_dark_style = "github-dark"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True
copybutton_remove_prompts = True
