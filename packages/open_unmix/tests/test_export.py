import errno
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch.testing import assert_close

from mss_shared.atomic import write_all
from mss_shared.checkpoints.checkpoint import load_checkpoints
from mss_shared.recipe import find_recipe, load_recipe, to_yaml
from open_unmix.export import export, separator_file, target_files
from open_unmix.model import OpenUnmix
from open_unmix.onnx_graph import write_onnx
from open_unmix.paper import PAPER
from open_unmix.recipe import Recipe
from open_unmix.separator import Separator
from open_unmix.weights import (
    FILTER_KEYS,
    SEPARATOR_KEYS,
    _read_separator,
    _read_target,
    open_folder,
)

RECIPE = load_recipe(Recipe, find_recipe("open_unmix", "demo")).recipe
FILTERED = replace(
    RECIPE.model, pipeline="1.3.0", niter=1, softmask=False, wiener_win_len=300, targets=("x",)
)


def made(**changes: Any) -> OpenUnmix:
    """A small network whose statistics are not those it starts with."""
    torch.manual_seed(0)
    sizes = {"nb_bins": 33, "hidden_size": 16, "nb_layers": 2, "max_bin": 20, "n_hop": 16}
    network = OpenUnmix(**{**sizes, **changes})
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) + (0.5 if "var" in name else -0.3))
    return network.eval()


