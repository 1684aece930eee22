"""All kinds of change between two calls of a compiled function; see `change_cases`."""

from __future__ import annotations

import changes_of_names
import changes_of_networks
import changes_of_objects
from change_cases import text

__all__ = ["CASES", "text"]

CASES = [*changes_of_names.CASES, *changes_of_objects.CASES, *changes_of_networks.CASES]
