import numpy as np
import pandas as pd
import pytest
from composed_calls import RATE, compose, write

from helpers.audio import to_mono
from helpers.conversation.customer import (
    LEAST_SPEECH_S,
    customer_feature_set,
    mute_others,
    read_customer,
    split_name,
    why_mixed,
)
from helpers.conversation.roles import SURE, USUAL, Roles
from helpers.conversation.speaker_embedding import CEPSTRA
from helpers.conversation.turn_taking import NOBODY, Conversation, listen
from helpers.errors import AudioError, ModelError
from helpers.features import CLASSIC, PHONE, CallSegments, call_features, read_segments
from helpers.model_store import add_version, load_version
from helpers.statuses import STATUSES
from helpers.training import train_model

LONG = "acacacacacacacac"
"""So many turns make a call of 50 s, with a start and an end segment."""

FADE_S = 0.003
ANOTHER = CEPSTRA._replace(name="another")
"""An encoder that nobody has installed."""

TRUSTED = CEPSTRA._replace(name="trusted", reliability=0.96)
"""Tells these two voices apart, and is believed."""


def know(*turns, duration_s=60.0, certainty=0.99, doubt="") -> Conversation:
    """Make a conversation of turns such as `("customer", 1, 3)`."""
    rows = [(start_s, end_s, speaker, certainty) for speaker, start_s, end_s in turns]
    columns = ["start_s", "end_s", "speaker", "confidence"]
    activity = pd.DataFrame({"start_s": [0.0], "end_s": [duration_s], "kind": ["speech"]})
    return Conversation(pd.DataFrame(rows, columns=columns), activity, certainty, doubt, duration_s)


def mark_customer(turns: pd.DataFrame, samples: int, *, margin_s: float = 0.0) -> np.ndarray:
    """Give for each sample whether the customer has a turn."""
    times = np.arange(samples) / RATE
    own = turns[turns["speaker"] == "customer"]
    spans = zip(own["start_s"] - margin_s, own["end_s"] + margin_s, strict=True)
    return np.any([(times >= start) & (times < end) for start, end in spans], axis=0)


def same_segments(one: CallSegments, other: CallSegments) -> bool:
    return one.segments == other.segments and all(
        np.array_equal(a, b) for a, b in zip(one.signals, other.signals, strict=True)
    )


@pytest.fixture(scope="module")
def long_call():
    return compose(LONG, customer="customer_11")


@pytest.fixture(scope="module")
def short_call():
    return compose("acacac", customer="customer_11")


@pytest.fixture(scope="module", params=[1, 2], ids=["mono", "two-channel"])
def path(request, long_call, tmp_path_factory):
    sound = long_call.mix if request.param == 1 else long_call.channels
    return write(tmp_path_factory.mktemp("calls") / f"{request.param}.wav", sound)


def test_everything_but_the_customer_is_muted(path, long_call):
    call = read_customer(path, encoder=TRUSTED)
    samples = long_call.mix.size
    own = mark_customer(long_call.turns, samples)
    near = mark_customer(long_call.turns, samples, margin_s=0.25)
    assert call.baseline.shape == (samples,)
    assert not call.baseline[~near].any()
    assert np.square(call.baseline[own]).sum() > 0
    turns = listen(path, encoder=TRUSTED).turns
    muted = ~mark_customer(turns, samples, margin_s=FADE_S)
    assert not call.baseline[muted].any()


def test_what_the_customer_says_stays_as_it_is(path, long_call):
    channels = long_call.channels if "2.wav" in path.name else long_call.mix[None]
    inside = mark_customer(
        listen(path, encoder=TRUSTED).turns, long_call.mix.size, margin_s=-FADE_S
    )
    np.testing.assert_allclose(
        read_customer(path, encoder=TRUSTED).baseline[inside],
        channels[0, inside],
        rtol=1e-5,
        atol=1e-7,
    )


def test_the_baseline_is_all_that_the_customer_says_in_the_call(path):
    call = read_customer(path, encoder=TRUSTED)
    assert [segment.kind for segment in call.segments] == ["start", "end"]
    for segment, signal in zip(call.segments, call.signals, strict=True):
        first = round(segment.start_s * RATE)
        assert len(signal) == round(segment.duration_s * RATE)
        np.testing.assert_array_equal(signal, call.baseline[first : first + len(signal)])
    start, end = (np.square(signal).sum() for signal in call.signals)
    assert np.square(call.baseline).sum() > 1.05 * (start + end)  # there is a middle, too


def test_segments_are_where_they_are_for_both_people(path):
    assert read_customer(path).segments == read_segments(path).segments
    assert read_customer(path).sampling_rate == RATE


def test_on_two_channels_nothing_of_the_agents_channel_is_heard(tmp_path, short_call):
    loud = short_call.channels.copy()
    path = write(tmp_path / "call.wav", loud)
    conversation = listen(path)
    before = read_customer(path, conversation=conversation)
    loud[1] *= -0.5
    after = read_customer(write(path, loud), conversation=conversation)
    assert same_segments(before, after)
    np.testing.assert_array_equal(before.baseline, after.baseline)


