"""Dense networks on the engine's public names alone: layers, losses, initial values, optimisers, training, saving."""

try:
    from autograd import Tensor as _Tensor  # noqa: F401
except ImportError as error:
    raise ImportError(
        "`import autograd` did not find plaingrad's engine but another distribution that has the same import name "
        f"({error}): either `pip uninstall autograd` and `pip install --force-reinstall plaingrad`, or install each "
        "into a virtual environment of its own"
    ) from error

from . import functional as functional
from . import init as init
from . import optim as optim
from .activations import CELU as CELU
from .activations import ELU as ELU
from .activations import GELU as GELU
from .activations import GLU as GLU
from .activations import SELU as SELU
from .activations import Hardtanh as Hardtanh
from .activations import LeakyReLU as LeakyReLU
from .activations import LogSoftmax as LogSoftmax
from .activations import Mish as Mish
from .activations import PReLU as PReLU
from .activations import ReLU as ReLU
from .activations import Sigmoid as Sigmoid
from .activations import SiLU as SiLU
from .activations import Softmax as Softmax
from .activations import Softplus as Softplus
from .activations import Tanh as Tanh
from .callbacks import Callback as Callback
from .callbacks import EarlyStopping as EarlyStopping
from .callbacks import LRSchedule as LRSchedule
from .callbacks import TrackPredictions as TrackPredictions
from .checkpoint import Checkpoint as Checkpoint
from .containers import ModuleDict as ModuleDict
from .containers import ModuleList as ModuleList
from .containers import Sequential as Sequential
from .data import DataLoader as DataLoader
from .data import Dataset as Dataset
from .data import ImageFolder as ImageFolder
from .data import MappedDataset as MappedDataset
from .data import Subset as Subset
from .data import TensorDataset as TensorDataset
from .data import random_split as random_split
from .drawing import Film as Film
from .drawing import draw as draw
from .history import History as History
from .inference import accuracy as accuracy
from .inference import evaluate as evaluate
from .inference import evaluating as evaluating
from .inference import predict as predict
from .inference import predict_proba as predict_proba
from .init import manual_seed as manual_seed
from .layers import BatchNorm1d as BatchNorm1d
from .layers import Bilinear as Bilinear
from .layers import Dropout as Dropout
from .layers import Embedding as Embedding
from .layers import Flatten as Flatten
from .layers import Identity as Identity
from .layers import LayerNorm as LayerNorm
from .layers import Linear as Linear
from .layers import RMSNorm as RMSNorm
from .losses import BCELoss as BCELoss
from .losses import BCEWithLogitsLoss as BCEWithLogitsLoss
from .losses import CosineEmbeddingLoss as CosineEmbeddingLoss
from .losses import CrossEntropyLoss as CrossEntropyLoss
from .losses import GaussianNLLLoss as GaussianNLLLoss
from .losses import HingeEmbeddingLoss as HingeEmbeddingLoss
from .losses import HuberLoss as HuberLoss
from .losses import KLDivLoss as KLDivLoss
from .losses import L1Loss as L1Loss
from .losses import MSELoss as MSELoss
from .losses import NLLLoss as NLLLoss
from .losses import SmoothL1Loss as SmoothL1Loss
from .module import Buffer as Buffer
from .module import Module as Module
from .module import Parameter as Parameter
from .optim import LBFGS as LBFGS
from .optim import SGD as SGD
from .optim import Adadelta as Adadelta
from .optim import Adagrad as Adagrad
from .optim import Adam as Adam
from .optim import AdamW as AdamW
from .optim import Optimizer as Optimizer
from .optim import RMSprop as RMSprop
from .optim import clip_grad_norm_ as clip_grad_norm_
from .optim import clip_grad_value_ as clip_grad_value_
from .optim.lr_scheduler import CosineAnnealingLR as CosineAnnealingLR
from .optim.lr_scheduler import ExponentialLR as ExponentialLR
from .optim.lr_scheduler import LinearLR as LinearLR
from .optim.lr_scheduler import MultiStepLR as MultiStepLR
from .optim.lr_scheduler import OneCycleLR as OneCycleLR
from .optim.lr_scheduler import ReduceLROnPlateau as ReduceLROnPlateau
from .optim.lr_scheduler import SequentialLR as SequentialLR
from .optim.lr_scheduler import StepLR as StepLR
from .saving import load as load
from .saving import save as save
from .summary import Summary as Summary
from .summary import summary as summary
from .tensorboard import TensorBoard as TensorBoard
from .training import TrainingError as TrainingError
from .training import fit as fit
