"""ONNX (extra `onnx`): `load` runs and trains the network of a file, `save` writes a network as one.

`NODES` are the node types that are read, and `OPS_WRITTEN` and `LAYERS_WRITTEN` the ops and layers that are written.
"""

from .load import *
from .nodes import NODES as NODES
from .save import *
from .writing import LAYERS_WRITTEN as LAYERS_WRITTEN
from .writing import OPS_WRITTEN as OPS_WRITTEN

__all__ = ["LAYERS_WRITTEN", "NODES", "OPS_WRITTEN", "OnnxModel", "load", "save"]
