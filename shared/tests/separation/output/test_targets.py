"""Names that can't be written are found before the work."""

from pathlib import Path

import pytest

from mss_shared.separation.output import same_names
from mss_shared.separation.output.targets import check_targets


def test_names_have_as_many_bytes_as_the_disk_allows(tmp_path: Path) -> None:
    for name in ("a" * 251, "\u00e9" * 125 + "a"):
        check_targets([tmp_path / "new" / f"{name}.wav"])
        (tmp_path / f"{name}.wav").touch()  # the limit is the disk's
        with pytest.raises(
            ValueError, match="has 256 bytes and names on that disk at most 255: re"
        ):
            check_targets([tmp_path / "new" / "a.wav", tmp_path / "new" / f"{name}b.wav"])
    with pytest.raises(ValueError, match="has 256 bytes"):
        check_targets([tmp_path / ("a" * 256) / "vocals.wav"])


def test_paths_have_a_longest(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bytes and paths have at most 4095: choose another --out"):
        check_targets([tmp_path.joinpath(*["a" * 250] * 17)])


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "vocals.wav").mkdir()
    with pytest.raises(ValueError, match=r"vocals\.wav is a folder: remove it, or choose another"):
        check_targets([tmp_path / "vocals.wav"])


def test_stems_whose_names_a_disk_takes_for_equal_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / "drums.wav", tmp_path / "Drums.wav"]
    monkeypatch.setattr(same_names, "_try_disk", lambda folder: (False, False))
    check_targets(paths)
    monkeypatch.setattr(same_names, "_try_disk", lambda folder: (True, False))
    with pytest.raises(ValueError, match=r"Drums\.wav are the same file on that disk: rename"):
        check_targets(paths)
