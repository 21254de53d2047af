"""The command line: flags of earlier programs, third-party weights with their YAML, no weights."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from bs_roformer import community, configured
from bs_roformer.community import ZEROED
from bs_roformer.cpu_speed import speed_up
from bs_roformer.model import Roformer, build
from bs_roformer.paper import PAPER
from mss_shared import audio
from mss_shared.checkpoints.checkpoint import load_checkpoint
from mss_shared.checkpoints.published import Published
from mss_shared.cli import run, separate
from mss_shared.separation.output.options import Delivery, Separated

RATE = 8_000
MODEL: dict[str, Any] = {
    "dim": 8,
    "depth": 1,
    "stereo": True,
    "time_transformer_depth": 1,
    "freq_transformer_depth": 1,
    "freqs_per_bands": [4, 4, 8, 113],
    "heads": 2,
    "dim_head": 4,
    "stft_n_fft": 256,
    "stft_win_length": 256,
    "stft_hop_length": 64,
    "mlp_expansion_factor": 2,
    "num_stems": 2,
}
YAML = {
    "audio": {"chunk_size": 4_000, "sample_rate": RATE, "hop_length": 1},
    "model": MODEL,
    "training": {"instruments": ["vocals", "other"], "target_instrument": None},
    "inference": {"num_overlap": 4, "batch_size": 1},
}


@pytest.fixture
def network() -> Roformer:
    torch.manual_seed(0)
    arguments = {key: value for key, value in MODEL.items() if key != "num_stems"}
    return build("bs", **arguments, stems=["vocals", "other"], sample_rate=RATE).eval()


@pytest.fixture
def theirs(network: Roformer, tmp_path: Path) -> Path:
    """A folder of weights as the training framework saves them, the YAML, and songs."""
    state = {f"module.{key}": value for key, value in network.state_dict().items()}
    torch.save({"state": state}, tmp_path / "model.ckpt")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(YAML))
    for number, name in enumerate(("one", "two")):
        signal = np.random.default_rng(number).normal(0, 0.1, (2, RATE)).clip(-0.9, 0.9)
        audio.write(tmp_path / "in" / f"{name}.wav", signal.astype(np.float32), RATE, "FLOAT")
    return tmp_path


def test_the_command_of_the_fork_separates_a_folder(theirs: Path, network: Roformer) -> None:
    run(
        PAPER,
        f"--model_type bs_roformer --start_check_point {theirs}/model.ckpt --config_path "
        f"{theirs}/config.yaml --input_folder {theirs}/in --output_folder {theirs}/out "
        f"--chunk_seconds 0".split(),
    )
    song = torch.from_numpy(audio.read(theirs / "in" / "two.wav"))
    with torch.inference_mode():
        expected = network(song[None])[0].numpy()
    for stem, estimate in zip(("vocals", "other"), expected, strict=True):
        found = audio.read(theirs / "out" / "two" / f"{stem}.wav")
        assert np.abs(found - estimate).max() < 1e-6 < np.abs(estimate).max()
    assert (theirs / "out" / "one" / "other.wav").is_file()


def test_what_is_imported_with_its_yaml_knows_stems_and_chunks(
    theirs: Path, network: Roformer
) -> None:
    words = ["import-weights", str(theirs / "model.ckpt"), "--config_path"]
    run(PAPER, [*words, str(theirs / "config.yaml"), "--out", str(theirs / "ours.safetensors")])
    found = load_checkpoint(PAPER, str(theirs / "ours.safetensors"))
    assert (found.recipe_name, found.model.stems) == ("config", ("vocals", "other"))
    inference = found.recipe.inference
    assert (inference.chunk_seconds, inference.overlap) == (0.5, 0.75)
    assert (inference.window, inference.edges) == ("fade", "reflect")
    song = torch.randn(1, 2, 3_000)
    speed_up(network)
    with torch.inference_mode():
        assert torch.equal(found.model(song), network(song))


def test_a_published_name_is_fetched_once_its_yaml_is_read(theirs: Path, monkeypatch: Any) -> None:
    entry = Published("https://x.org/mega.ckpt", None, None, "none", None, file="other.ckpt")
    fetched: list[Published] = []

    def fetch(one: Published) -> Path:
        fetched.append(one)
        return theirs / "model.ckpt"

    monkeypatch.setattr(configured, "find_published", lambda package, name: (entry,))
    monkeypatch.setattr(configured, "fetch", fetch)
    for published, done in (("mega.ckpt", "silenced"), ("another.ckpt", "kept")):
        monkeypatch.setattr(community, "ZEROED", (published,))
        found = configured.open_configured("mega", theirs / "config.yaml")
        assert any(f"bin 0 is {done}" in note for note in found.notes)
    assert fetched == [entry] * 2
    with pytest.raises(FileNotFoundError):
        configured.open_configured("mega", theirs / "nothing.yaml")
    assert len(fetched) == 2


@pytest.mark.parametrize(
    ("words", "delivery", "device"),
    [
        ("--flac_file --pcm_type PCM_24", Delivery(container="flac", subtype="PCM_24"), "cpu"),
        (
            "--extract_instrumental --use_tta",
            Delivery(aggregates={"instrumental": ("mixture", "-vocals")}),
            "cpu",
        ),
        ("--lossless", Delivery(lossless="mask"), "cpu"),
        ("--disable-lossless --disable_detailed_pbar --store_dir OUT", Delivery(), "cpu"),
        ("--device_ids 3", Delivery(), "cuda:3"),
    ],
)
def test_each_old_flag_acts_as_the_new_one(
    words: str, delivery: Delivery, device: str, theirs: Path, monkeypatch: Any
) -> None:
    seen: list[Any] = []

    def record(model: Any, path: Path, out: Path, inference: Any, given: Any, **_: Any) -> Any:
        seen.append((type(model.model).__name__, out, given))
        return Separated({}, None, 0.0, ())

    def pick(name: str) -> torch.device:
        seen.append(name)
        return torch.device("cpu")

    monkeypatch.setattr(separate, "separate_file", record)
    monkeypatch.setattr(separate, "pick_device", pick)
    monkeypatch.chdir(theirs)
    device_words = [] if "device" in words else ["--force_cpu"]
    run(
        PAPER,
        ["--start_check_point", "model.ckpt", "--config_path", "config.yaml", *device_words]
        + [*words.split(), "in/one.wav"],
    )
    wrapped = "Mirrored" if "tta" in words else "BSRoformer"
    out = Path("OUT" if "OUT" in words else "stems")
    assert seen == [device, (wrapped, out, delivery)]


def test_without_weights_and_network_the_sentence_says_what_to_do(
    theirs: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: theirs / "cache" / name)
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(SystemExit) as end:
        run(PAPER, [str(theirs / "in" / "one.wav")])
    assert end.value.code == 2
    said = capsys.readouterr().err
    for part in (
        "model_bs_roformer_ep_17_sdr_9.6568.ckpt (527.4 MB) is not cached",
        'pip install "mss-shared[download]"',
        f"by hand to {theirs}/cache/mss/checkpoints/model_bs_roformer_ep_17_sdr_9.6568.ckpt",
    ):
        assert part in said


def test_a_yaml_of_other_weights_is_refused(theirs: Path, capsys: Any) -> None:
    model = {**MODEL, "dim": 16}
    (theirs / "config.yaml").write_text(yaml.safe_dump({**YAML, "model": model}))
    words = f"--start_check_point {theirs}/model.ckpt --config_path {theirs}/config.yaml"
    with pytest.raises(SystemExit):
        run(PAPER, [*words.split(), str(theirs / "in" / "one.wav")])
    assert "dim=16 in the configuration, 8 by the weights' shapes" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["separate in/one.wav --checkpoint", "import-weights"])
@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("band_split.to_features.3.0.gamma", "the weights lack band_split.to_features.3.0.gamma"),
        ("layers.0.0.layers.0.1.net.4.bias", "model.ckpt lacks layers.0.0.layers.0.1.net.4.bias"),
        (
            "layers.0.0.layers.0.0.to_value_residual_mix.bias",
            "a network of the package BS-RoFormer 0.5",
        ),
    ],
)
def test_unsuitable_weights_end_with_a_sentence(
    verb: str, key: str, said: str, theirs: Path, network: Roformer, monkeypatch: Any, capsys: Any
) -> None:
    state = dict(network.state_dict())
    if state.pop(key, None) is None:
        state[key] = torch.zeros(2)
    torch.save(state, theirs / "model.ckpt")
    monkeypatch.chdir(theirs)
    with pytest.raises(SystemExit):
        run(PAPER, [*verb.split(), "model.ckpt", "--config_path", "config.yaml"])
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("name", "said"), [("model.ckpt", "kept"), (ZEROED[0], "silenced")])
def test_what_the_yaml_leaves_open_is_told(
    name: str, said: str, theirs: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.chdir(theirs)
    Path("model.ckpt").rename(name)
    run(PAPER, ["import-weights", name, "--config_path", "config.yaml", "--out", "x.safetensors"])
    assert f"no zero_dc in the YAML: bin 0 is {said}" in capsys.readouterr().out
    assert load_checkpoint(PAPER, "x.safetensors").model.config.zero_dc is (said == "silenced")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--draw_spectro out", "unrecognized argument: --draw_spectro"),
        ("--device_ids 0 1", "unrecognized argument: 1"),
        ("--flac_file --pcm_type FLOAT", "flac can't hold FLOAT"),
        ("--extract_instrumental", "'instrumental' has the unknown part 'vocals'"),
    ],
)
def test_what_the_readme_calls_an_error_is_one(
    words: str, said: str, theirs: Path, monkeypatch: Any, capsys: Any
) -> None:
    data = {**YAML, "training": {"instruments": ["drums", "other"], "target_instrument": None}}
    (theirs / "config.yaml").write_text(yaml.safe_dump(data))
    monkeypatch.chdir(theirs)
    weights = "--start_check_point model.ckpt --config_path config.yaml"
    with pytest.raises(SystemExit):
        run(PAPER, f"in/one.wav {weights} {words}".split())
    assert said in capsys.readouterr().err