def test_the_customer_is_heard_on_the_channel_that_is_set(tmp_path, short_call):
    straight = read_customer(write(tmp_path / "a.wav", short_call.channels))
    roles = Roles(customer_channel=1)
    exchanged = read_customer(write(tmp_path / "b.wav", short_call.channels[::-1]), roles=roles)
    assert same_segments(straight, exchanged)


@pytest.mark.parametrize(
    ("conversation", "reason"),
    {
        "sure": (know(("agent", 0, 3), ("customer", 40, 45)), ""),
        "just enough": (know(("customer", 36, 36 + LEAST_SPEECH_S)), ""),
        "in two turns": (know(("customer", 36, 37.2), ("customer", 50, 51.2)), ""),
        "too little": (
            know(("customer", 0, 20), ("customer", 50, 51.5), ("agent", 20, 50)),
            "the customer says less than 2 s in the segment that decides",
        ),
        "reaching in from before": (
            know(("customer", 20, 36.5)),
            "the customer says less than 2 s in the segment that decides",
        ),
        "a short call": (know(("agent", 0, 8), ("customer", 9, 12), duration_s=15.0), ""),
        "unsure": (
            know(("customer", 0, 60), certainty=SURE - 0.01, doubt="the voices are alike"),
            "the voices are alike",
        ),
        "just sure": (know(("customer", 0, 60), certainty=SURE), ""),
        "nobody": (know(certainty=0.5, doubt=NOBODY), NOBODY),
    }.values(),
    ids=lambda value: "",
)
def test_why_both_people_are_listened_to_is_said(conversation, reason):
    assert why_mixed(conversation) == reason


def test_where_the_customer_cannot_be_found_both_people_are_listened_to(path):
    unsure = listen(path)._replace(certainty=0.5, doubt="the voices are alike")
    call = read_customer(path, conversation=unsure)
    assert same_segments(call, read_segments(path))
    assert call.baseline is None


def test_a_channel_that_people_have_set_is_used_also_where_the_other_speaks_first(
    tmp_path, short_call
):
    path = write(tmp_path / "call.wav", short_call.channels[::-1])
    assert listen(path).doubt
    assert read_customer(path).baseline is not None


def test_on_one_channel_voices_told_apart_by_cepstra_alone_are_heard_together(tmp_path, short_call):
    path = write(tmp_path / "call.wav", short_call.mix)
    call = read_customer(path, encoder=CEPSTRA)
    assert call.baseline is None
    assert same_segments(call, read_segments(path))
    assert "make speakers" in why_mixed(listen(path, encoder=CEPSTRA))


def test_a_start_with_little_of_the_customer_is_that_of_both_people(path, long_call):
    conversation = listen(path, encoder=TRUSTED)
    turns = conversation.turns.query("start_s > 20")
    call = read_customer(path, conversation=conversation._replace(turns=turns))
    both = read_segments(path)
    np.testing.assert_allclose(call.signals[0], both.signals[0], atol=1e-7)
    assert not np.allclose(call.signals[1], both.signals[1])


@pytest.mark.parametrize("channels", [1, 2])
def test_a_silent_call_is_refused(tmp_path, channels):
    path = write(tmp_path / "call.wav", np.zeros((channels, 5 * RATE), np.float32))
    with pytest.raises(AudioError, match="silent"):
        read_customer(path)


@pytest.mark.parametrize("turn", [(0.0, 1.0), (1.0, 1.001), (9.0, 10.0), (9.5, 11.0), (10.0, 12.0)])
def test_turns_of_any_place_are_kept_and_nothing_is_made_louder(turn):
    signal = np.ones(10 * RATE, np.float32)
    table = pd.DataFrame([(*turn, "customer")], columns=["start_s", "end_s", "speaker"])
    muted = mute_others(signal, RATE, turns=table)
    assert (muted.shape, muted.dtype) == (signal.shape, np.float32)
    assert muted.min() >= 0
    assert muted.max() <= 1
    assert muted.sum() == pytest.approx(RATE * (min(turn[1], 10) - turn[0]), abs=40)
    assert np.abs(np.diff(muted)).max() < 0.1  # no click


def test_without_turns_of_the_customer_all_is_muted():
    table = pd.DataFrame([(0, 5, "agent")], columns=["start_s", "end_s", "speaker"])
    assert not mute_others(np.ones(RATE, np.float32), RATE, turns=table).any()


def compare(before: np.ndarray, after: np.ndarray) -> float:
    """Give the mean difference of features, as a share of their own size."""
    return float((np.abs(after - before) / (np.abs(before).mean(axis=0) + 1e-3)).mean())