@pytest.mark.parametrize(
    "changes", [{}, {"unidirectional": True, "nb_layers": 1}, {"nb_channels": 1, "max_bin": None}]
)
def test_the_graph_gives_torchs_output_for_any_batch_and_frames(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    network = made(**changes)
    write_onnx(network, tmp_path / "x" / "vocals.onnx")
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["vocals.onnx"]
    session = ReferenceEvaluator(onnx.load(tmp_path / "x" / "vocals.onnx"))
    for batch, frames in ((1, 1), (3, 21)):
        mixture = torch.rand(batch, network.nb_channels, 33, frames)
        [estimate] = session.run(None, {"mixture": mixture.numpy()})
        with torch.no_grad():
            assert_close(torch.from_numpy(estimate), network(mixture), rtol=1e-5, atol=1e-5)


def exported(folder: Path) -> Separator:
    """Two networks of other layers and direction in the authors' layout."""
    networks = {"vocals": made(), "bass": made(unidirectional=True, nb_layers=1)}
    separator = Separator(networks, niter=1, sample_rate=8000.0, n_fft=64, n_hop=16)
    files = separator_file(separator, FILTERED)
    for target, network in networks.items():
        files |= target_files(network, target, RECIPE)
    write_all({folder / name: write for name, write in files.items()})
    return separator.eval()


def test_what_is_exported_loads_again_and_sounds_the_same(tmp_path: Path) -> None:
    separator = exported(tmp_path)
    names = {"bass.json", "bass.pth", "separator.json", "vocals.json", "vocals.pth"}
    assert {path.name for path in tmp_path.iterdir()} == names
    checkpoints = load_checkpoints(PAPER, str(tmp_path))
    assert [c.recipe.model.targets for c in checkpoints] == [("bass",), ("vocals",)]
    assert [c.recipe.model.unidirectional for c in checkpoints] == [True, False]
    given = {"targets": ["vocals", "bass"]}
    joined = PAPER.join_models([c.model for c in checkpoints], checkpoints[0].recipe, given)
    audio = torch.randn(1, 2, 700)
    with torch.no_grad():
        assert torch.equal(joined(audio), separator(audio))


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    for name in ("a", "b"):
        exported(tmp_path / name)
        write_onnx(made(), tmp_path / name / "vocals.onnx")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on files there")
@pytest.mark.parametrize("suffix", ["pth", "onnx"])
def test_a_full_disk_is_an_os_error_that_leaves_nothing(suffix: str, tmp_path: Path) -> None:
    import resource

    pytest.importorskip("onnx")
    network, limits = made(), resource.getrlimit(resource.RLIMIT_FSIZE)
    write_onnx(network, tmp_path / "before.onnx")  # so that what it imports is written
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    try:
        with pytest.raises(OSError) as caught:
            if suffix == "pth":
                files = target_files(network, "vocals", RECIPE)
                write_all({tmp_path / "x" / name: write for name, write in files.items()})
            else:
                write_onnx(network, tmp_path / "x" / "vocals.onnx")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == str(tmp_path / "x" / f"vocals.{suffix}")
    assert not [*(tmp_path / "x").iterdir()]


@pytest.mark.parametrize("form", ["umx", "onnx"])
def test_files_that_are_there_are_replaced_if_asked_and_all_or_none(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx")
    separator = Separator({"bass": made(), "vocals": made()}, n_fft=64, n_hop=16)
    checkpoint = SimpleNamespace(model=separator, recipe=RECIPE)
    monkeypatch.setattr("open_unmix.export.load_checkpoints", lambda paper, source: [checkpoint])
    suffix = {"umx": "pth", "onnx": "onnx"}[form]
    kept = tmp_path / f"bass.{suffix}"
    kept.write_text("kept")
    flags = {"checkpoint": ["x"], "out": str(tmp_path), "format": form}
    with pytest.raises(FileExistsError, match=f"bass.{suffix} is there: choose another --out, or"):
        export(PAPER, flags)
    (tmp_path / f"vocals.{suffix}").mkdir()
    with pytest.raises(OSError):
        export(PAPER, flags | {"overwrite": True})
    assert kept.read_text() == "kept"
    assert {path.name for path in tmp_path.iterdir()} == {kept.name, f"vocals.{suffix}"}
    (tmp_path / f"vocals.{suffix}").rmdir()
    export(PAPER, flags | {"overwrite": True})
    assert kept.read_bytes() != b"kept"


@pytest.mark.parametrize("target", ["separator", "Separator", "vocals-0123abcd"])
def test_a_stem_that_the_layout_reads_as_something_else_is_not_exported(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    separator = Separator({"bass": made(), target: made()}, n_fft=64, n_hop=16)
    checkpoint = SimpleNamespace(model=separator, recipe=RECIPE)
    monkeypatch.setattr("open_unmix.export.load_checkpoints", lambda paper, source: [checkpoint])
    with pytest.raises(ValueError, match=f"the stem {target} can't be exported .*: choose --form"):
        export(PAPER, {"checkpoint": ["x"], "out": str(tmp_path / "out")})
    assert not [*tmp_path.iterdir()]


def test_the_files_hold_what_the_authors_loader_asks_for(tmp_path: Path, golden_json: Any) -> None:
    exported(tmp_path)
    state = torch.load(tmp_path / "vocals.pth", weights_only=True)
    assert list(state) == [k for k in golden_json("umx.keys") if "_l2" not in k]
    about = json.loads((tmp_path / "vocals.json").read_text(encoding="utf-8"))["args"]
    assert {"nfft": 64, "nhop": 16, "hidden_size": 16, "nb_channels": 2}.items() <= about.items()
    found = json.loads((tmp_path / "separator.json").read_text(encoding="utf-8"))
    transform = {"nfft": 64, "nhop": 16, "sample_rate": 8000.0, "nb_channels": 2}
    assert {key: found[key] for key in transform} == transform


def test_how_targets_are_filtered_comes_back_as_it_left(tmp_path: Path) -> None:
    exported(tmp_path)
    filtered = {"pipeline": "1.0.0", "niter": 2, "softmask": True, "wiener_win_len": None}
    recipe = replace(RECIPE, model=replace(RECIPE.model, **filtered))
    model = PAPER.build_model(recipe)
    save_file(
        model.state_dict(),
        tmp_path / "x.safetensors",
        {"format": "pt", "paper": "open_unmix", "recipe": to_yaml(recipe), "recipe_name": "demo"}
        | dict.fromkeys(("verbatim", "leaf_sources", "training"), "null"),
    )
    export(PAPER, {"checkpoint": [str(tmp_path / "x.safetensors")], "out": str(tmp_path / "out")})
    [found, *_] = load_checkpoints(PAPER, str(tmp_path / "out"))
    assert {key: getattr(found.recipe.model, key) for key in filtered} == filtered


def as_of_2019(folder: Path) -> None:
    """Rewrite an exported folder as version 1.0.0 left it."""
    (folder / "separator.json").unlink()
    for path in folder.glob("*.pth"):
        state = torch.load(path, weights_only=True)
        constants = {"sample_rate": torch.tensor(8000), "stft.window": torch.hann_window(64)}
        torch.save(
            {**constants, "transform.0.window": torch.hann_window(64), **state},
            path.with_name(f"{path.stem}-0123abcd.pth"),
        )
        path.unlink()


def test_a_folder_of_version_1_0_has_its_transform_in_the_targets_files(tmp_path: Path) -> None:
    exported(tmp_path)
    as_of_2019(tmp_path)
    names = {"bass-0123abcd.pth", "bass.json", "vocals-0123abcd.pth", "vocals.json"}
    assert {path.name for path in tmp_path.iterdir()} == names
    for found in load_checkpoints(PAPER, str(tmp_path)):
        model = found.recipe.model
        assert (model.n_fft, model.n_hop, model.sample_rate, model.nb_channels) == (64, 16, 8000, 2)
        assert (model.pipeline, model.wiener_win_len) == ("1.0.0", None)
        weights = torch.load(tmp_path / f"{model.targets[0]}-0123abcd.pth", weights_only=True)
        [network] = found.model.networks()
        assert torch.equal(network.fc1.weight, weights["fc1.weight"])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "bass.json").unlink(), "2 .pth files and no separator.json"),
        (lambda f: (f / "bass.json").write_text("[]"), "bass.json lacks nfft: it needs nfft, nhop"),
        (lambda f: (f / "bass.json").write_text("{"), "bass.json is not valid JSON"),
        (lambda f: torch.save(made().state_dict(), f / "bass-0123abcd.pth"), "lacks sample_rate"),
    ],
)
def test_a_spoilt_folder_of_version_1_0_is_refused(
    spoil: Any, message: str, tmp_path: Path
) -> None:
    exported(tmp_path)
    as_of_2019(tmp_path)
    spoil(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_checkpoints(PAPER, str(tmp_path))


def spoil_filter(folder: Path, **changes: Any) -> None:
    path = folder / "separator.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_names_with_a_digest_are_read_as_their_target(tmp_path: Path) -> None:
    exported(tmp_path)
    (tmp_path / "vocals.pth").rename(tmp_path / "vocals-b62c91ce.pth")
    (tmp_path / "bass.pth").rename(tmp_path / "bass_f5e0d9f9.pth")
    assert [c.model.stems for c in open_folder(tmp_path, None)] == [("bass",), ("vocals",)]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda f: [(f / f"{n}.json").unlink() for n in ("separator", "bass")],
            "2 .pth files and no",
        ),
        (lambda f: spoil_filter(f, pipeline="2.0"), "pipeline '2.0': choose from 1.0.0, 1.3.0"),
        (lambda f: spoil_filter(f, niter="1"), "niter '1': it must be of type int"),
        (lambda f: spoil_filter(f, softmask=0), "softmask 0: it must be of type bool"),
        (lambda f: [p.unlink() for p in f.glob("*.pth")], "0 .pth files and a separator.json"),
        (lambda f: (f / "separator.json").write_text("{"), "is not valid JSON"),
        (lambda f: (f / "separator.json").write_text("{}"), "lacks nfft"),
        (lambda f: torch.save({"a": torch.ones(1)}, f / "bass.pth"), "bass.pth lacks fc1.weight"),
    ],
)
def test_a_spoilt_folder_is_refused(spoil: Any, message: str, tmp_path: Path) -> None:
    exported(tmp_path)
    spoil(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_checkpoints(PAPER, str(tmp_path))


def spoil_weights(folder: Path, **changes: torch.Tensor) -> None:
    """Change tensors of vocals; names have two underscores for a point."""
    [path] = folder.glob("vocals*.pth")
    changed = {name.replace("__", "."): tensor for name, tensor in changes.items()}
    torch.save(torch.load(path, weights_only=True) | changed, path)


EMPTY_LAYERS = {f"lstm__weight_ih_l{layer}": torch.zeros(1) for layer in range(300)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fc1__weight": torch.zeros(60_000, 1)}, "has fc1.weight of shape .60000, 1., the"),
        ({"fc1__weight": torch.zeros(200_000, 1)}, "has fc1.weight of shape"),
        ({"fc1__weight": torch.zeros(2**21, 1)}, "vocals.pth have a size of 2097152"),
        ({"fc1__weight": torch.tensor(1.0)}, r"vocals.pth has fc1.weight of shape \(\)"),
        ({"output_mean": torch.zeros(0)}, r"vocals.pth has output_mean of shape \(0,\)"),
        ({"output_mean": torch.zeros(34)}, "network of nfft 66 and .* the .json beside it has 64"),
        ({"input_mean": torch.zeros(500_000)}, "vocals.pth has input_mean of shape"),
        ({"bn3__weight": torch.zeros(2**21)}, "nb_channels 63550, the .json beside it has 64 and"),
        (EMPTY_LAYERS, "vocals.pth has 300 LSTM layers: .* at most 100"),
    ],
)
def test_an_odd_tensor_is_refused_before_a_network_takes_memory(
    changes: dict[str, torch.Tensor], message: str, tmp_path: Path
) -> None:
    exported(tmp_path)
    spoil_weights(tmp_path, **changes)
    with pytest.raises(ValueError, match=message) as caught:
        load_checkpoints(PAPER, str(tmp_path))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "rate", [torch.inf, torch.nan, 1e30, 0.0, -5.0, [1.0, 2.0, 3.0], [], 44100j]
)
def test_a_sample_rate_that_is_none_is_refused(rate: Any, tmp_path: Path) -> None:
    exported(tmp_path)
    as_of_2019(tmp_path)
    spoil_weights(tmp_path, sample_rate=torch.tensor(rate))
    with pytest.raises(ValueError, match="pth has sample_rate .*: it must be a number from 1 to"):
        load_checkpoints(PAPER, str(tmp_path))


