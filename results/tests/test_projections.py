"""Ratios that an oracle contradicts are shown, with the reason, and not ranked."""

import re

import pytest
from score_folders import four_stems

from mss_results.__main__ import main

MODEL_FIELDS = ("recipe", "verbatim", "leaf_sources", "training", "weights")


@pytest.fixture
def show(repo, folders, capsys):
    """The text of a board of three systems that differ on ten songs, and perhaps an oracle."""

    def shown(metrics, kind, *flags):
        for name, level in (("low", 1.0), ("middle", 3.0), ("high", 5.0), ("irm", 9.0)):
            scores = {f"{song:02}": four_stems(level + song / 100) for song in range(10)}
            other = {"kind": kind, **dict.fromkeys(MODEL_FIELDS)} if name == "irm" else {}
            folders.write(scores, "ten", method=name, metric=metrics, **other)
        capsys.readouterr()
        assert main(["show", "--repo", str(repo), "--dataset", "ten", *flags]) == 0
        return capsys.readouterr().out

    return shown


def ranks(text):
    """The first words of the rows, by the metric of the table."""
    found = {}
    for line in text.splitlines():
        if line.endswith("in dB, higher is better:"):
            rows = found.setdefault(line.split()[0], [])
        elif " seed0 " in line and not line.startswith(" "):
            rows.append(line.split()[0])
    return {metric: [word for word in words if word.isdigit()] for metric, words in found.items()}


def test_an_oracle_whose_sir_lies_below_its_sdr_takes_the_ranks_of_the_projections(show):
    text = show("SIR SDR", "oracle")  # the second one is 10 dB higher
    assert ranks(text) == {"SDR": ["1", "2", "3"], "SIR": []}
    why = r"^SIR: not to be trusted, and not ranked, as irm has an SIR of 10\.5. dB below its SDR"
    assert re.search(why, text, re.MULTILINE)
    assert "not to be trusted" not in show("SIR SDR", "oracle", "--metric", "SDR")


@pytest.mark.parametrize(("metrics", "kind"), [("SDR SIR", "oracle"), ("SIR SDR", "baseline")])
def test_without_an_oracle_that_contradicts_they_are_ranked(show, metrics, kind):
    text = show(metrics, kind)
    assert ranks(text) == {"SDR": ["1", "2", "3"], "SIR": ["1", "2", "3"]}
    assert "not to be trusted" not in text
