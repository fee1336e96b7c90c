import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from composed_calls import RATE, compose, write
from conftest import need_network
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.identification import IdentificationErrorRate

import helpers.conversation
from helpers.conversation.roles import CONTRADICTED, SET_CERTAINTY, SURE, Roles
from helpers.conversation.speaker_embedding import CEPSTRA, NETWORK, find_encoder
from helpers.conversation.turn_taking import COLUMNS, NOBODY, Conversation, listen, turns
from helpers.errors import AudioError, RolesError

CUSTOMER = "customer_11"
ONE_VOICE = "only one voice is heard, and it cannot be said whose it is"
COLLAR_S = 0.25

HEARD_S, CALLS_OF_A_STATUS = 30, 2
"""How much is heard of how many calls of real voices."""


def annotate(table: pd.DataFrame) -> Annotation:
    annotation = Annotation()
    for number, turn in enumerate(table.itertuples()):
        annotation[Segment(turn.start_s, turn.end_s), number] = turn.speaker
    return annotation


def error_rate(truth, found, *, duration_s: float) -> float:
    """Give the share of speech that is missed, invented, or ascribed to the other one."""
    whole = Timeline([Segment(0, duration_s)])
    return IdentificationErrorRate(collar=COLLAR_S)(annotate(truth), annotate(found), uem=whole)


def join_sentences(truth: pd.DataFrame) -> list[tuple]:
    """Make a turn of the two sentences somebody says in it."""
    starts, ends = truth.iloc[::2], truth.iloc[1::2]
    return list(zip(starts["start_s"], ends["end_s"], starts["speaker"], strict=True))


def ring(duration_s: float) -> np.ndarray:
    """Make a ringing tone, 1 s in every 1.5 s, on a line with faint noise."""
    times = np.arange(round(duration_s * RATE)) / RATE
    tone = 0.2 * np.sin(2 * np.pi * 425 * times) * (times % 1.5 < 1)
    return (tone + 5e-4 * np.random.default_rng(1).standard_normal(len(times))).astype(np.float32)


def check_turns(found: Conversation, truth: pd.DataFrame) -> None:
    """Check that each turn is there, of the right person, with edges to 0.3 s."""
    expected = join_sentences(truth)
    assert found.turns["speaker"].tolist() == [speaker for *_, speaker in expected]
    times = [each[:2] for each in expected]
    np.testing.assert_allclose(found.turns[["start_s", "end_s"]], times, atol=0.3)


@pytest.mark.parametrize("agent", ["agent_01", "agent_03"])
@pytest.mark.parametrize("emotion", ["neutral", "sad"])
def test_on_one_channel_the_turns_of_both_are_found(tmp_path, encoder, agent, emotion):
    call = compose("acacac", customer=CUSTOMER, agent=agent, emotion=emotion)
    found = listen(write(tmp_path / "call.wav", call.mix), encoder=encoder)
    check_turns(found, call.turns)
    sure = encoder.reliability >= SURE
    assert (found.certainty >= SURE, found.doubt) == (sure, "" if sure else encoder.doubt)
    assert error_rate(call.turns, found.turns, duration_s=found.duration_s) < 0.05


@pytest.mark.parametrize("customer", ["customer_09", "customer_12"])
def test_on_two_channels_the_turns_of_both_are_found(tmp_path, customer):
    call = compose("acacac", customer=customer)
    found = listen(write(tmp_path / "call.wav", call.channels))
    check_turns(found, call.turns)
    assert (found.certainty, found.doubt) == (SET_CERTAINTY, "")
    assert error_rate(call.turns, found.turns, duration_s=found.duration_s) < 0.05


def test_on_two_channels_people_who_speak_at_once_have_turns_at_once(tmp_path):
    call = compose("acacac", pause_s=-0.5)
    found = listen(write(tmp_path / "call.wav", call.channels))
    check_turns(found, call.turns)
    assert (found.turns["start_s"].iloc[1:].to_numpy() < found.turns["end_s"].iloc[:-1]).all()


def test_turns_are_a_table_that_anyone_can_use(tmp_path):
    path = write(tmp_path / "call.wav", compose("acac", customer=CUSTOMER).mix)
    table = turns(str(path))
    assert list(table) == list(COLUMNS) == ["start_s", "end_s", "speaker", "confidence"]
    assert table["start_s"].is_monotonic_increasing
    assert (table["end_s"] > table["start_s"]).all()
    assert set(table["speaker"]) == {"customer", "agent"}
    assert table["confidence"].between(0.5, 1).all()
    pd.testing.assert_frame_equal(helpers.conversation.turns(path), table)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sampling_rate", [8000, 16_000])
