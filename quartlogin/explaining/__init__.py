"""Why a visitor is, or is not, signed in: requests recorded, drawn and diagnosed."""

from .diagnosis import Case, Diagnosis, diagnose
from .diagram import draw
from .recorder import BystandingRecorder, Recorder, Recording
from .story import tell_story

__all__ = ["BystandingRecorder", "Case", "Diagnosis", "Recorder", "Recording", "diagnose", "draw", "tell_story"]
