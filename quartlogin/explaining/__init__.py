"""Why a visitor is, or is not, signed in: requests recorded, drawn and diagnosed."""

from .diagnosis import Case, Diagnosis, diagnose
from .recorder import Recorder, Recording

__all__ = ["Case", "Diagnosis", "Recorder", "Recording", "diagnose"]