def test_what_is_heard_covers_the_call_without_gaps(tmp_path, channels, sampling_rate):
    call = compose("acac", customer=CUSTOMER)
    sound = call.mix if channels == 1 else call.channels
    sound = np.repeat(sound, sampling_rate // RATE, axis=-1)
    found = listen(write(tmp_path / "call.wav", sound, sampling_rate))
    activity = found.activity
    assert activity["start_s"].iloc[0] == 0
    assert activity["end_s"].iloc[-1] == pytest.approx(found.duration_s)
    np.testing.assert_allclose(activity["start_s"].iloc[1:], activity["end_s"].iloc[:-1])
    assert found.duration_s == pytest.approx(sound.shape[-1] / sampling_rate)
    check_turns(found, call.turns)


@pytest.mark.parametrize("channels", [1, 2])
def test_ringing_is_nobodys_turn(tmp_path, channels):
    call = compose("acacac", customer=CUSTOMER)
    sound = call.mix if channels == 1 else call.channels
    ringing = np.broadcast_to(ring(6.0), (*sound.shape[:-1], 6 * RATE))
    path = write(tmp_path / "call.wav", np.concatenate([ringing, sound], axis=-1))
    found = listen(path)
    assert found.turns["start_s"].min() == pytest.approx(call.turns["start_s"].min() + 6, abs=0.3)
    assert found.turns["speaker"].tolist() == join_speakers(call.turns)
    assert found.activity["kind"].iloc[0] == "ringing"


def test_where_agents_call_people_up_the_customer_may_speak_first(tmp_path, encoder):
    call = compose("cacaca", customer=CUSTOMER)
    path = write(tmp_path / "call.wav", call.mix)
    check_turns(listen(path, roles=Roles(first_speaker="customer"), encoder=encoder), call.turns)
    swapped = call.turns.replace({"customer": "agent", "agent": "customer"})
    check_turns(listen(path, encoder=encoder), swapped)


def test_the_customer_may_be_on_the_other_channel(tmp_path):
    call = compose("acacac")
    path = write(tmp_path / "call.wav", call.channels[::-1])
    found = listen(path, roles=Roles(customer_channel=1))
    check_turns(found, call.turns)
    assert (found.certainty, found.doubt) == (SET_CERTAINTY, "")


@pytest.mark.parametrize(
    ("channel", "speakers", "roles"),
    [
        (0, "cacac", Roles()),
        (1, "cacac", Roles(customer_channel=1)),
        (0, "acaca", Roles(first_speaker="customer")),
    ],
)
def test_a_channel_that_contradicts_who_speaks_first_is_doubted(tmp_path, channel, speakers, roles):
    call = compose(speakers)
    path = write(tmp_path / "call.wav", call.channels[:: -1 if channel else 1])
    found = listen(path, roles=roles)
    assert found.certainty == CONTRADICTED
    assert f"channel {channel} is set as the customer's" in found.doubt
    assert f"the {roles.first_speaker} does not speak first" in found.doubt
    assert found.turns["speaker"].tolist() == join_speakers(call.turns)


def test_a_call_with_speech_on_one_of_two_channels_is_told_apart_by_voice(tmp_path):
    call = compose("acacac", customer=CUSTOMER)
    noise = 1e-4 * np.random.default_rng(0).standard_normal(call.mix.shape)
    path = write(tmp_path / "call.wav", np.stack([noise, call.mix]).astype(np.float32))
    found = listen(path)
    assert set(found.turns["speaker"]) == {"customer", "agent"}
    assert found.certainty < SET_CERTAINTY


def test_a_cough_before_the_greeting_changes_no_role(tmp_path):
    call = compose("acacac", begin_s=2.0)
    channels = call.channels.copy()
    cough = 0.2 * np.random.default_rng(0).standard_normal(round(0.2 * RATE))
    channels[0, RATE : RATE + len(cough)] += cough
    found = listen(write(tmp_path / "call.wav", channels))
    assert (found.certainty, found.doubt) == (SET_CERTAINTY, "")


def join_speakers(truth: pd.DataFrame) -> list[str]:
    return [speaker for *_, speaker in join_sentences(truth)]


def test_a_short_message_of_one_voice_is_doubted(tmp_path):
    found = listen(write(tmp_path / "call.wav", compose("aa").mix))
    assert (found.certainty, found.doubt) == (0.5, ONE_VOICE)
    assert len(found.turns) == 2


def test_a_message_of_one_voice_is_doubted_by_the_network(tmp_path):
    need_network()
    found = listen(write(tmp_path / "call.wav", compose("aaaaa").mix), encoder=NETWORK)
    assert (found.certainty, found.doubt) == (0.5, ONE_VOICE)
    assert set(found.turns["speaker"]) == {"agent"}


SILENT = np.zeros(5 * RATE, np.float32)
NOISE = 5e-4 * np.random.default_rng(0).standard_normal((2, 10 * RATE)).astype(np.float32)


@pytest.mark.parametrize(
    "sound",
    [SILENT, np.stack([SILENT, SILENT]), SILENT + 0.1, NOISE[0], NOISE, ring(10), SILENT[:RATE]],
    ids=["silence", "on two channels", "offset", "noise", "on two channels", "ringing", "1 s"],
)
def test_a_call_without_speech_has_no_turns(tmp_path, sound):
    found = listen(write(tmp_path / "call.wav", sound))
    assert (len(found.turns), list(found.turns)) == (0, list(COLUMNS))
    assert (found.certainty, found.doubt) == (0.5, NOBODY)
    assert "speech" not in set(found.activity["kind"])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "no such file"), (b"", "empty file"), (b"no sound" * 99, "text, not sound")],
)
def test_what_is_no_recording_is_refused(tmp_path, content, sentence):
    path = tmp_path / "call.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AudioError, match=sentence):
        turns(path)


