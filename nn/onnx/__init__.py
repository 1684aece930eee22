"""ONNX (extra `onnx`): `load` runs and trains the network of a file, `save` writes a network as one."""

from .load import *
from .nodes import NODES as NODES
from .save import *

__all__ = ["NODES", "OnnxModel", "load", "save"]
