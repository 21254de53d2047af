"""Where files go: always below the output folder."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mss_shared.audio.streams import song_from_array
from mss_shared.separation.output.options import Delivery
from mss_shared.separation.output.plan import plan_files


class Halves:
    stems = ("vocals", "other")
    sample_rate = 8_000
    channels = 2

    def __call__(self, mixture: Tensor) -> Tensor:
        return torch.stack([mixture / 2, mixture / 2], dim=1)


def places(filename: str, container: str, song: str = "song") -> set[str]:
    given = song_from_array(np.zeros((2, 10), np.float32), 8_000)
    plan = plan_files(given, Halves(), Delivery(container, filename=filename), Path("out"), song)
    assert all(path.is_relative_to("out") for path in plan.targets.values())
    return {path.as_posix() for path in plan.paths.values()}


@pytest.mark.parametrize(
    ("filename", "place"),
    [
        ("{song}/{stem}", "out/song.stem.mp4"),
        ("{song}_{stem}", "out/song.stem.mp4"),
        ("{stem}/{song}", "out/song.stem.mp4"),
        ("{stem}", "out/song.stem.mp4"),
        ("all/{song}_{stem}", "out/all/song.stem.mp4"),
    ],
)
def test_a_file_of_streams_lies_where_the_pattern_says_without_a_stem(
    filename: str, place: str
) -> None:
    assert places(filename, "mp4") == {place}


def test_files_of_stems_follow_the_pattern() -> None:
    assert places("{stem}/{song}", "wav") == {"out/vocals/song.wav", "out/other/song.wav"}


@pytest.mark.parametrize("filename", ["/x/{song}/{stem}", "../{song}_{stem}", "a/../{stem}"])
def test_a_pattern_that_leads_out_is_refused(filename: str) -> None:
    with pytest.raises(ValueError, match="is not below the output folder: choose a --filename"):
        Delivery(filename=filename)


@pytest.mark.parametrize(
    "filename", ["{stem:>99999999999}", "{stem!r}", "{stem.__class__}{stem}", "{song}", "{", "{}"]
)
def test_a_pattern_has_the_two_plain_fields_alone(filename: str) -> None:
    with pytest.raises(ValueError, match=r"is invalid or lacks {stem}: use {song} and {stem}"):
        Delivery(filename=filename)


def test_a_song_or_a_sum_whose_name_leads_out_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^song/\.\./evil is not below the output folder"):
        Delivery(aggregates={"../evil": ("vocals",)})
    with pytest.raises(ValueError, match=r"^\.\./vocals\.wav is not below the output folder"):
        places("{song}/{stem}", "wav", song="..")
