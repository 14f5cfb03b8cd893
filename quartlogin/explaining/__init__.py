"""Why a visitor is, or is not, signed in: requests recorded, drawn and diagnosed."""

from .diagnosis import Case, Diagnosis, diagnose
from .diagram import draw
from .recorder import ReadOnlyRecorder, Recorder, Recording
from .story import tell_story

__all__ = ["Case", "Diagnosis", "ReadOnlyRecorder", "Recorder", "Recording", "diagnose", "draw", "tell_story"]
