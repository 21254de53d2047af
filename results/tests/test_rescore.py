import hashlib
import json
import random
import shutil
import struct
import sys
import wave

import pytest
from score_folders import four_stems

from mss_results import rescore as rescore_module
from mss_results.__main__ import main

RUN = "demo_small/ours/seed0"

# Copies a run of another score folder, or says that it can't, as mss-eval would.
SCORER = """\
import os, shutil, sys
from pathlib import Path
out = Path(sys.argv[sys.argv.index("--out") + 1])
source = Path({source!r})
assert os.environ["MSS_PARENT_PROCESS"] == str(os.getppid())
if not source.is_dir():
    print("scoring", file=sys.stderr)
    sys.exit("mss-eval: track a has no estimate of vocals: add it")
shutil.copytree(source, out / "demo_small")
"""


@pytest.fixture
def rescored(repo, tmp_path, monkeypatch, capsys):
    """Rescoring gives the scores that `audio`, a score folder's data set, holds."""

    def run(audio, *words):
        script = tmp_path / "scorer.py"
        script.write_text(SCORER.format(source=str(audio)))
        monkeypatch.setattr(rescore_module, "find_scorer", lambda: [sys.executable, str(script)])
        (tmp_path / "estimates").mkdir(exist_ok=True)
        place = ("--rescore", str(tmp_path / "estimates"), "references", "--repo", str(repo))
        status = main(["verify", *place, *(words or ("--run", RUN))])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return run


def tamper(folder, track, new, protocol="bsseval_v4"):
    """Change a track's vocals and the digest in run.json, as a forger would."""
    file = folder / protocol / "test" / f"{track}.json"
    scores = json.loads(file.read_text())
    (target,) = (each for each in scores["targets"] if each["name"] == "vocals")
    target["frames"][0]["metrics"]["SDR"] = new
    file.write_text(json.dumps(scores))
    record = json.loads((folder / "run.json").read_text())
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    record["protocols"][protocol]["files"][f"test/{track}.json"] = digest
    (folder / "run.json").write_text(json.dumps(record))


@pytest.fixture
def audio(repo, tmp_path):
    """What the audio scores: what the files of the run said before anyone changed them."""
    return shutil.copytree(repo / "results/scores/demo_small", tmp_path / "audio")


def test_files_that_follow_from_the_audio_pass(rescored, audio):
    status, said = rescored(audio)
    assert status == 0
    assert "8 values of 2 tracks match a rescoring of the audio: the largest dif" in said


def test_a_changed_file_with_its_digest_passes_verify_and_not_rescoring(
    repo, rescored, audio, capsys
):
    tamper(repo / "results/scores" / RUN, "a", 1.25)
    assert main(["build", "--repo", str(repo)]) == 0
    assert main(["verify", "--repo", str(repo)]) == 0
    capsys.readouterr()
    status, said = rescored(audio)
    assert status == 2 and said.count("\n") == 1
    assert "1 of 8 values differ by more than 0.001 dB" in said
    assert "a vocals SDR, frame 0 is 1.25000 in demo_small/ours/seed0, 1.00000 from the au" in said


@pytest.mark.parametrize(
    ("new", "passes"), [(1.0009, True), (1.0012, False), (float("nan"), False)]
)
def test_differences_of_rounding_pass(repo, rescored, audio, new, passes):
    tamper(repo / "results/scores" / RUN, "a", new)
    assert (rescored(audio)[0] == 0) is passes


def test_values_beyond_a_hundred_db_are_rounding_noise(repo, rescored, audio):
    tamper(repo / "results/scores" / RUN, "a", 150.0)
    tamper(audio / "ours/seed0", "a", 190.0)
    assert rescored(audio)[0] == 0


def test_a_table_of_medians_is_rescored_too(repo, rescored, audio):
    folder = repo / "results/scores" / RUN
    lines = ["track,target,frames,SDR"]
    for track, value in (("a", 1.0), ("b", 3.0)):
        lines += [f"{track},{stem},1,{each[0]}" for stem, each in four_stems(value).items()]
        (folder / "bsseval_v4/test" / f"{track}.json").unlink()
    content = ("\n".join(lines) + "\n").encode()
    (folder / "bsseval_v4/tracks.csv").write_bytes(content)
    record = json.loads((folder / "run.json").read_text())
    digest = hashlib.sha256(content).hexdigest()
    record["protocols"]["bsseval_v4"]["files"] = {"tracks.csv": digest}
    (folder / "run.json").write_text(json.dumps(record))
    assert rescored(audio)[0] == 0