@pytest.mark.parametrize(
    "changes",
    [
        *({"wiener_win_len": value} for value in (-5, 10**15, 1e15, "x" * 4000)),
        *({"niter": value} for value in (-1, 10**9, "x" * 4000)),
        *({"nhop": value} for value in (1.5, 64, 0, "x" * 4000)),
        *({"nb_channels": value} for value in (7, 1, 2.5)),
        *({"nfft": value} for value in (65, 63, 128, 64.5, 1)),
        *({"sample_rate": value} for value in (float("nan"), float("inf"), 0, -5, 1e30)),
        {"softmask": ["x"] * 1000},
        {"pipeline": "x" * 4000},
    ],
)
def test_a_transform_or_filter_that_no_network_has_is_refused(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    exported(tmp_path)
    spoil_filter(tmp_path, **changes)
    [name] = changes
    with pytest.raises(ValueError, match=rf"\.(json|pth) .*{name} .*: ") as caught:
        load_checkpoints(PAPER, str(tmp_path))
    assert len(str(caught.value)) - len(str(tmp_path)) < 300


def test_whole_numbers_may_be_written_with_a_point(tmp_path: Path) -> None:
    exported(tmp_path)
    spoil_filter(tmp_path, nfft=64.0, nhop=16.0, nb_channels=2.0, wiener_win_len=0, niter=0)
    [found, _] = load_checkpoints(PAPER, str(tmp_path))
    assert (found.recipe.model.n_fft, found.recipe.model.n_hop) == (64, 16)


def published(name: str, golden_json: Any, keys: str) -> dict[str, torch.Tensor]:
    """A state dict as the authors published it, all its tensors small numbers."""
    torch.manual_seed(1)
    return {key: 0.01 * torch.rand(shape) for key, shape in golden_json(keys).items()}


def test_a_published_file_of_2019_loads_strictly_without_its_three_constants(
    tmp_path: Path, golden_json: Any
) -> None:
    state = published("vocals", golden_json, "umxhq_v1_checkpoint.keys")
    assert len(state) == 49
    torch.save(state, tmp_path / "vocals.pth")
    [found] = load_checkpoints(PAPER, str(tmp_path / "vocals.pth"), "umxhq_vocals")
    [network] = found.model.networks()
    for key, value in network.state_dict().items():
        assert_close(value.float(), state[key].to(value.dtype).float())
    assert any("dropped sample_rate, stft.window, transform.0.window" in n for n in found.notes)
    assert found.model.sample_rate == 44_100 and found.model.stft.window[0] == 0


def test_nothing_but_the_three_constants_is_dropped(tmp_path: Path, golden_json: Any) -> None:
    state = published("vocals", golden_json, "umxhq_v1_checkpoint.keys")
    torch.save({**state, "transform.1.window": torch.ones(4)}, tmp_path / "vocals.pth")
    with pytest.raises(ValueError, match="unknown key target_models.vocals.transform.1.window"):
        load_checkpoints(PAPER, str(tmp_path / "vocals.pth"), "umxhq_vocals")


def test_every_published_name_has_its_recipes_and_digests() -> None:
    from mss_shared.checkpoints.published import read_published

    found = read_published("open_unmix")
    assert {name: len(entries) for name, entries in found.items()} == {
        "umx": 4,
        "umxhq": 4,
        "umxl": 4,
        "umxse": 2,
    }
    for name, entries in found.items():
        for entry in entries:
            target = entry.recipe.removeprefix(f"{name}_")
            assert find_recipe("open_unmix", entry.recipe).is_file()
            digits = entry.sha256[:8]
            assert entry.file_name in (f"{target}-{digits}.pth", f"{target}_{digits}.pth")
            assert len(entry.sha256) == (64 if name == "umxhq" else 8)


def test_pretrained_constructors_fetch_check_and_fill(
    tmp_path: Path, golden_json: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from open_unmix import umxhq

    state = published("drums", golden_json, "umxhq_v1_checkpoint.keys")
    torch.save(state, tmp_path / "drums.pth")
    asked = []

    def fetch(entry: Any) -> Path:
        asked.append(entry.recipe)
        return tmp_path / "drums.pth"

    monkeypatch.setattr("mss_shared.checkpoints.checkpoint.fetch", fetch)
    separator = umxhq(targets=["drums"], niter=0)
    assert asked == ["umxhq_drums"]
    assert torch.equal(separator.target_models["drums"].fc1.weight, state["fc1.weight"])


def test_the_verb_writes_every_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from open_unmix import export

    separator = exported(tmp_path / "in")
    checkpoint = SimpleNamespace(model=separator, recipe=RECIPE)
    monkeypatch.setattr(export, "load_checkpoints", lambda paper, source: [checkpoint])
    export.export(PAPER, {"checkpoint": ["x"], "out": str(tmp_path / "out")})
    names = {path.name for path in (tmp_path / "in").iterdir()}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    pytest.importorskip("onnx")
    export.export(PAPER, {"checkpoint": ["x"], "out": str(tmp_path / "o"), "format": "onnx"})
    assert {path.name for path in (tmp_path / "o").iterdir()} == {"bass.onnx", "vocals.onnx"}


@pytest.mark.parametrize("kind", ["umx", "onnx"])
def test_checkpoints_that_would_overwrite_each_other_are_not_exported(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    separator = Separator({"bass": made(), "vocals": made()}, n_fft=64, n_hop=16)
    other = Separator({"drums": made(), "other": made()}, n_fft=64, n_hop=8)
    found = {"a": separator, "b": separator, "c": other}
    monkeypatch.setattr(
        "open_unmix.export.load_checkpoints",
        lambda paper, source: [SimpleNamespace(model=found[source], recipe=RECIPE)],
    )
    for names, fault in (("ab", "two checkpoints estimate bass"), ("ac", "transforms .* that sh")):
        flags = {"checkpoint": [*names], "out": str(tmp_path / "out"), "format": kind}
        with pytest.raises(ValueError, match=fault):
            export(PAPER, flags)
    assert not [*tmp_path.iterdir()]


def test_two_files_of_one_target_are_refused(tmp_path: Path) -> None:
    exported(tmp_path)
    (tmp_path / "vocals-0123abcd.pth").write_bytes((tmp_path / "vocals.pth").read_bytes())
    with pytest.raises(
        ValueError, match=r"vocals-0123abcd.pth and vocals.pth, two networks of 'vocals'"
    ):
        load_checkpoints(PAPER, str(tmp_path))


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"niter": -1}, "niter -1: it must be from 0 to 1000"),
        ({"niter": 10**9}, "niter 1000000000: it must"),
        ({"wiener_win_len": -5}, "wiener_win_len -5: it must be from 0 to 1000000"),
        ({"wiener_win_len": 10**12}, "wiener_win_len 1000000000000: it must"),
    ],
)
def test_a_filter_that_would_run_for_ever_is_refused(values: dict[str, int], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Separator({"bass": made(), "vocals": made()}, n_fft=64, n_hop=16, **values)  # type: ignore[arg-type]


def test_a_target_of_a_file_is_not_exported_elsewhere(tmp_path: Path) -> None:
    """The names of targets come from the weights' header, and become names of files."""
    weights, out = tmp_path / "x.safetensors", tmp_path / "a" / "out"
    for target in (f"{tmp_path}/elsewhere", "a/b", "../../elsewhere", "", "keys"):
        recipe = replace(RECIPE, model=replace(RECIPE.model, targets=(target,)))
        model = PAPER.build_model(RECIPE)
        texts = {"paper": "open_unmix", "recipe": to_yaml(recipe), "recipe_name": "demo"}
        texts |= dict.fromkeys(("verbatim", "leaf_sources", "training"), "null")
        state = {
            name.replace("target_models.vocals.", f"target_models.{target}."): tensor
            for name, tensor in model.state_dict().items()
            if "target_models." not in name or "target_models.vocals." in name
        }
        save_file(state, weights, {"format": "pt", **texts})
        for kind in ("umx", "onnx"):
            with pytest.raises(ValueError, match="can't name a file|choose another name"):
                export(PAPER, {"out": out, "checkpoint": [str(weights)], "format": kind})
        assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
KEYS = (*SEPARATOR_KEYS, *FILTER_KEYS)


@given(st.dictionaries(st.sampled_from(KEYS), json_values) | json_values, st.booleans())
def test_any_json_beside_the_weights_is_read_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, contents: Any, is_separator: bool
) -> None:
    path = tmp_path_factory.mktemp("any") / ("separator.json" if is_separator else "vocals.json")
    path.write_text(json.dumps(contents if is_separator else {"args": contents}))
    rate = {"sample_rate": torch.tensor(8000)}
    try:
        found = _read_separator(path) if is_separator else _read_target(path, rate)
    except ValueError as error:
        assert path.name in str(error) and ": " in str(error)
    else:
        assert {*KEYS} <= {*found}