def test_a_folder_and_half_a_second_are_refused(tmp_path):
    with pytest.raises(AudioError, match="no such file"):
        turns(tmp_path)
    with pytest.raises(AudioError, match=r"too short: 0\.50 s"):
        turns(write(tmp_path / "call.wav", SILENT[: RATE // 2]))


def test_roles_are_checked_before_anything_is_read(tmp_path):
    with pytest.raises(RolesError, match="expected 0 or 1"):
        turns(tmp_path / "missing.wav", roles=Roles(customer_channel=2))


def test_a_recording_that_was_replaced_is_listened_to_again(tmp_path):
    path = tmp_path / "call.wav"
    first = listen(write(path, compose("ac").channels))
    stamp = path.stat()
    second = listen(write(path, compose("acac").channels))
    assert (len(first.turns), len(second.turns)) == (2, 4)
    shutil.copyfile(write(tmp_path / "other.wav", compose("ca").channels), path)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))
    assert listen(path).turns["speaker"].tolist() == ["customer", "agent"]


def test_what_is_remembered_depends_on_the_roles(tmp_path):
    path = write(tmp_path / "call.wav", compose("acac").channels)
    assert listen(path).doubt == ""
    assert listen(path, roles=Roles(customer_channel=1)).doubt != ""
    assert listen(path).doubt == ""


def test_tables_may_be_changed_without_harm(tmp_path):
    path = write(tmp_path / "call.wav", compose("acac").channels)
    first = listen(path)
    turns_before, activity_before = first.turns.copy(), first.activity.copy()
    first.turns["speaker"] = "agent"
    first.turns.loc[0, "start_s"] = 99.0
    first.activity["kind"] = "music"
    again = listen(path)
    pd.testing.assert_frame_equal(again.turns, turns_before)
    pd.testing.assert_frame_equal(again.activity, activity_before)


def read_shared(folder: Path, *, channels: int) -> list[tuple[np.ndarray, pd.DataFrame]]:
    """Read the beginnings of the first calls of all, and who speaks when in them."""
    speakers = pd.read_csv(folder / "speakers.csv").query("channels == @channels")
    truth = pd.read_csv(folder / "turns.csv").query("start_s < @HEARD_S")
    truth["end_s"] = truth["end_s"].clip(upper=HEARD_S)
    calls = []
    for archive in map(zipfile.ZipFile, sorted(folder.glob("*.zip"))):
        names = [name for name in archive.namelist() if name in set(speakers["file"])]
        for name in names[:CALLS_OF_A_STATUS]:
            with archive.open(name) as file:
                sound, rate = soundfile.read(file, dtype="float32")
            calls.append((sound[: HEARD_S * rate].T, truth[truth["file"] == name]))
    return calls


@pytest.mark.parametrize(
    ("channels", "encoder", "bound"),
    [(1, CEPSTRA, 0.15), (1, NETWORK, 0.08), (2, CEPSTRA, 0.05)],
    ids=["mono, cepstra", "mono, network", "two-channel"],
)
def test_turns_are_found_in_real_voices(shared_calls, tmp_path, channels, encoder, bound):
    if encoder is NETWORK:
        need_network()
    metric = IdentificationErrorRate(collar=COLLAR_S)
    for sound, truth in read_shared(shared_calls, channels=channels):
        found = listen(write(tmp_path / "call.wav", sound), encoder=encoder)
        whole = Timeline([Segment(0, found.duration_s)])
        metric(annotate(truth), annotate(found.turns), uem=whole)
    assert abs(metric) < bound


def test_the_encoder_that_is_installed_is_used(tmp_path):
    path = write(tmp_path / "call.wav", compose("acacac", customer=CUSTOMER).mix)
    pd.testing.assert_frame_equal(turns(path), turns(path, encoder=find_encoder()))
