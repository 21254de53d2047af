"""Files, folders, patterns and lists of songs."""

from pathlib import Path

import pytest

from mss_shared.separation.batch.inputs import SongFile, expanded, find_songs, read_list


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for place in (
        "b.wav",
        "a.FLAC",
        "cover.jpg",
        ".hidden.wav",
        "live/a.mp3",
        ".cache/x.wav",
        "live/.part-1.wav",
    ):
        path = tmp_path / "album" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "album"


def names(songs: list[SongFile]) -> list[str]:
    return [song.name for song in songs]


def test_a_folder_gives_its_sound_files_with_their_places(album: Path) -> None:
    assert names(find_songs([str(album)], album / "out")) == ["a", "b", "live/a"]


def test_stems_inside_the_folder_are_not_separated_again(album: Path) -> None:
    (album / "out" / "a").mkdir(parents=True)
    (album / "out" / "a" / "vocals.wav").touch()
    assert names(find_songs([str(album)], album / "out")) == ["a", "b", "live/a"]
    (album / "b_vocals.wav").touch()  # written beside the song by an earlier run
    found = find_songs([str(album)], album, written=[album / "b_vocals.wav"])
    assert "b_vocals" not in names(found) and "b" in names(found)


def test_a_pattern_gives_what_it_matches_in_order(album: Path) -> None:
    assert names(find_songs([f"{album}/*.[wF]*"], album)) == ["a", "b"]
    assert names(find_songs([f"{album}/**/*.mp3"], album)) == ["live/a"]


def test_songs_of_a_pattern_keep_their_places(album: Path) -> None:
    for place in ("one", "two"):
        (album / place / "cd").mkdir(parents=True)
        (album / place / "cd" / "mixture.wav").touch()
    found = find_songs([f"{album}/*/cd/mixture.wav"], album / "out")
    assert names(found) == ["one/cd/mixture", "two/cd/mixture"]
    assert names(find_songs([f"{album}/one/c?/*.wav"], album / "out")) == ["cd/mixture"]


def test_a_file_with_a_name_like_a_pattern_is_that_file(album: Path) -> None:
    (album / "take [1].wav").touch()
    assert names(find_songs([f"{album}/take [1].wav"], album / "out")) == ["take [1]"]


def test_a_file_given_twice_is_separated_once(album: Path) -> None:
    assert names(find_songs([str(album), f"{album}/b.wav"], album / "o")) == ["a", "b", "live/a"]


def test_a_file_that_is_not_there_is_left_to_its_turn(album: Path) -> None:
    assert names(find_songs([f"{album}/nope.wav"], album)) == ["nope"]


def test_of_two_files_for_one_place_the_second_is_refused_and_no_other(album: Path) -> None:
    (album / "b.flac").touch()
    a, flac, wav, live = find_songs([str(album)], album / "out")
    assert (a.refusal, flac.refusal, live.refusal) == (None, None, None)
    said = f"{flac.path} and {wav.path} would both be written to {album / 'out' / 'b'}: separate"
    assert wav.refusal is not None and wav.refusal.startswith(said)


def test_files_of_one_name_keep_the_folders_that_tell_them_apart(tmp_path: Path) -> None:
    def named(*words: str) -> list[str]:
        return names(find_songs([str(tmp_path / word) for word in words], tmp_path / "out"))

    assert named("A/intro.wav", "A/end.wav", "B/intro.wav") == ["A/intro", "end", "B/intro"]
    assert named("A/cd/x.wav", "B/cd/x.wav") == ["A/cd/x", "B/cd/x"]
    apart = find_songs([f"{tmp_path}/{p}" for p in ("A/s.wav", "A/s.flac", "B/s.wav")], tmp_path)
    assert names(apart) == ["A/s", "A/s", "B/s"]
    assert [song.refusal is None for song in apart] == [True, False, True]


def test_a_name_with_a_tilde_is_a_file_before_it_is_a_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("~nobody-of-that-name.wav", "~/a.wav", "home/a.wav", "home/b.wav"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    words = ["~nobody-of-that-name.wav", "~/a.wav", "~/b.wav", "~nobody-else.wav"]
    found = [song.path for song in find_songs(words, tmp_path / "out")]
    assert found == [Path(words[0]), Path(words[1]), tmp_path / "home" / "b.wav", Path(words[3])]
    assert expanded(Path("~/x")) == tmp_path / "home" / "x"


def test_what_holds_nothing_is_refused(album: Path) -> None:
    (album / "empty").mkdir()
    with pytest.raises(ValueError, match="no sound file under .*empty: check the folder"):
        find_songs([f"{album}/empty"], album / "out")
    with pytest.raises(ValueError, match=r"no file matches .*\*\.ogg: check the pattern"):
        find_songs([f"{album}/*.ogg"], album / "out")


def test_a_list_has_a_word_a_line() -> None:
    assert read_list(["a b.wav\n", "\n", "# not this\n", "  c.wav  "]) == ["a b.wav", "c.wav"]
    assert read_list(["\ufeffa.wav\r\n", "b.wav\r\n"]) == ["a.wav", "b.wav"]
