"""Other songs never stand on a board of MUSDB18."""

import csv
from pathlib import Path

import pytest
from museval_folders import random_songs, write_system
from score_folders import four_stems

from mss_results.__main__ import main
from mss_results.musdb18 import VERSIONS, official_tracks
from mss_results.read import read_runs

REPO = Path(__file__).parents[2]
FOUR = ("vocals", "drums", "bass", "other")


def test_the_names_are_those_of_the_data_set():
    table = REPO / "shared" / "src" / "mss_shared" / "datasets" / "musdb18_tracks.csv"
    with table.open(newline="", encoding="utf-8") as file:
        test = [line["track"] for line in csv.DictReader(file) if line["split"] == "test"]
    assert official_tracks() == tuple(sorted(test)) and len(test) == 50


@pytest.mark.parametrize("dataset", VERSIONS)
def test_an_import_of_other_songs_is_refused(tmp_path, capsys, dataset):
    folder, scores = tmp_path / "in", tmp_path / "scores"
    songs = random_songs(FOUR, 5.0, 1)
    write_system(folder, {official_tracks()[7]: songs["Some Band - Song 0"], **songs})
    words = ["import-museval", str(folder), "--method", "net", "--protocol", "bsseval_v4@1"]
    words += ["--scores", str(scores), "--dataset"]
    assert main([*words, dataset]) == 2
    said = capsys.readouterr().err
    assert f"'Some Band - Song 0' and 2 more, not among the 50 test tracks of {dataset}" in said
    assert "give the data set of other songs another name" in said and not scores.exists()
    assert main([*words, "my_songs"]) == 0


@pytest.mark.parametrize("dataset", VERSIONS)
def test_a_run_on_other_songs_is_refused(folders, dataset):
    folders.write({track: four_stems(1.0) for track in official_tracks()[:3]}, dataset=dataset)
    assert len(read_runs([folders.root])) == 1
    folder = folders.write({"a": four_stems(1.0)}, dataset=dataset, run="other")
    with pytest.raises(ValueError, match=rf"{folder}/run.json: field dataset.tracks has 'a', not"):
        read_runs([folders.root])
