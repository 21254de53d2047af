"""What users of the package moises-light 0.1.0 were told to write still runs.

The presets are the published ones; audio is a second where the description takes six.
"""

import torch

from moises_light import MoisesLight, configs


def test_quick_start() -> None:
    model = MoisesLight(**configs["paper_large"]).eval()
    x = torch.randn(1, 2, 44_100)  # [batch, channels, samples]
    with torch.no_grad():
        y = model(x)
        assert y.shape == (1, 4, 2, 44_100)  # [batch, stems, channels, samples]
        again, aux = model(x, return_auxiliary_outputs=True)
    assert torch.equal(again, y)
    assert aux == {}


def test_integration_with_written_out_arguments_is_the_preset() -> None:
    model = MoisesLight(
        sources=["vocals", "drums", "bass", "other"],
        audio_channels=2,
        n_fft=6144,
        hop_size=1024,
        win_size=6144,
        freq_dim=2048,
        n_bands=4,
        G=56,
        n_enc=3,
        n_dec=1,
        n_split_enc=3,
        n_split_dec=1,
        n_rope=5,
        bn_factor=4,
    )
    assert sum(p.numel() for p in model.parameters()) == 4_660_592
    assert model.config == MoisesLight(**configs["paper_large"]).config


def test_per_stem() -> None:
    model = MoisesLight(**{**configs["paper_large"], "sources": ["vocals"]}).eval()
    with torch.no_grad():
        y = model(torch.randn(1, 2, 7_000))
    assert y.shape == (1, 1, 2, 7_000)


def test_custom_training_loop() -> None:
    torch.manual_seed(0)
    model = MoisesLight(**configs["paper_large"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4)
    targets = 0.1 * torch.randn(1, 4, 2, 7_000)
    dataloader = [{"mix": targets.sum(dim=1), "targets": targets}] * 2
    criterion = torch.nn.L1Loss()

    losses = []
    for batch in dataloader:
        mix = batch["mix"]  # [B, 2, L]
        targets = batch["targets"]  # [B, 4, 2, L]
        pred = model(mix)  # [B, 4, 2, L]
        loss = criterion(pred, targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