def test_what_cannot_be_rescored_is_one_sentence(repo, rescored, audio, folders, monkeypatch):
    assert "mss-eval can't score" in rescored("nowhere")[1]
    assert "track a has no estimate of vocals: add it\n" in rescored("nowhere")[1]
    assert "no run x/y/z in any score folder" in rescored(audio, "--run", "x/y/z")[1]
    assert "--rescore ESTIMATES REFERENCES and --run" in rescored(audio, "--cells", "1")[1]
    folders.write({"a": four_stems(1.0)}, run="theirs", protocol="bsseval_v4.museval@1")
    said = rescored(audio, "--run", "demo_small/ours/theirs")[1]
    assert "protocol bsseval_v4.museval@1 is not one that mss-eval computes" in said


def test_other_tracks_or_frames_are_said(repo, rescored, audio, folders):
    (folders.root / RUN / "bsseval_v4/test/b.json").unlink()
    folders.write({"a": four_stems(1.0), "c": four_stems(3.0)})
    assert "demo_small/ours/seed0 has 2 tracks, the references have 2" in rescored(audio)[1]
    (folders.root / RUN / "bsseval_v4/test/c.json").unlink()
    folders.write({"a": four_stems(1.0), "b": {stem: [1.0, 2.0] for stem in four_stems(1.0)}})
    assert "has 2 frames in the file, 1 from the audio" in rescored(audio)[1]


def test_without_mss_eval_it_says_what_to_install(repo, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(rescore_module.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(rescore_module.shutil, "which", lambda name: None)
    words = ("--rescore", str(tmp_path), "references", "--run", RUN, "--repo", str(repo))
    assert main(["verify", *words]) == 2
    assert capsys.readouterr().err == (
        "mss-results: --rescore needs mss-eval: pip install ./shared, from the repository\n"
    )


def write_wav(file, samples):
    file.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(file), "wb") as sound:
        sound.setparams((1, 2, 8_000, 0, "NONE", ""))
        sound.writeframes(b"".join(struct.pack("<h", each) for each in samples))


def test_real_audio_is_scored_again(tmp_path, capsys, monkeypatch):
    mss_eval = pytest.importorskip("mss_shared.cli.mss_eval")
    chance = random.Random(1)
    for track in ("one", "two"):
        for stem in ("vocals", "drums"):
            clean = [chance.randint(-8_000, 8_000) for _ in range(20_000)]
            write_wav(tmp_path / "songs" / track / f"{stem}.wav", clean)
            noisy = [each + chance.randint(-800, 800) for each in clean]
            write_wav(tmp_path / "estimates" / track / f"{stem}.wav", noisy)
    songs, estimates = str(tmp_path / "songs"), str(tmp_path / "estimates")
    out = tmp_path / "repo/results/scores"
    words = [songs, estimates, "--out", str(out), "--method", "ours", "--run", "a", "--jobs", "1"]
    mss_eval.main([*words, "--protocol", "bsseval_v4", "usdr"])
    run = out / "songs/ours/a"
    (tmp_path / "repo/results/papers.csv").write_text("")
    verify = ("verify", "--repo", str(tmp_path / "repo"), "--rescore", estimates, songs)
    capsys.readouterr()
    assert main([*verify, "--run", "songs/ours/a"]) == 0
    # Two songs of two whole seconds, two stems, four metrics; and the whole song once.
    assert "36 values of 2 tracks match" in capsys.readouterr().out
    tamper(run, "one", 40.0, "bsseval_v4.vocals+drums")
    assert main([*verify, "--run", "songs/ours/a"]) == 2
    assert "1 of 36 values differ" in capsys.readouterr().err
    (tmp_path / "estimates" / "two").rename(tmp_path / "estimates" / "zwei")
    assert main([*verify, "--run", "songs/ours/a"]) == 2
    said = capsys.readouterr().err
    assert "two" in said.partition("estimates: ")[2] and "are kept in" not in said
    script = [sys.executable, "-c", "import sys; sys.exit('mss-eval: error: nothing fits')"]
    monkeypatch.setattr(rescore_module, "find_scorer", lambda: script)
    assert main([*verify, "--run", "songs/ours/a"]) == 2
    assert capsys.readouterr().err.endswith("estimates: nothing fits\n")
