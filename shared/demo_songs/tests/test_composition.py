"""What the generator writes: plans, harmony, patterns, melodies, lyrics."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mss_demo_songs import SIZES, DemoSettings
from mss_demo_songs import bass as bass_lines
from mss_demo_songs.comping import KINDS
from mss_demo_songs.compose import compose
from mss_demo_songs.drums import FILLS, LANES, PATTERNS, PERCUSSION
from mss_demo_songs.harmony import (
    MAJOR_LOOPS,
    MINOR_LOOPS,
    chord_on,
    close_voicing,
    nearest_pitch,
)
from mss_demo_songs.lyrics import CODAS, ONSETS, VOWELS, write_lyrics
from mss_demo_songs.melody import (
    DENSE_CELLS,
    MEDIUM_CELLS,
    SPARSE_CELLS,
    cell_events,
)
from mss_demo_songs.midi import without_overlaps
from mss_demo_songs.score import Clock, Note, SungNote
from mss_demo_songs.settings import (
    SongPlan,
    plan_songs,
    set_name,
    short_name,
    validation_names,
)
from mss_demo_songs.sing import third_above
from mss_demo_songs.singers import MEN, WOMEN, voices_for
from mss_demo_songs.styles import (
    PADS,
    STYLES,
    TEST_KEYS,
    TRAIN_KEYS,
    VOICE_PROGRAMS,
    programs_for,
)

C_MAJOR = (0, 2, 4, 5, 7, 9, 11)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": 0}, "train 0: train must lie between 1 and 9999"),
        ({"test": 0}, "test 0: test must lie"),
        ({"seconds": 1.0}, "seconds 1.0: seconds must lie between 4 and 600"),
        ({"seed": -1}, "seed -1: seed must lie"),
    ],
)
def test_settings_out_of_range_are_refused(change, message):
    asked = {"train": 2, "test": 1, "seconds": 8.0, "seed": 1, "vocals": True} | change
    with pytest.raises(ValueError, match=message):
        DemoSettings(**asked)


def test_the_three_sizes_are_the_documented_ones():
    sizes = {name: (size.train, size.test, size.seconds) for name, size in SIZES.items()}
    assert sizes == {"tiny": (4, 2, 8.0), "small": (18, 6, 12.0), "full": (18, 24, 25.0)}


def test_one_training_song_in_twelve_is_instrumental_and_no_test_song_is():
    songs = plan_songs(DemoSettings(train=36, test=24, seconds=8.0, seed=3, vocals=True))
    train = [song.voice for song in songs if song.split == "train"]
    test = [song.voice for song in songs if song.split == "test"]
    assert Counter(train) == {"sung": 33, "none": 3}
    assert Counter(test) == {"sung": 24}
    assert [song.voice for song in songs if song.split == "edge"] == ["none"]


def test_styles_rotate_and_seeds_never_repeat():
    songs = plan_songs(DemoSettings(train=24, test=12, seconds=8.0, seed=3, vocals=True))
    for split, each in (("train", 2), ("test", 1)):
        counts = Counter(song.style for song in songs if song.split == split)
        assert counts == dict.fromkeys(STYLES, each)
    assert len({song.seed for song in songs}) == len(songs) == 37


def test_the_validation_list_is_the_last_three_training_songs():
    songs = plan_songs(SIZES["small"])
    assert validation_names(songs) == [song.name for song in songs[15:18]]
    two = plan_songs(DemoSettings(train=2, test=1, seconds=8.0, seed=1, vocals=True))
    assert validation_names(two) == [two[1].name]


def test_other_settings_get_another_folder_and_name():
    other = DemoSettings(train=18, test=6, seconds=12.0, seed=2, vocals=True)
    assert short_name(SIZES["small"]) == "small" and set_name(SIZES["small"]) == "demo_small"
    assert short_name(other) not in SIZES and set_name(other) == "demo_18x6x12s_seed2"


def test_test_songs_have_other_singers_keys_and_programs():
    train, test = set(voices_for("train")), set(voices_for("test"))
    assert train | test == {(name, True) for name in WOMEN} | {(name, False) for name in MEN}
    assert len(train) + len(test) == 31 and not train & test
    assert sorted(TRAIN_KEYS + TEST_KEYS) == list(range(12))
    assert len(STYLES) == 12
    for style in STYLES.values():
        for programs in (style.bass, style.chords, style.leads, style.kits, PADS):
            mine, theirs = programs_for("train", programs), programs_for("test", programs)
            assert set(mine) | set(theirs) == set(programs)
            assert len(programs) == 1 or not set(mine) & set(theirs)


def test_no_voice_program_plays_in_other():
    for style in STYLES.values():
        assert not set(style.chords + style.leads + PADS) & set(VOICE_PROGRAMS)


def test_there_are_fourteen_comping_kinds_and_each_style_knows_some():
    assert len(KINDS) == 14
    assert {kind for style in STYLES.values() for kind in style.comping} == set(KINDS)
    assert min(len(style.comping) for style in STYLES.values()) >= 2


def test_every_drum_pattern_is_sixteen_steps_of_known_lanes():
    assert set(PATTERNS) == set(STYLES)
    assert min(len(patterns) for patterns in PATTERNS.values()) >= 2
    every = [pattern for patterns in PATTERNS.values() for pattern in patterns]
    for pattern in [*every, *FILLS, *PERCUSSION]:
        assert set(pattern) <= set(LANES)
        for digits in pattern.values():
            assert len(digits) == 16 and set(digits) <= set(".0123456789")
    for fill in FILLS:
        assert all(digits[:8] == "........" for digits in fill.values())


def test_every_bass_pattern_is_sixteen_steps():
    assert set(bass_lines.PATTERNS) == set(STYLES)
    for patterns in bass_lines.PATTERNS.values():
        assert len(patterns) >= 2
        for pattern in patterns:
            walks = pattern == bass_lines.WALKING
            assert walks or (len(pattern) == 16 and set(pattern) <= set("RFOS-."))


def test_every_melody_cell_is_two_bars_that_end_in_a_breath():
    cells = SPARSE_CELLS + MEDIUM_CELLS + DENSE_CELLS
    assert len(cells) == 16
    for cell in cells:
        assert len(cell) == 32 and set(cell) == set("x-.") and cell.endswith(".")
    assert cell_events("x--.x-xx") == [(0, 3), (4, 2), (6, 1), (7, 1)]


def test_there_are_eight_major_and_six_minor_loops_of_four_chords():
    assert (len(set(MAJOR_LOOPS)), len(set(MINOR_LOOPS))) == (8, 6)
    for loop in MAJOR_LOOPS + MINOR_LOOPS:
        assert len(loop) == 4 and set(loop) <= set(range(1, 8))


def test_the_fifth_of_c_major_is_g_seven_and_that_of_a_minor_is_e_major():
    assert chord_on(5, 0, minor=False, seventh=True).pitch_classes == (7, 11, 2, 5)
    assert chord_on(5, 9, minor=True, seventh=False).pitch_classes == (4, 8, 11)
    assert chord_on(1, 9, minor=True, seventh=False).pitch_classes == (9, 0, 4)


def test_a_voicing_takes_each_tone_nearest_to_its_centre():
    assert nearest_pitch(0, 60.4) == 60 and nearest_pitch(11, 60.4) == 59
    assert close_voicing(chord_on(1, 0, minor=False, seventh=False), 60.0) == [55, 60, 64]


def test_swing_puts_the_second_eighth_at_its_share_of_the_beat():
    swung = Clock(bpm=120, swing=0.65, swung_steps=4)
    assert swung.seconds(0, 1) == pytest.approx(0.65 * 0.25)
    assert swung.seconds(0, 2) == pytest.approx(0.65 * 0.5)
    assert swung.seconds(0, 4) == pytest.approx(0.5)
    assert swung.seconds(3, 0) == pytest.approx(6.0)
    straight = Clock(bpm=120, swing=0.5, swung_steps=4)
    assert [straight.seconds(0, step) for step in range(3)] == pytest.approx([0, 0.125, 0.25])


def test_a_note_is_cut_before_the_same_pitch_starts_again():
    notes = (Note(0.0, 2.0, 60, 90), Note(1.0, 1.0, 60, 90), Note(0.5, 2.0, 62, 90))
    kept = without_overlaps(notes)
    assert [(note.pitch, note.start) for note in kept] == [(60, 0.0), (62, 0.5), (60, 1.0)]
    assert [note.seconds for note in kept] == pytest.approx([0.998, 2.0, 1.0])


def test_a_third_above_c_is_e_and_above_e_is_g_in_c_major():
    melody = tuple(SungNote(Note(0.0, 1.0, p, 90), 0, True, "chorus") for p in (60, 64))
    assert [sung.note.pitch for sung in third_above(melody, C_MAJOR)] == [64, 67]


def test_lyrics_are_26_different_syllables_in_order():
    assert (len(set(ONSETS)), len(set(VOWELS))) == (30, 13)
    lyrics = write_lyrics(np.random.default_rng(5))
    spellings = [syllable.spelling for syllable in lyrics]
    assert len(set(spellings)) == 26 and spellings == sorted(spellings)
    assert {syllable.coda for syllable in lyrics} <= set(CODAS)


songs = st.builds(
    SongPlan,
    split=st.sampled_from(["train", "test"]),
    name=st.just("any"),
    style=st.sampled_from(sorted(STYLES)),
    seed=st.integers(0, 2**40),
    seconds=st.floats(4.0, 40.0),
    voice=st.sampled_from(["sung", "choir", "none"]),
)


@settings(max_examples=60)
@given(songs)
def test_every_song_keeps_the_rules_of_its_style(plan):
    song = compose(plan, np.random.default_rng([1, plan.seed]))
    style = STYLES[plan.style]
    assert style.bpm[0] <= song.clock.bpm <= style.bpm[1]
    assert song.bars * song.clock.bar_seconds >= plan.seconds
    allowed = {
        "drums": style.kits,
        "bass": style.bass,
        "pad": PADS,
        "lead": style.leads,
        "choir": VOICE_PROGRAMS,
    }
    names = [part.name for part in song.parts]
    assert names[:2] == ["drums", "bass"] and names[2].startswith("chords-")
    for part in song.parts:
        assert part.program in allowed.get(part.name, style.chords)
        assert part.notes
        for note in part.notes:
            assert note.start >= 0 and note.seconds > 0
            assert 1 <= note.velocity <= 127 and 0 <= note.pitch <= 127
    assert all(28 <= note.pitch <= 52 for note in song.parts[1].notes)
    assert (song.singer is not None) == (plan.voice == "sung")
    assert ("choir" in names) == (plan.voice == "choir")


@settings(max_examples=60)
@given(songs)
def test_the_voice_keeps_its_range_and_waits_for_the_verse(plan):
    song = compose(plan, np.random.default_rng([2, plan.seed]))
    intro = song.sections[0]
    assert intro.name == "intro" and intro.bars in (1, 2)
    assert song.sections[-1].name == "chorus"
    assert song.sections[-1].first_bar == max(intro.bars, song.bars // 2)
    for sung in song.melody:
        lowest = song.singer.lowest + (4 if sung.section == "chorus" else 0)
        assert lowest <= sung.note.pitch <= lowest + 12
        assert sung.note.start >= intro.bars * song.clock.bar_seconds - 0.05
        assert 0 <= sung.syllable < 26
    starts = [sung.note.start for sung in song.melody]
    assert starts == sorted(starts)


@settings(max_examples=20)
@given(songs)
def test_the_same_seed_writes_the_same_song(plan):
    first = compose(plan, np.random.default_rng([3, plan.seed]))
    assert compose(plan, np.random.default_rng([3, plan.seed])) == first
