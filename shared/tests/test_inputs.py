"""Files, folders, patterns and lists of songs."""

from pathlib import Path

import pytest

from mss_shared.separation.inputs import SongFile, find_songs, read_list


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


def test_two_files_for_one_place_are_refused(album: Path) -> None:
    (album / "b.flac").touch()
    with pytest.raises(ValueError, match=r"b\.flac and .*b\.wav would both be written to .*out/b"):
        find_songs([str(album)], album / "out")
    with pytest.raises(ValueError, match="would both be written"):
        find_songs([f"{album}/a.FLAC", f"{album}/live/a.mp3"], album / "out")


def test_what_holds_nothing_is_refused(album: Path) -> None:
    (album / "empty").mkdir()
    with pytest.raises(ValueError, match="no sound file under .*empty: check the folder"):
        find_songs([f"{album}/empty"], album / "out")
    with pytest.raises(ValueError, match=r"no file matches .*\*\.ogg: check the pattern"):
        find_songs([f"{album}/*.ogg"], album / "out")


def test_a_list_has_a_word_a_line() -> None:
    assert read_list(["a b.wav\n", "\n", "# not this\n", "  c.wav  "]) == ["a b.wav", "c.wav"]
