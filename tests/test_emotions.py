import pytest

from helpers.emotions import EMOTIONS, parse_emotion
from helpers.statuses import STATUSES


def test_every_emotion_has_its_own_id_name_and_words():
    assert [emotion.id for emotion in EMOTIONS] == list(range(1, 10))
    words = [word for emotion in EMOTIONS for word in (emotion.name, *emotion.words)]
    assert len(set(words)) == len(words)
    assert {emotion.status for emotion in EMOTIONS} == set(STATUSES)
    assert all(emotion.upset == (emotion.status == "unsatisfied") for emotion in EMOTIONS)


@pytest.mark.parametrize(
    ("text", "emotion"),
    [
        ("", None),
        (" ", None),
        ("_", None),
        ("\0", None),
        ("1", None),
        ("a", None),
        ("not angry", None),
        ("angry happy", None),
        ("furious", None),
        ("neutral", "neutral"),
        ("Calm", "calm"),
        ("HAP", "happy"),
        (" joy\n", "happy"),
        ("sadness", "sad"),
        ("ANG", "angry"),
        ("Anger", "angry"),
        ("wut", "angry"),
        ("WÜTEND", "angry"),
        ("a\u0308rger", "angry"),
        ("anxiety", "fearful"),
        ("fear", "fearful"),
        ("disgusted", "disgust"),
        ("ps", "surprised"),
        ("pleasant-surprise", "surprised"),
        ("boredom", "bored"),
    ],
)
def test_every_spelling_names_one_emotion_or_none(text, emotion):
    found = parse_emotion(text)
    assert (found and found.name) == emotion
