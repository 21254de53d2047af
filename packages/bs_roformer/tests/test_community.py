"""The YAML files beside public weights, and the list of those weights."""

import copy
import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bs_roformer import configs
from bs_roformer.community import ZEROED, differences, parse_community, read_community_yaml
from bs_roformer.config import DEFAULT_BANDS
from bs_roformer.model import build
from bs_roformer.weights import recognise
from mss_shared.checkpoints.published import read_published

# A file as the training code writes them, shortened to what is read and some of what is not.
FOUR_STEMS = f"""
audio:
  chunk_size: 485100
  dim_t: 801 # don't work (use in model)
  hop_length: 441
  num_channels: 2
  sample_rate: 44100
model:
  dim: 384
  depth: 8
  stereo: true
  num_stems: 4
  time_transformer_depth: 1
  freq_transformer_depth: 1
  linear_transformer_depth: 0
  freqs_per_bands: !!python/tuple
{"".join(f"    - {width}" + chr(10) for width in DEFAULT_BANDS)}
  dim_head: 64
  heads: 8
  attn_dropout: 0.1
  ff_dropout: 0.1
  flash_attn: true
  dim_freqs_in: 1025
  stft_n_fft: 2048
  stft_hop_length: 441
  stft_win_length: 2048
  stft_normalized: false
  mask_estimator_depth: 2
  multi_stft_resolution_loss_weight: 1.0
  multi_stft_resolutions_window_sizes: !!python/tuple
  - 4096
  - 2048
  - 1024
  - 512
  - 256
  multi_stft_hop_size: 147
  multi_stft_normalized: False
  mlp_expansion_factor: 2
  use_torch_checkpoint: False
  skip_connection: False
training:
  instruments: ['drums', 'bass', 'other', 'vocals']
  target_instrument: null
  lr: 1.0e-5
inference:
  batch_size: 2
  dim_t: 1101
  num_overlap: 2
"""


def document(**sections: Any) -> dict[str, Any]:
    found = {
        "audio": {"chunk_size": 1000},
        "model": {"dim": 8, "depth": 1, "num_stems": 1},
        "training": {"target_instrument": "vocals", "instruments": ["vocals", "other"]},
    }
    return {**copy.deepcopy(found), **sections}


def test_a_published_file_gives_the_preset(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(FOUR_STEMS)
    config = read_community_yaml(path)
    assert (config.kind, config.chunk_samples, config.num_overlap, config.batch) == (
        "bs",
        485_100,
        2,
        2,
    )
    with torch.device("meta"):
        ours = build("bs", **configs["zfturbo_4stem"])
        theirs = build(config.kind, **config.arguments)
    assert theirs.config == ours.config


def test_a_target_is_the_only_stem() -> None:
    assert parse_community(document(), "x").arguments["stems"] == ("vocals",)


def test_inference_may_have_a_chunk_of_its_own() -> None:
    found = document(inference={"chunk_size": 2000, "num_overlap": 4, "batch_size": 3})
    config = parse_community(found, "x")
    assert (config.chunk_samples, config.num_overlap, config.batch) == (2000, 4, 3)


MEGA = "mvsep_mega_model_bs_roformer_53_stems_v1.ckpt"


@pytest.mark.parametrize(
    ("weights", "model", "zeroed"),
    [
        ("model_bs_roformer_ep_17_sdr_9.6568.ckpt", {}, False),
        ("model_bs_polarformer_float16.ckpt", {"use_pope": True}, True),
        (MEGA, {}, True),
    ],
)
def test_a_silent_file_keeps_or_silences_the_lowest_bin_by_the_age_of_its_weights(
    weights: str, model: dict[str, Any], zeroed: bool
) -> None:
    silent = {"dim": 8, "depth": 1, **model}
    config = parse_community(document(model=silent), "x", weights)
    assert config.arguments["zero_dc"] is zeroed
    assert f"bin 0 is {'silenced' if zeroed else 'kept'}, judging" in config.notes[0]
    said = parse_community(document(model={**silent, "zero_dc": not zeroed}), "x", weights)
    assert said.arguments["zero_dc"] is not zeroed
    assert said.notes == ()


def test_weights_taken_to_be_newer_are_listed() -> None:
    listed = {
        e.published_name for entries in read_published("bs_roformer").values() for e in entries
    }
    assert len(ZEROED) == 1
    assert listed >= set(ZEROED)


def test_what_a_file_asks_for_in_vain_is_said() -> None:
    found = document(inference={"normalize": True}, model={"dim": 8, "depth": 1, "zero_dc": False})
    (note,) = parse_community(found, "x").notes
    assert note.startswith("inference.normalize has no effect")


def test_a_song_keeps_its_length_whatever_the_file_says() -> None:
    found = document(model={"dim": 8, "depth": 1, "match_input_audio_length": False})
    assert parse_community(found, "x").arguments["match_input_audio_length"] is True


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([], "x has no section audio"),
        (document(training=None), "x has no section training"),
        (document(lora={"r": 8}), "x has a section lora: low-rank adapters are not supported"),
        (document(model={"dim": 8, "segm_depth": 2}), "has model.segm_depth, which the networks"),
        (document(audio={}), "has chunk_size=None: it must be a positive"),
        (document(audio={"chunk_size": 1.5}), "has chunk_size=1.5"),
        (document(inference={"num_overlap": 0}), "has num_overlap=0"),
        (
            document(training={"instruments": ["a", "b"]}),
            r"lists the instruments \['a', 'b'\] for num_stems=1",
        ),
    ],
)
def test_what_is_no_such_file_is_refused_with_what_it_lacks(found: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_community(found, "x")


@pytest.mark.parametrize(
    "text",
    ["a: !!python/object/apply:os.system ['echo hi']", "a: [", "\x00", "a: !!python/name:os.x"],
)
def test_tags_that_execute_and_broken_files_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"bad.yaml is not valid YAML.* \(.+\): fix"):
        read_community_yaml(path)


