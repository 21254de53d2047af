"""The authors' recorded validation losses, replayed through our schedule and our early stop."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from mss_shared.recipe import find_recipe, load_recipe
from mss_shared.training.callbacks import EarlyStop
from mss_shared.training.criteria import MONITOR
from open_unmix.model import OpenUnmix
from open_unmix.recipe import Recipe, TrainingConfig
from open_unmix.separator import Separator
from open_unmix.training import Training

# Epochs after which the learning rate falls; epochs until the early stop, or None.
REPLAYED = {
    "umxhq_vocals": ([359, 515, 606], 684),
    "umxl_vocals": ([185, 371], None),
    "umxl_drums": ([185, 252, 367], None),
    "umxl_bass": ([154, 224, 269, 320, 361], 383),
    "umxl_other": ([228], None),
}
EPOCHS = {"umxhq_vocals": 684, "umxl_vocals": 440, "umxl_drums": 451, "umxl_bass": 383} | {
    "umxl_other": 420
}


def replay(config: TrainingConfig, losses: list[float]) -> tuple[list[int], int | None]:
    """The epochs after which the learning rate fell, and the epoch at which training stopped."""
    network = OpenUnmix(nb_bins=9, nb_channels=2, hidden_size=2, nb_layers=1)
    model = Separator({"vocals": network}, n_fft=16, n_hop=4, sample_rate=8000)
    [optimizer], [schedule] = Training(model, config).configure_optimizers()
    assert schedule["monitor"] == EarlyStop(MONITOR["loss"], 1).monitor == "val/loss"
    assert config.early_stop_epochs is not None
    stop = EarlyStop.of(config)
    fell, rate = [], config.lr
    for epoch, loss in enumerate(losses, 1):
        stopped, _ = stop._evaluate_stopping_criteria(torch.tensor(loss))
        schedule["scheduler"].step(loss)
        if optimizer.param_groups[0]["lr"] < rate:
            rate = optimizer.param_groups[0]["lr"]
            assert rate == pytest.approx(config.lr * config.plateau_factor ** (len(fell) + 1))
            fell.append(epoch)
        if stopped:
            return fell, epoch
    return fell, None


def training(name: str) -> TrainingConfig:
    return load_recipe(Recipe, find_recipe("open_unmix", name)).recipe.training


@pytest.fixture
def records(golden_json: Callable[[str], Any]) -> Any:
    found = golden_json("training_records")
    assert {name: len(each["valid_losses"]) for name, each in found.items()} == EPOCHS
    return found


@pytest.mark.parametrize("name", REPLAYED)
def test_the_rate_falls_and_training_stops_where_the_record_says(name: str, records: Any) -> None:
    """Of the umxl runs bass alone ran out of patience; the others ended in some other way."""
    fell, stopped = replay(training(name), records[name]["valid_losses"])
    assert (fell, stopped) == REPLAYED[name]
    losses = records[name]["valid_losses"]
    assert losses.index(min(losses)) + 1 == records[name]["best_epoch"]


def test_without_the_cooldown_the_third_fall_would_be_ten_epochs_too_early(records: Any) -> None:
    config = replace(training("umxhq_vocals"), plateau_cooldown=0)
    fell, _ = replay(config, records["umxhq_vocals"]["valid_losses"])
    assert fell == [359, 515, 596, 677]


def test_the_scripts_patience_would_have_kept_the_same_weights(records: Any) -> None:
    config = replace(training("umxhq_vocals"), early_stop_epochs=140)
    assert replay(config, records["umxhq_vocals"]["valid_losses"])[1] == 434 + 140
