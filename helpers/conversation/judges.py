"""Who says how upset the customer sounds: a model of emotions, or the model of calls."""

from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from helpers.conversation.voices import Voice
from helpers.dataset import VERDICT_KINDS
from helpers.emotion import EmotionModel
from helpers.emotion_store import load_emotion_model
from helpers.features import CallSegments
from helpers.hearing import hear_signals
from helpers.model_store import load_champion
from helpers.segments import END_S, Segment
from helpers.statuses import STATUSES
from helpers.trained_model import TrainedModel
from helpers.workspace import Workspace

CONTEXT_S = 10.0
"""Seconds of the customer's speech that a model of calls hears around each utterance."""

MEMORY_S = 1.5 * CONTEXT_S
"""Seconds of speech after which it has heard something else altogether."""


class Judge(Protocol):
    """Says how upset utterances sound.

    Attributes:
        name: changes with everything that changes the answers
        memory_s: seconds of the customer's speech after which answers no longer rest on the same
            speech, 0 where each rests on its utterance alone
    """

    name: str
    memory_s: float

    def judge(self, voice: Voice, utterances: pd.DataFrame) -> pd.DataFrame:
        """Give `upset` (probability) and `emotion` (its name or an empty string) of each."""


@dataclass(frozen=True)
class EmotionJudge:
    """Hears the emotion of each utterance on its own."""

    model: EmotionModel
    memory_s: float = 0.0

    @property
    def name(self) -> str:
        """Name with the model's fingerprint."""
        return f"emotions {self.model.fingerprint}"

    def judge(self, voice: Voice, utterances: pd.DataFrame) -> pd.DataFrame:
        """Sum the probabilities of upset emotions, see `helpers.emotion.UPSET`."""
        spans = utterances[["start_s", "end_s"]].itertuples(index=False)
        probabilities = self.model.predict_heard(hear_signals(voice.cut(*span) for span in spans))
        likeliest = self.model.classes_[probabilities.argmax(axis=1)].astype(str)
        return pd.DataFrame({"upset": self.model.upset(probabilities), "emotion": likeliest})


@dataclass(frozen=True)
class VerdictJudge:
    """Asks the model of calls how the customer would leave, were the call to end around here."""

    model: TrainedModel
    memory_s: float = MEMORY_S

    @property
    def name(self) -> str:
        """Name with the model's version."""
        return f"verdicts {self.model.version or self.model.training_hash[:8]}"

    def judge(self, voice: Voice, utterances: pd.DataFrame) -> pd.DataFrame:
        """Give the probability of `unsatisfied` over `CONTEXT_S` of speech around each utterance.

        The stretch is at most as long as the segment that decides a call, and is compared with
        the whole of what the customer says.
        """
        spans = _surroundings(utterances)
        segments = tuple(Segment(VERDICT_KINDS[0], start, end - start) for start, end in spans)
        signals = [voice.cut(start, end) for start, end in spans]
        call = CallSegments(segments, signals, voice.sampling_rate, voice.signal)
        probabilities = self.model.predict_proba(self.model.feature_set.describe(call))
        upset = probabilities[:, STATUSES.index("unsatisfied")]
        return pd.DataFrame({"upset": upset, "emotion": ""})


def find_judge(workspace: Workspace, *, model: TrainedModel | None = None) -> Judge:
    """Choose who judges: the workspace's model of emotions where there is one, else one of calls.

    Args:
        workspace: whose models are asked
        model: of calls, loaded already; the champion by default

    Raises:
        ModelError: where there is neither, or it cannot be used
        ImportError: where the model of emotions holds a network and PyTorch is missing
    """
    if workspace.voice_emotions.is_file():
        return EmotionJudge(load_emotion_model(workspace.voice_emotions))
    return VerdictJudge(model or load_champion(workspace))


def _surroundings(utterances: pd.DataFrame) -> list[tuple[float, float]]:
    """Widen each utterance to its neighbours until there is enough speech to judge."""
    starts, ends = (utterances[name].to_numpy(float) for name in ("start_s", "end_s"))
    lengths = ends - starts
    spans = []
    for first in range(len(starts)):
        last, speech_s = first, lengths[first]
        while speech_s < CONTEXT_S:
            options = [(starts[first] - ends[first - 1], first - 1, last)] if first else []
            if last + 1 < len(starts):
                options.append((starts[last + 1] - ends[last], first, last + 1))
            options = [each for each in options if ends[each[2]] - starts[each[1]] <= END_S]
            if not options:
                break
            _, first, last = min(options)
            speech_s = lengths[first : last + 1].sum()
        spans.append((starts[first], ends[last]))
    return spans
