"""Files, folders and patterns of songs."""

import errno
import os
from pathlib import Path

import pytest

from mss_shared.separation.batch.inputs import SongFile, expanded, find_songs
from mss_shared.separation.batch.manifest import MANIFEST, Manifest
from mss_shared.separation.output import same_names


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


def wrote(out: Path, song: Path, *paths: str) -> None:
    """What a run leaves that has written these files from a song."""
    for path in paths:
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).touch()
    origin = {"path": os.path.abspath(song), "bytes": 0, "mtime_ns": 0, "sha256": ""}
    outputs = {path: {"path": path} for path in paths}
    record = {"song": song.stem, "settings": "", "state": "writing"}
    Manifest(out).add({**record, "input": origin, "outputs": outputs})


@pytest.mark.parametrize("place", ["", "live", "stems", "live/stems", "../above"])
def test_stems_of_any_earlier_run_are_no_songs(place: str, album: Path) -> None:
    out = album / place
    wrote(out, album / "b.wav", "b/vocals.wav", "b/drums.flac", "b_vocals.wav")
    (album / "again").symlink_to(out)
    for word in (str(album), f"{album}/**/*.[wFm]*", f"{album}/*.[wF]*"):
        found = names(find_songs([word], album / "other"))
        assert found and set(found) <= {"a", "b", "live/a", "again/a"} and {"a", "b"} <= {*found}


def test_stems_above_the_folder_searched_are_known(album: Path) -> None:
    wrote(album, album / "b.wav", "live/b.wav")
    assert names(find_songs([f"{album}/live"], album / "out")) == ["a"]


def test_a_stem_is_a_song_if_it_is_named_and_its_own_song_is_not(album: Path) -> None:
    wrote(album, album / "b.wav", "b_vocals.wav")
    stem = str(album / "b_vocals.wav")
    assert names(find_songs([stem], album)) == ["b_vocals"]
    assert names(find_songs([str(album / "a.FLAC"), stem], album)) == ["a", "b_vocals"]
    assert names(find_songs([str(album / "b.wav"), stem], album)) == ["b"]


def test_a_folder_of_stems_alone_is_refused(album: Path) -> None:
    wrote(album, album / "b.wav", "b/vocals.wav")
    with pytest.raises(ValueError, match="gives only stems of earlier runs: name them one by one"):
        find_songs([f"{album}/b"], album / "out")


def test_what_is_no_manifest_hides_nothing(album: Path) -> None:
    (album / MANIFEST).mkdir()
    (album / "live" / MANIFEST).symlink_to("/dev/zero")
    assert names(find_songs([str(album)], album / "out")) == ["a", "b", "live/a"]


def test_folders_that_are_links_are_searched_once(album: Path) -> None:
    elsewhere = album.parent / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    (elsewhere / "deep" / "c.wav").touch()
    for link, target in (
        ("1", elsewhere),
        ("2", elsewhere / "deep"),
        ("loop", album),
        ("live/up", album),
        ("nothing", album / "nope"),
    ):
        (album / link).symlink_to(target)
    expected = ["1/deep/c", "a", "b", "live/a"]
    assert sorted(names(find_songs([str(album)], album / "out"))) == expected
    assert sorted(names(find_songs([f"{album}/**/*.[wFm]*"], album / "out"))) == expected
    linked = [str(album / "loop"), str(album), str(album / "live" / "up" / "b.wav")]
    assert sorted(names(find_songs(linked, album / "out"))) == expected


def test_two_links_to_a_file_are_two_songs(album: Path) -> None:
    for link in ("x.wav", "y.wav", "live/b.wav"):
        (album / link).symlink_to(album / "b.wav")
    found = find_songs([str(album)], album / "out")
    assert names(found) == ["a", "b", "x", "y", "live/a", "live/b"]
    assert all(song.refusal is None for song in found)
    assert names(find_songs([f"{album}/x.wav", f"{album}/y.wav"], album / "out")) == ["x", "y"]


def test_only_the_suffix_of_a_sound_file_is_left_out_of_its_name(tmp_path: Path) -> None:
    words = ["Vol. 1", "Vol. 2", "No. 5.WAV", "Take.3.flac", "DJ.stem.mp4", "S.Stem.MP4", "..."]
    found = find_songs([str(tmp_path / word) for word in words], tmp_path)
    assert names(found) == ["Vol. 1", "Vol. 2", "No. 5", "Take.3", "DJ", "S", "..."]
    assert not any(song.refusal for song in found)


@pytest.mark.parametrize(
    ("ignores", "refused"),
    [
        ((False, False), []),
        ((True, False), ["B"]),
        ((False, True), ["caf\u00e9"]),
        ((True, True), ["B", "caf\u00e9"]),
    ],
)
def test_names_that_a_disk_takes_for_equal_are_not_written_over_each_other(
    ignores: tuple[bool, bool], refused: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(same_names, "_try_disk", lambda folder: ignores)
    words = [str(tmp_path / f"{name}.wav") for name in ("b", "B", "cafe\u0301", "caf\u00e9", "c")]
    found = find_songs(words, tmp_path / "out")
    assert [song.name for song in found if song.refusal] == refused


def test_a_disk_is_asked_whether_it_takes_names_for_equal(tmp_path: Path) -> None:
    differs = not (tmp_path / "A").exists()
    (tmp_path / "a").touch()
    key = same_names.find_key(tmp_path / "not" / "yet", ["a", "A"])
    assert (key("a") == key("A")) == (tmp_path / "A").exists() and differs
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


def test_a_folder_that_can_not_be_read_is_a_refusal(
    album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def closed(path: str) -> object:
        if str(path).endswith("live"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    *songs, live = find_songs([str(album)], album / "out")
    assert names(songs) == ["a", "b"] and live.refusal is not None
    assert f"{album}/live can't be searched (Permission denied): check its" in live.refusal


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


def test_a_user_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # of an id without an entry
    with pytest.raises(ValueError, match="~/x can't be found, HOME is not set and the user is unk"):
        expanded(Path("~/x"))
    assert expanded(Path("~x")) == Path("~x")


def test_what_holds_nothing_is_refused(album: Path) -> None:
    (album / "empty").mkdir()
    with pytest.raises(ValueError, match="no sound file under .*empty: check the folder"):
        find_songs([f"{album}/empty"], album / "out")
    with pytest.raises(ValueError, match=r"no file matches .*\*\.ogg: check the pattern"):
        find_songs([f"{album}/*.ogg"], album / "out")
