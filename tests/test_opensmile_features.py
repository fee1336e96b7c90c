import numpy as np
import pytest

opensmile = pytest.importorskip(
    "opensmile", reason="openSMILE is for research only and not installed with the tests"
)

from helpers.errors import CallEmotionError  # noqa: E402
from helpers.features import CallSegments  # noqa: E402
from helpers.zoo.feature_sets import find_feature_set  # noqa: E402
from helpers.zoo.opensmile_features import LICENCE, SETS, opensmile_feature_set  # noqa: E402

RATE = 8000


def make_voice(seconds):
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.1 * np.sin(2 * np.pi * (150 + 40 * time) * time)).astype(np.float32)


@pytest.mark.parametrize(("name", "columns"), zip(SETS, (88, 6373), strict=True))
def test_the_columns_are_what_opensmile_gives(name, columns):
    feature_set, signal = opensmile_feature_set(name), make_voice(1.0)
    matrix = feature_set.describe(CallSegments((), [signal], RATE))
    smile = opensmile.Smile(getattr(opensmile.FeatureSet, name))
    truth = np.nan_to_num(smile.process_signal(signal, RATE).to_numpy(np.float32))
    assert matrix.shape == (1, columns) == (1, len(feature_set.names))
    np.testing.assert_allclose(matrix, truth)
    assert find_feature_set(feature_set.name).names == feature_set.names


@pytest.mark.parametrize("seconds", [1 / RATE, 0.01])
def test_a_sound_of_less_than_a_frame_gives_numbers(seconds):
    call = CallSegments((), [make_voice(seconds)], RATE)
    assert np.isfinite(opensmile_feature_set().describe(call)).all()


def test_the_licence_is_said_and_other_names_are_refused():
    assert "forbids any commercial use" in LICENCE
    with pytest.raises(CallEmotionError, match="'GeMAPS' is none of"):
        opensmile_feature_set("GeMAPS")
