"""How published corpora of acted emotions name their files, and what a name says."""

import re
from pathlib import PurePath
from typing import NamedTuple

from helpers.emotions import EMOTIONS, Emotion, parse_emotion


class Recording(NamedTuple):
    """What is known of a recording; files of which all of it is equal hold the same one.

    Attributes:
        corpus: lower case
        speaker: the corpus, a hyphen and the speaker's code in it, such as `savee-DC`
        emotion: what the voice was meant to show
        statement: the corpus's code of the sentence, lower case, such as `dfa`
        intensity: such as `low` or `strong`
        sex: `female`, `male` or empty
        take: which of several repetitions
    """

    corpus: str
    speaker: str
    emotion: Emotion
    statement: str = ""
    intensity: str = ""
    sex: str = ""
    take: str = ""


class Corpus(NamedTuple):
    """How a corpus names its files.

    Attributes:
        name: lower case
        layout: where a file lies, for people
        pattern: the whole name without its ending, its codes in groups
        sexes: sex by the speaker's code, which is upper case as all codes
        emotions: name of the emotion by code, where the code is not a spelling of it
        intensities: word for the intensity by code
    """

    name: str
    layout: str
    pattern: re.Pattern[str]
    sexes: dict[str, str]
    emotions: dict[str, str]
    intensities: dict[str, str]


CORPORA = (
    Corpus(
        "ravdess",
        "Actor_01/03-01-05-01-02-01-01.wav",
        re.compile(
            r"(?a)03-01-(?P<emotion>0[1-8])-(?P<intensity>0[12])-(?P<statement>0[12])"
            r"-(?P<take>0[12])-(?P<speaker>0[1-9]|1\d|2[0-4])"
        ),
        {f"{actor:02}": "male" if actor % 2 else "female" for actor in range(1, 25)},
        {f"{emotion.id:02}": emotion.name for emotion in EMOTIONS[:8]},
        {"01": "normal", "02": "strong"},
    ),
    Corpus(
        "cremad",
        "AudioWAV/1001_DFA_ANG_XX.wav",
        re.compile(
            r"(?ai)(?P<speaker>10(?:0[1-9]|[1-8]\d|9[01]))"
            r"_(?P<statement>DFA|IEO|IOM|ITH|ITS|IWL|IWW|MTI|TAI|TIE|TSI|WSI)"
            r"_(?P<emotion>ANG|DIS|FEA|HAP|NEU|SAD)_(?P<intensity>LO|MD|HI|XX)"
        ),
        {},
        {},
        {"LO": "low", "MD": "medium", "HI": "high"},
    ),
    Corpus(
        "savee",
        "AudioData/DC/a01.wav or ALL/DC_a01.wav",
        re.compile(
            r"(?ai)(?P<speaker>DC|JE|JK|KL)_(?P<statement>(?P<emotion>a|d|f|h|n|sa|su)"
            r"(?:0[1-9]|1[0-5]|(?<=n)(?:1[6-9]|2\d|30)))"
        ),
        dict.fromkeys(("DC", "JE", "JK", "KL"), "male"),
        dict(A="angry", D="disgust", F="fear", H="happy", N="neutral", SA="sad", SU="surprised"),
        {},
    ),
    Corpus(
        "tess",
        "OAF_angry/OAF_back_angry.wav",
        re.compile(
            r"(?ai)(?P<speaker>OAF|YAF)_(?P<statement>[a-z]+)"
            r"_(?P<emotion>angry|disgust|fear|happy|neutral|ps|sad)"
        ),
        dict.fromkeys(("OAF", "YAF"), "female"),
        {},
        {},
    ),
    Corpus(
        "emodb",
        "wav/03a01Fa.wav",
        re.compile(
            r"(?ai)(?P<speaker>03|08|09|1[0-6])(?P<statement>a0[12457]|b0[1239]|b10)"
            r"(?P<emotion>[WLEAFTN])(?P<take>[a-z]?)"
        ),
        {
            **dict.fromkeys(("03", "10", "11", "12", "15"), "male"),
            **dict.fromkeys(("08", "09", "13", "14", "16"), "female"),
        },
        dict(W="angry", L="bored", E="disgust", A="fear", F="happy", T="sad", N="neutral"),
        {},
    ),
)
"""The corpora that are recognised as people download them."""

_MISSPELT = {"1040_ith_sad_x": "1040_ITH_SAD_XX", "oa_bite_neutral": "OAF_bite_neutral"}


def parse_name(path: PurePath) -> Recording | None:
    """Read what the name of a file says; the file is not opened.

    Where the name alone is none of a corpus, its folder's name is set before it, because SAVEE
    keeps `a01.wav` in a folder for each speaker.

    Returns:
        the recording, `None` where no corpus names its files like this

    Examples:
        >>> parse_name(PurePath("AudioData/DC/a01.wav")).speaker
        'savee-DC'
        >>> parse_name(PurePath("a01.wav"))
    """
    stem = _MISSPELT.get(path.stem.casefold(), path.stem)
    for name in (stem, f"{path.parent.name}_{stem}"):
        for corpus in CORPORA:
            if match := corpus.pattern.fullmatch(name):
                return _describe(corpus, **match.groupdict())
    return None


def _describe(
    corpus: Corpus, speaker: str, emotion: str, statement: str, intensity: str = "", take: str = ""
) -> Recording:
    speaker, emotion = speaker.upper(), emotion.upper()
    return Recording(
        corpus.name,
        f"{corpus.name}-{speaker}",
        parse_emotion(corpus.emotions.get(emotion, emotion)),
        statement.lower(),
        corpus.intensities.get(intensity.upper(), ""),
        corpus.sexes.get(speaker, ""),
        take.lower(),
    )
