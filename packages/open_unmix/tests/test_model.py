from typing import Any

import pytest
import torch
from torch.testing import assert_close

from open_unmix.model import ISTFT, STFT, ComplexNorm, OpenUnmix, bandwidth_to_max_bin
from open_unmix.published import SIZES, target_network

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
CORES = ("core_stereo_maxbin", "core_mono_fullband", "core_single_layer", "core_single_frame")
PARAMETERS = {"umx": 8_893_348, "umxhq": 8_893_348, "umxl": 28_257_188, "umxse": 1_583_622}
BUFFERS = {"umx": 10_247, "umxhq": 10_247, "umxl": 12_295, "umxse": 2_053}


def filled(found: Any) -> OpenUnmix:
    network = OpenUnmix(**found.config)
    network.load_state_dict(found.below("param."), strict=True)
    return network.eval()


@pytest.mark.parametrize("name", CORES)
def test_a_network_gives_the_authors_output(name: str, golden: Any) -> None:
    found = golden(name)
    with torch.no_grad():
        output = filled(found)(found["input"])
        exact = filled(found).double()(found["input"].double())
    assert_close(output, found["output"], **CLOSE)
    assert_close(exact, found["output_fp64"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CORES)
def test_every_stage_of_a_network_is_the_authors(name: str, golden: Any) -> None:
    found = golden(name)
    network = filled(found)
    x = found["input"].permute(3, 0, 1, 2)
    with torch.no_grad():
        scaled = (x[..., : network.max_bin] + network.input_mean) * network.input_scale
        first = network.fc1(scaled.flatten(0, 1).flatten(1))
        embedded = network.embed(x)
        features = network.recur(embedded)
        narrow = network.bn2(network.fc2(features.flatten(0, 1))).relu()
        wide = network.bn3(network.fc3(narrow)).reshape(x.shape)
        mask = network.mask(features).permute(1, 2, 3, 0)
    size = network.hidden_size
    stages = {
        "scaled": scaled,
        "fc1": first,
        "tanh": embedded,
        "lstm": features[..., size:],
        "fc2_bn2_relu": narrow,
        "bn3": wide,
        "mask": mask,
    }
    for stage, value in stages.items():
        assert_close(value, found[f"stage.{stage}"], **CLOSE, msg=lambda m, s=stage: f"{s}: {m}")


@pytest.mark.parametrize("name", SIZES)
def test_keys_shapes_and_counts_are_the_published_ones(name: str, golden_json: Any) -> None:
    network = target_network(SIZES[name])
    keys = [(key, list(value.shape)) for key, value in network.state_dict().items()]
    assert keys == list(golden_json(f"{name}.keys").items())
    assert len(keys) == 46
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS[name]
    assert sum(b.numel() for b in network.buffers()) == BUFFERS[name]


def test_statistics_are_stored_negated_inverted_and_cut(golden: Any) -> None:
    found = golden("input_scaler_init")
    network = OpenUnmix(
        **found.config, input_mean=found["scaler_mean"].numpy(), input_scale=found["scaler_std"]
    )
    for name, wanted in found.below("param.").items():
        assert torch.equal(getattr(network, name), wanted), name


def test_bandwidth_counts_the_bins_up_to_it(golden_json: Any) -> None:
    cases = golden_json("utils")["bandwidth_to_max_bin"]
    assert len(cases) == 7
    for case in cases:
        found = bandwidth_to_max_bin(case["rate"], case["n_fft"], case["bandwidth"])
        assert found == case["max_bin"], case


def test_audio_is_transformed_as_training_and_evaluation_do() -> None:
    torch.manual_seed(0)
    network = OpenUnmix(nb_bins=33, hidden_size=8, nb_layers=1, n_hop=16)
    audio = torch.randn(2, 2, 500)
    for training, center in ((False, True), (True, False)):
        network.train(training)
        magnitude = STFT(64, 16, center=center)(audio).abs()
        assert torch.equal(network(audio), network(magnitude))


def test_a_mono_network_averages_the_magnitudes_of_channels() -> None:
    network = OpenUnmix(nb_bins=33, nb_channels=1, hidden_size=8, n_hop=16).eval()
    audio = torch.randn(1, 2, 500)
    magnitude = STFT(64, 16, center=True)(audio).abs().mean(dim=1, keepdim=True)
    assert torch.equal(network(audio), network(magnitude))


def test_a_unidirectional_network_hears_no_future() -> None:
    torch.manual_seed(1)
    network = OpenUnmix(nb_bins=9, hidden_size=8, unidirectional=True).eval()
    early = torch.rand(1, 2, 9, 12)
    late = early.clone()
    late[..., 7:] += 1.0
    assert torch.equal(network(early)[..., :7], network(late)[..., :7])
    both = OpenUnmix(nb_bins=9, hidden_size=8).eval()
    assert not torch.equal(both(early)[..., :7], both(late)[..., :7])


def test_no_gradient_reaches_the_mixture_through_the_product_with_the_mask() -> None:
    network = OpenUnmix(nb_bins=9, hidden_size=8, nb_layers=1).eval()
    with torch.no_grad():
        network.fc1.weight.zero_()  # what is left is the product
    mixture = torch.rand(1, 2, 9, 4, requires_grad=True)
    network(mixture).sum().backward()
    assert mixture.grad is not None and not mixture.grad.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden_size": 7}, "hidden_size=7: two directions"),
        ({"nb_layers": 0}, "nb_layers=0: each must be"),
        ({"nb_bins": 9, "max_bin": 10}, "max_bin=10: choose 1 to 9"),
    ],
)
def test_impossible_sizes_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OpenUnmix(**arguments)


