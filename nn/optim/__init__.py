"""How weights move: optimisers, the clipping of gradients, and schedules of the learning rate (`lr_scheduler`)."""

from . import lr_scheduler as lr_scheduler
from .clipping import clip_grad_norm_ as clip_grad_norm_
from .clipping import clip_grad_value_ as clip_grad_value_
from .first_order import SGD as SGD
from .first_order import Adadelta as Adadelta
from .first_order import Adagrad as Adagrad
from .first_order import Adam as Adam
from .first_order import AdamW as AdamW
from .first_order import RMSprop as RMSprop
from .lbfgs import LBFGS as LBFGS
from .optimizer import Optimizer as Optimizer
