from dataclasses import replace
from typing import Any

import pytest
import torch

from mss_shared.cli.evaluate import find_remainder
from mss_shared.recipe import find_recipe, load_recipe
from open_unmix.build import build_separator, join
from open_unmix.paper import FILTER, OUTPUT, PAPER
from open_unmix.recipe import Recipe
from open_unmix.separator import Separator

RECIPE = load_recipe(Recipe, find_recipe("open_unmix", "demo")).recipe


def model(*targets: str, **changes: Any) -> Separator:
    values = {**RECIPE.model.__dict__, "targets": targets, "hidden_size": 8, **changes}
    return build_separator(**values).eval()


def test_one_target_is_not_filtered_and_several_are() -> None:
    assert model("drums").settings.niter == 0
    assert model("drums", "bass").settings.niter == 1
    with pytest.raises(ValueError, match="drums, drums: name each stem once"):
        model("drums", "drums")


def test_the_direction_and_layers_of_a_recipe_reach_the_network() -> None:
    [network] = model("drums", unidirectional=True, nb_layers=2).networks()
    assert not network.lstm.bidirectional and network.lstm.num_layers == 2
    assert network.lstm.dropout == 0.4 and network.max_bin == 744


def test_networks_of_several_checkpoints_share_one_filter() -> None:
    parts = [model("drums"), model("bass"), model("vocals", "other")]
    whole = join(parts, RECIPE, {})
    assert whole.stems == ("drums", "bass", "vocals", "other")
    assert whole.settings.niter == 1 and not whole.training
    for part in parts:
        for stem in part.stems:
            assert whole.target_models[stem] is part.target_models[stem]
    audio = torch.randn(1, 2, 9000)
    with torch.no_grad():
        alone = torch.cat([part(audio) for part in parts], dim=1)
        unfiltered = join(parts, RECIPE, {"niter": 0})(audio)
    assert unfiltered.shape == alone.shape
    assert torch.allclose(unfiltered[:, :2], alone[:, :2], atol=1e-6)


def test_every_flag_has_its_effect() -> None:
    parts = [model("drums", "bass"), model("vocals")]
    given = {
        "targets": ["vocals", "drums"],
        "niter": 2,
        "softmask": True,
        "alpha": 2.0,
        "residual": True,
        "wiener_win_len": 0,
        "eps": "norbert",
        "wiener": "norbert",
        "pipeline": "1.0.0",
    }
    assert {option.name for option in (*FILTER, *OUTPUT)} == {*given}
    joined = join(parts, RECIPE, given)
    assert joined.stems == ("vocals", "drums", "residual")
    settings = joined.settings
    assert (settings.niter, settings.softmask, settings.alpha) == (2, True, 2.0)
    assert (joined.wiener, joined.pipeline, joined.wiener_win_len) == ("norbert", "1.0.0", None)
    plain = join(parts, RECIPE, {})
    assert (plain.settings.eps, plain.wiener_win_len) == (1e-10, 300)
    assert join(parts, RECIPE, {"eps": "norbert"}).settings.eps == torch.finfo(torch.float64).eps


def test_an_exponent_of_ratio_masks_without_ratio_masks_is_refused() -> None:
    with pytest.raises(ValueError, match="--alpha 2.0 has no effect without .* add --softmask"):
        join([model("vocals")], RECIPE, {"alpha": 2.0})
    soft = replace(RECIPE, model=replace(RECIPE.model, softmask=True))
    assert join([model("vocals")], soft, {"alpha": 2.0}).settings.alpha == 2.0


def test_a_single_target_and_its_residual_are_filtered() -> None:
    one = join([model("vocals")], RECIPE, {"residual": True})
    assert one.stems == ("vocals", "accompaniment") and one.settings.niter == 1
    assert join([model("vocals")], RECIPE, {}).settings.niter == 0


@pytest.mark.parametrize(
    ("parts", "given", "message"),
    [
        ([("drums",), ("drums",)], {}, "two checkpoints estimate drums"),
        ([("drums",)], {"targets": ["piano"]}, "--targets piano: the checkpoints have drums"),
        ([("drums",)], {"niter": 1}, "niter=1 with 1 stem"),
    ],
)
def test_what_can_not_be_joined_is_refused(
    parts: list[tuple[str, ...]], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        join([model(*targets) for targets in parts], RECIPE, given)


def test_transforms_must_agree() -> None:
    with pytest.raises(ValueError, match=r"\(2048, 1024, 44100, 2\) and \(1024, 512, 44100, 2\)"):
        join([model("drums"), model("bass", n_fft=1024, n_hop=512)], RECIPE, {})


def test_a_separator_is_built_for_its_shapes_alone() -> None:
    with torch.device("meta"):
        built = model("vocals", "drums")
    assert built.stems == ("vocals", "drums")
    assert all(p.is_meta for p in built.parameters())
    found = load_recipe(Recipe, find_recipe("open_unmix", "umxhq_vocals")).recipe
    assert find_remainder(PAPER, found) is None  # evaluate --remainder ended in a traceback
