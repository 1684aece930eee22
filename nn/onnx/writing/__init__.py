"""Ops and layers as nodes of ONNX: OPS_WRITTEN and LAYERS_WRITTEN map each to the function that writes it."""

from .layers import LAYERS_WRITTEN as LAYERS_WRITTEN
from .ops import OPS_WRITTEN as OPS_WRITTEN
from .writer import CannotWrite as CannotWrite
from .writer import Step as Step
from .writer import Varies as Varies
from .writer import Writer as Writer
from .writer import same as same
