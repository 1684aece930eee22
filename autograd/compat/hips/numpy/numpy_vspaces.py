"""Vector spaces of arrays."""

from ..vspaces import ArrayVSpace as ArrayVSpace
from ..vspaces import ComplexArrayVSpace as ComplexArrayVSpace