def test_input_of_another_size_is_refused_with_its_shape() -> None:
    network = OpenUnmix(nb_bins=9, hidden_size=8)
    with pytest.raises(ValueError, match=r"\(1, 2, 8, 4\), the network takes \(batch, 2, 9"):
        network(torch.rand(1, 2, 8, 4))


@pytest.mark.parametrize("name", ["center_True", "center_False"])
def test_the_small_transform_is_the_authors(name: str, golden: Any) -> None:
    found = golden("stft_small")
    stft = STFT(256, 64, center=name == "center_True")
    spec = stft(found["input"])
    assert torch.equal(stft.window, found["window"])
    assert_close(torch.view_as_real(spec), found[f"{name}.stft"], **CLOSE)
    assert_close(ComplexNorm()(spec), found[f"{name}.mag"], **CLOSE)
    assert_close(ComplexNorm(mono=True)(spec), found[f"{name}.mag_mono"], **CLOSE)


def test_the_small_inverse_is_the_authors(golden: Any) -> None:
    found = golden("stft_small")
    spec = torch.view_as_complex(found["center_True.stft"])
    istft = ISTFT(256, 64)
    assert_close(istft(spec, 3000), found["center_True.istft_length3000"], **CLOSE)
    assert_close(istft(spec), found["center_True.istft_nolength"], **CLOSE)
    stacked = torch.stack([0.3 * spec, 0.7 * spec], dim=1)
    assert_close(istft(stacked, 3000), found["center_True.istft_stacked_targets"], **CLOSE)


def test_the_full_transform_and_its_inverse_are_the_authors(golden: Any) -> None:
    """Relative to the peak of 279: FFT libraries differ by 5e-5 there, between machines."""
    found = golden("stft_full")
    spec = STFT(4096, 1024, center=True)(found["input"])
    peak = found["mag"].max().item()
    assert_close(torch.view_as_real(spec), found["stft"], rtol=0, atol=1e-6 * peak)
    assert_close(spec.abs(), found["mag"], rtol=0, atol=1e-6 * peak)
    assert_close(ISTFT(4096, 1024)(spec, 12000), found["istft"], **CLOSE)


def test_the_transform_is_torchs_to_the_bit() -> None:
    audio = torch.randn(2, 9000)
    window = torch.hann_window(4096)
    for center in (True, False):
        wanted = torch.stft(audio, 4096, 1024, window=window, center=center, return_complex=True)
        assert torch.equal(STFT(4096, 1024, center=center)(audio), wanted)


@pytest.mark.parametrize(("n_fft", "hop"), [(64, 16), (64, 20), (64, 32), (64, 48), (16, 5)])
@pytest.mark.parametrize("samples", [1, 7, 33, 500])
def test_any_length_and_hop_is_inverted(n_fft: int, hop: int, samples: int) -> None:
    audio = torch.randn(2, samples, dtype=torch.float64)
    stft, istft = STFT(n_fft, hop, center=True).double(), ISTFT(n_fft, hop).double()
    if samples > hop:  # the last samples of a hop wider than half a frame lie under no window
        back = istft(stft(audio), samples)
        inside = min(samples, (samples // hop) * hop)
        assert_close(back[:, :inside], audio[:, :inside], rtol=1e-9, atol=1e-9)
    assert istft(stft(audio), samples).shape == audio.shape


def test_frames_read_apart_are_the_frames_of_the_whole() -> None:
    stft = STFT(64, 16, center=True)
    audio = torch.randn(1, 2, 1000)
    whole, padded = stft(audio), stft.pad(audio)
    parts = [stft.frames(padded, 0, 5), stft.frames(padded, 5, 6), stft.frames(padded, 6, 63)]
    assert_close(torch.cat(parts, dim=-1), whole, rtol=1e-6, atol=1e-6)


def test_audio_shorter_than_a_frame_is_refused_in_training() -> None:
    with pytest.raises(ValueError, match="63 samples, a frame 64"):
        STFT(64, 16)(torch.randn(1, 63))
