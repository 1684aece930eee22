"""The documentation site: `make docs` builds it, with every code cell executed and every warning an error.

Nothing is fetched while it builds, and its pages need no network: formulas are text, the search runs in the browser.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATHS = [str(ROOT), str(ROOT / "docs"), str(ROOT / "examples")]
sys.path[:0] = PATHS
os.environ["PYTHONPATH"] = os.pathsep.join([*PATHS, os.environ.get("PYTHONPATH", "")])  # for the kernels of the cells
os.environ["PYTHONWARNINGS"] = "error::RuntimeWarning,error::UserWarning"

import autograd  # noqa: E402

project = "Plaingrad"
version = release = autograd.__version__
extensions = ["myst_nb", "sphinx_design", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "reference_pages"]
exclude_patterns = ["_build"]
nitpicky = True

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 120
nb_merge_streams = True
nb_output_stderr = "remove"  # what libraries of the system print; warnings of Python are errors

autodoc_default_options = {"members": True}
autodoc_typehints = "none"  # the types are in the stubs; here they would hide the names of the arguments
python_maximum_signature_line_length = 100
viewcode_line_numbers = True

html_theme = "furo"
html_title = "Plaingrad"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["tables.js"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
linkcheck_timeout = 20
