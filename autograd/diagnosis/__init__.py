"""Find faults: `detect_anomaly` names the op that made a NaN, `why` explains why a gradient is missing."""

from .anomaly import AnomalyError as AnomalyError
from .anomaly import detect_anomaly as detect_anomaly
from .why import why as why

__all__ = ["AnomalyError", "detect_anomaly", "why"]