def test_bytes_that_are_no_text_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ValueError, match="bad.yaml is in UTF-16, not in UTF-8"):
        read_community_yaml(tmp_path / "bad.yaml")
    with pytest.raises(FileNotFoundError, match="there is no file .*none.yaml"):
        read_community_yaml(tmp_path / "none.yaml")


@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.booleans(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["audio", "model", "training", "dim", "chunk_size"]), inner
            )
        ),
    )
)
def test_no_document_fails_but_with_a_sentence(found: Any) -> None:
    try:
        parse_community(found, "x")
    except ValueError as error:
        assert str(error).startswith("x ")


def test_configuration_and_weights_that_disagree_are_told_apart() -> None:
    with torch.device("meta"):
        state = build("bs", dim=8, depth=2, mlp_expansion_factor=4).state_dict()
    recognised = recognise(state).arguments
    agreeing = {"stems": ("a",), "dim": 8, "depth": 2, "freqs_per_bands": [*DEFAULT_BANDS]}
    assert differences(agreeing, recognised) == []
    other = {**agreeing, "mlp_expansion_factor": 2, "stems": ("a", "b")}
    assert sorted(differences(other, recognised)) == [
        "mlp_expansion_factor=2 in the configuration, 4 by the weights' shapes",
        "num_stems=2 in the configuration, 1 by the weights' shapes",
    ]


# ---- the list


def test_every_listed_checkpoint_is_complete() -> None:
    home = Path(__file__).parents[1]
    listed = yaml.safe_load((home / "src" / "bs_roformer" / "checkpoints.yaml").read_text())
    assert len(listed) == 17
    for name, entries in listed.items():
        (entry,) = entries
        assert [*entry] == ["title", "url", "config_url", "bytes", "sha256", "licence", "recipe"]
        assert entry["url"].startswith("https://"), name
        assert entry["licence"].startswith("none stated"), name
        if entry["sha256"] is not None:
            assert len(bytes.fromhex(entry["sha256"])) == 32
        if entry["recipe"] is not None:
            assert (home / "recipes" / f"{entry['recipe']}.yaml").is_file(), name


def test_the_list_is_read_by_the_command_line() -> None:
    published = read_published("bs_roformer")
    assert len(published) == 17
    assert published["kim_mel_vocals"][0].recipe == "kim_mel_vocals"


def test_the_readme_says_which_names_need_a_yaml() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    alone, _, others = readme.partition("takes them alone:")[2].partition("The other eleven,")
    published = read_published("bs_roformer").items()
    with_recipe = {name for name, (entry,) in published if entry.recipe is not None}
    assert set(re.findall("`([a-z]+_[a-z0-9_]+)`", alone)) == with_recipe
    assert len(with_recipe) == 6
    named = re.findall("`([a-z]+(?:_[a-z0-9_*]+)?)`", others.partition("also need")[0])
    for name, (entry,) in published:
        needs = any(fnmatch(name, pattern) for pattern in named)
        assert needs == (entry.recipe is None) == entry.title.endswith("; needs its YAML"), name


def test_listed_sizes_leave_room_for_the_preset_weights_in_float32() -> None:
    home = Path(__file__).parents[1]
    listed = yaml.safe_load((home / "src" / "bs_roformer" / "checkpoints.yaml").read_text())
    for name in ("zfturbo_4stem", "viperx_vocals", "viperx_other", "kim_mel_vocals"):
        with torch.device("meta"):
            model = build("mel" if "mel" in name else "bs", **configs[name])
        numbers = sum(t.numel() for t in model.state_dict().values())
        room = (listed[name][0]["bytes"] - 4 * numbers) / len(model.state_dict())
        assert 400 < room < 450, name  # bytes an archive spends on an entry
