"""The emotions a voice can show: one vocabulary for all corpora, and what each says of a caller."""

import re
import unicodedata
from typing import NamedTuple


class Emotion(NamedTuple):
    """One emotion that a voice can show.

    Attributes:
        id: 1 to 8 are the numbers of RAVDESS
        name: the word in all tables
        upset: whether a customer who sounds like this is upset
        status: how a customer leaves who sounds like this at the end of a call
        words: other spellings, lower case
    """

    id: int
    name: str
    upset: bool
    status: str
    words: tuple[str, ...]


EMOTIONS = (
    Emotion(1, "neutral", False, "average", ("neu", "neutrality")),
    Emotion(2, "calm", False, "average", ("calmness", "ruhig", "ruhe")),
    Emotion(3, "happy", False, "satisfied", ("hap", "happiness", "joy", "joyful", "freude")),
    Emotion(4, "sad", True, "unsatisfied", ("sadness", "trauer", "traurig")),
    Emotion(5, "angry", True, "unsatisfied", ("ang", "anger", "wut", "wütend", "ärger")),
    Emotion(6, "fearful", True, "unsatisfied", ("fea", "fear", "anxiety", "anxious", "angst")),
    Emotion(7, "disgust", True, "unsatisfied", ("dis", "disgusted", "ekel")),
    Emotion(8, "surprised", False, "satisfied", ("sur", "surprise", "ps", "pleasant surprise")),
    Emotion(9, "bored", False, "average", ("bor", "boredom", "langeweile", "gelangweilt")),
)
"""Every emotion, by id; the statuses are an assumption, not a finding about real callers."""

_EMOTION_OF_WORD = {word: item for item in EMOTIONS for word in (item.name, *item.words)}


def parse_emotion(text: str) -> Emotion | None:
    """Read an emotion in any of its spellings; case and punctuation do not matter.

    Examples:
        >>> parse_emotion("Anger").name
        'angry'
        >>> parse_emotion("pleasant_surprise").id
        8
        >>> parse_emotion("not happy")
    """
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", text).casefold())
    return _EMOTION_OF_WORD.get(" ".join(words))
