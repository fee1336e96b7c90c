"""openSMILE's feature sets, for comparison only; needs opensmile, which no business may use."""

from functools import lru_cache, partial

import numpy as np

from helpers.errors import CallEmotionError
from helpers.features import FeatureSet
from helpers.zoo.feature_sets import OPENSMILE, make_feature_set

try:
    import opensmile
except ImportError as error:
    raise ImportError(
        "openSMILE's features need opensmile, which is not installed: pip install -r "
        "requirements-opensmile.txt. Its licence forbids commercial use"
    ) from error

LICENCE = "openSMILE is free for research only; its licence forbids any commercial use"
"""To be said beside every figure."""

SETS = ("eGeMAPSv02", "ComParE_2016")
"""88 and 6373 functionals (Eyben et al. 2016; Schuller et al. 2016)."""


def opensmile_feature_set(name: str = SETS[0]) -> FeatureSet:
    """Make one of openSMILE's sets of functionals as a feature set of utterances.

    Raises:
        CallEmotionError: where it is none of `SETS`
    """
    if name not in SETS:
        raise CallEmotionError(f"{name!r} is none of openSMILE's sets: {', '.join(SETS)}")
    names = tuple(_smile(name).feature_names)
    return make_feature_set(f"{OPENSMILE}{name}", names, partial(_describe, name))


def _describe(name: str, signal: np.ndarray, sampling_rate: int) -> np.ndarray:
    values = _smile(name).process_signal(signal, sampling_rate).to_numpy(np.float32)[0]
    return np.nan_to_num(values)


@lru_cache(maxsize=2)
def _smile(name: str) -> "opensmile.Smile":
    return opensmile.Smile(
        feature_set=getattr(opensmile.FeatureSet, name),
        feature_level=opensmile.FeatureLevel.Functionals,
    )
