"""All kinds of change between two calls of a compiled function; see `change_cases`."""

from __future__ import annotations

import changes_of_names
import changes_of_networks
import changes_of_objects
from change_cases import CASES, text

__all__ = ["CASES", "changes_of_names", "changes_of_networks", "changes_of_objects", "text"]
