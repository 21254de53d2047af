from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_paper.paper import PAPER
from tiny_songs import demo_recipe
from torch import Tensor

from mss_shared.checkpoints import load_checkpoint, strip_prefixes, unwrap

RAW = {"enc.weight": torch.zeros(2), "enc.bias": torch.zeros(1), "dec.0.weight": torch.zeros(3)}
AVERAGE = {name: tensor + 1 for name, tensor in RAW.items()}
STATE = PAPER.build_model(demo_recipe().recipe).state_dict()


def under(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in state.items()}


def check_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("wanted", [(), tuple(RAW)])
@pytest.mark.parametrize(
    "content",
    [
        {"model": RAW, "ema": AVERAGE},
        {"ema": AVERAGE, "model": RAW, "optimizer": {"state": {0: {"exp_avg": torch.ones(1)}}}},
        {"state_dict": under("model", RAW), "ema_state_dict": under("module", AVERAGE)},
        {"state_dict": RAW, "state_dict_ema": under("model._orig_mod", AVERAGE), "epoch": 3},
        {"state": {"params": RAW, "params_ema": AVERAGE}},
        {"model": RAW, "ema": {"decay": 0.999, "updates": 7, "module": AVERAGE}},
        {"model": RAW, "model_ema": {"n_averaged": torch.tensor(3), **under("module", AVERAGE)}},
        {**RAW, "ema": AVERAGE},
        {**RAW, **under("ema_model", AVERAGE)},
        {**under("online_model", RAW), **under("ema_model", AVERAGE), "step": torch.tensor(1)},
        {"state_dict": {**under("model", RAW), **under("ema_model.module", AVERAGE)}},
        {"state_dict": {**under("_orig_mod.model", RAW), **under("_orig_mod.ema", AVERAGE)}},
        {"state_dict": {**under("model", RAW), **under("swa_model.module", AVERAGE)}},
        {
            **under("model", RAW),
            **{f"model_ema.{name.replace('.', '')}": t for name, t in AVERAGE.items()},
            "model_ema.num_updates": torch.tensor(2),
        },
    ],
)
def test_of_raw_and_averaged_weights_the_average_is_taken_and_said(
    content: dict[str, Any], wanted: tuple[str, ...]
) -> None:
    state, first = unwrap(content)
    found, then = strip_prefixes(state, wanted)
    check_same(found, AVERAGE)
    notes = [*first, *then]
    assert any("took the moving average" in n and "left out the raw weights" in n for n in notes)


def test_what_an_average_lacks_is_taken_from_the_raw_weights() -> None:
    average = {name: AVERAGE[name] for name in ("enc.weight", "dec.0.weight")}
    found, notes = strip_prefixes({**under("model", RAW), **under("ema", average)})
    check_same(found, {**RAW, **average})
    assert "took 1 tensors that it lacks from the raw weights" in notes


@pytest.mark.parametrize(
    ("state", "count"),
    [
        ({"enc._orig_mod.weight": 0, "enc._orig_mod.bias": 0, "dec.0.weight": 0}, 2),
        ({"enc.weight": 0, "enc.bias": 0, "dec._orig_mod.0._orig_mod.module.weight": 0}, 1),
        ({"_orig_mod.enc.weight": 0, "module.enc.bias": 0, "dec.0.weight": 0}, 2),
        ({"model.enc._orig_mod.weight": 0, "model.enc.bias": 0, "model.dec.0.weight": 0}, 1),
    ],
)
def test_wrappers_come_off_inside_names(state: dict[str, int], count: int) -> None:
    for wanted in ((), tuple(RAW)):
        found, notes = strip_prefixes({name: torch.ones(1) for name in state}, wanted)
        assert set(found) == set(RAW)
        assert sum(note.endswith(f"inside {count} keys") for note in notes) == 1


def test_names_of_the_model_are_never_changed() -> None:
    names = ("model.module.weight", "loss.weight", "ema.weight", "module._orig_mod.bias")
    state = {name: torch.ones(1) for name in names}
    assert strip_prefixes(state, names) == (state, [])
    assert strip_prefixes(under("_orig_mod.module.net", state), names)[0] != {}


