"""Why a visitor is, or is not, signed in: requests recorded, drawn and diagnosed."""

from .diagnosis import Case, Diagnosis, diagnose
from .recorder import BystandingRecorder, Recorder, Recording

__all__ = ["BystandingRecorder", "Case", "Diagnosis", "Recorder", "Recording", "diagnose"]