@pytest.mark.parametrize("gain", [0.25, 1.5])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_gain_of_the_whole_call_changes_no_feature(tmp_path, short_call, channels, gain):
    feature_set = customer_feature_set(PHONE)
    sound = short_call.mix if channels == 1 else short_call.channels
    before, after = (
        call_features(write(tmp_path / "call.wav", each), feature_set=feature_set)
        for each in (sound, np.float32(gain) * sound)
    )
    assert compare(before, after) < 0.001


@pytest.mark.parametrize("channels", [1, 2])
def test_a_customer_who_is_louder_by_nature_is_described_alike(tmp_path, channels):
    rows = {}
    for gain in (0.2, 0.8):
        call = compose("acacac", customer="customer_11", customer_gain=gain, noise=0)
        path = write(tmp_path / "call.wav", call.mix if channels == 1 else call.channels)
        rows[gain] = [
            call_features(path, feature_set=each)
            for each in (customer_feature_set(PHONE, encoder=TRUSTED), PHONE)
        ]
    alone, mixed = (compare(*pair) for pair in zip(*rows.values(), strict=True))
    assert alone < 0.01 < 0.2 < mixed


def test_the_customer_alone_is_described_by_the_same_columns():
    feature_set = customer_feature_set(PHONE)
    assert feature_set.names == PHONE.names
    assert feature_set.describe is PHONE.describe


@pytest.mark.parametrize("base", ["phone-1", "classic-180", "emotions-0a1b2c3d", "a-b_c-9"])
@pytest.mark.parametrize("roles", [Roles(), Roles(1), Roles(0, "customer"), Roles(1, "customer")])
@pytest.mark.parametrize("encoder", [CEPSTRA, ANOTHER], ids=lambda encoder: encoder.name)
def test_the_name_tells_what_the_features_depend_on(base, roles, encoder):
    feature_set = customer_feature_set(PHONE._replace(name=base), roles=roles, encoder=encoder)
    assert split_name(feature_set.name) == (base, roles, encoder.name)


@pytest.mark.parametrize("name", [PHONE.name, CLASSIC.name, "phone-customer", "a-customer-1-2"])
def test_the_name_of_features_of_both_people_holds_no_roles(name):
    assert split_name(name) == (name, None, "")


def test_every_way_to_listen_has_a_name_of_its_own():
    names = {
        customer_feature_set(base, roles=roles, encoder=encoder).name
        for base in (PHONE, CLASSIC)
        for roles in (USUAL, Roles(1), Roles(first_speaker="customer"))
        for encoder in (CEPSTRA, ANOTHER)
    }
    assert len(names | {PHONE.name, CLASSIC.name}) == 14


def store(workspace, feature_set) -> str:
    """Store a version of the model that was trained with these features."""
    generator = np.random.default_rng(0)
    labels = np.array(STATUSES * 2)
    features = generator.normal(size=(len(labels), len(feature_set.names))).astype(np.float32)
    model = train_model(
        features,
        labels,
        trained_on=frozenset("abc"),
        groups=np.zeros(len(labels)),
        feature_set=feature_set,
    ).model
    return add_version(workspace, model, {}, probes=features).version


@pytest.mark.parametrize("roles", [USUAL, Roles(1, "customer")])
def test_a_version_of_the_customer_alone_listens_as_it_was_trained(workspace, tmp_path, roles):
    feature_set = customer_feature_set(PHONE, roles=roles)
    loaded = load_version(workspace, store(workspace, feature_set)).feature_set
    assert loaded.name == feature_set.name
    speakers = "ca" if roles.first_speaker == "customer" else "ac"
    call = compose(3 * speakers, customer="customer_11")
    path = write(tmp_path / "call.wav", call.channels[:: -1 if roles.customer_channel else 1])
    signals = loaded.read(path).signals
    np.testing.assert_array_equal(signals[0], feature_set.read(path).signals[0])
    assert not np.array_equal(signals[0], to_mono(call.channels))


def test_a_version_of_another_encoder_is_refused(workspace):
    version = store(workspace, customer_feature_set(PHONE, encoder=ANOTHER))
    with pytest.raises(ModelError) as error:
        load_version(workspace, version)
    sentence = str(error.value)
    assert "tells voices apart by 'another', which is not installed: make speakers" in sentence
    assert "requirements-speakers.txt), or run notebooks 03 and 04 again" in sentence


def test_a_version_of_the_light_encoder_is_loaded_with_it_whatever_is_installed(workspace):
    version = store(workspace, customer_feature_set(PHONE, encoder=CEPSTRA))
    assert load_version(workspace, version).feature_set.name.endswith("-cepstra")


def test_a_version_of_an_earlier_way_to_find_the_customer_is_refused(workspace):
    earlier = customer_feature_set(PHONE)
    earlier = earlier._replace(name=earlier.name.replace("-customer-1-", "-customer-0-"))
    with pytest.raises(ModelError, match="run notebooks 03 and 04 again") as error:
        load_version(workspace, store(workspace, earlier))
    assert "requirements-speakers" not in str(error.value)