def test_two_tensors_of_one_name_are_refused_unless_they_are_equal() -> None:
    both = {"enc.weight": torch.ones(2), "_orig_mod.enc.weight": torch.ones(2)}
    assert set(strip_prefixes(both)[0]) == {"enc.weight"}
    for other in (torch.zeros(2), torch.ones(3), torch.ones(2, dtype=torch.int64)):
        with pytest.raises(ValueError, match="two different tensors enc.weight once _orig_mod.enc"):
            strip_prefixes(both | {"_orig_mod.enc.weight": other})


@pytest.mark.parametrize(
    "name",
    [
        *("criterion.weight", "loss.mel.fb", "losses.0.window", "loss_fn.a", "mel_loss.fb"),
        *(
            "multi_resolution_stft_loss.0.window",
            "mrstft.a",
            "discriminator.0.weight",
            "sdr_metric.n",
        ),
        *("module.criterion.weight", "_orig_mod.criteria.0.a"),
    ],
)
def test_weights_of_losses_are_left_out_and_said(name: str) -> None:
    for prefix in ("model.", "_orig_mod.net.", ""):
        state = {f"{prefix}{key}": tensor for key, tensor in RAW.items()}
        found, notes = strip_prefixes(state | {name: torch.ones(1)}, RAW)
        check_same(found, RAW)
        assert any(note.startswith("left out 1 tensors of training, under ") for note in notes)


def test_other_extra_weights_are_still_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.CKPT"
    torch.save({"state_dict": under("model", {**STATE, "head.weight": torch.ones(1)})}, path)
    with pytest.raises(ValueError, match="has the unknown key head.weight"):
        load_checkpoint(PAPER, str(path), "demo")


def test_a_lightning_checkpoint_loads_with_notes(tmp_path: Path) -> None:
    inside = {name.replace("encode.", "encode._orig_mod."): t for name, t in STATE.items()}
    found = {"state_dict": {**under("model", inside), "loss.window": torch.ones(4)}, "epoch": 1}
    torch.save(found, tmp_path / "x.CKPT")
    checkpoint = load_checkpoint(PAPER, str(tmp_path / "x.CKPT"), "demo")
    check_same(checkpoint.model.state_dict(), STATE)
    assert checkpoint.notes[1:] == (
        "unwrapped 'state_dict'",
        "removed '_orig_mod.' inside 2 keys",
        "left out 1 tensors of training, under loss",
        "removed the prefix 'model.' from every key",
    )


def test_sections_within_themselves_end() -> None:
    loop: dict[str, Any] = {"epoch": 1}
    loop["model"] = loop["ema"] = loop["state_dict"] = loop
    with pytest.raises(ValueError, match="holds no state dict, 'epoch' of its 4 entries"):
        unwrap(loop)
    check_same(unwrap({**loop, "model": {**RAW, "state": loop}})[0], RAW)


@pytest.mark.parametrize("name", ["a\x1b[31m", "a\nb", "a" * 301])
def test_names_that_would_garble_a_terminal_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not one of weights: save") as caught:
        unwrap({name: torch.ones(1)})
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ({"a": torch.zeros(2, 2).to_sparse()}, "a is sparse, nested or without numbers"),
        ({"a": torch.zeros(2, device="meta")}, "a is sparse, nested or without numbers"),
        ({"encode.bias": STATE["encode.bias"] + 0j}, "has complex numbers in encode.bias"),
    ],
)
def test_weights_that_are_no_plain_numbers_are_refused(
    entry: dict[str, Tensor], what: str, tmp_path: Path
) -> None:
    torch.save({**STATE, **entry}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=what):
        load_checkpoint(PAPER, str(tmp_path / "x.pt"), "demo")


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": RAW, "ema": {"decay": 0.9, "shadow_params": [*AVERAGE.values()]}},
        {"model": RAW, "ema": [*AVERAGE.values()]},
        {**RAW, "shadow_params": tuple(AVERAGE.values())},
        {"state": {"model": RAW, "model_ema": {"module": {"shadow": [*AVERAGE.values()]}}}},
    ],
)
def test_a_moving_average_without_names_is_told(content: dict[str, Any]) -> None:
    found, notes = unwrap(content)
    check_same(found, RAW)
    [note] = [note for note in notes if "moving average of 3 tensors without names" in note]
    assert "the raw weights are used" in note


def test_lists_of_tensors_that_are_no_average_are_not_taken_for_one() -> None:
    training = {"optimizer": {"params": [torch.ones(1)]}}
    _, notes = unwrap({**RAW, **training, "ema": [], "swa_model": [1]})
    assert not [note for note in notes if "without names" in note]
