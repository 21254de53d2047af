"""config.json and model.safetensors: what comes back, from where, and what is refused."""

import errno
import json
import os
import random
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny_paper.model import TinyMask
from tiny_paper.paper import PAPER
from tiny_songs import demo_recipe

from mss_shared.checkpoints import load_checkpoint
from mss_shared.hub import fetch, open_pretrained, push, save_pretrained
from mss_shared.hub.remote import is_repository
from mss_shared.testing_mutations import count_escapes, mutate_json


@pytest.fixture
def model() -> Any:
    torch.manual_seed(3)
    return PAPER.build_model(demo_recipe().recipe)


@pytest.fixture
def folder(model: Any, tmp_path: Path) -> Path:
    save_pretrained(PAPER, model, tmp_path / "folder")
    return tmp_path / "folder"


def same(model: Any, other: Any) -> bool:
    ours, theirs = model.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def change(folder: Path, **values: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    config = {name: value for name, value in {**config, **values}.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(config))


def test_a_model_comes_back_with_its_recipe(model: Any, folder: Path) -> None:
    again = open_pretrained(PAPER, TinyMask, str(folder))
    assert same(model, again) and not again.training and again.recipe == demo_recipe().recipe
    config = json.loads((folder / "config.json").read_text())
    assert (config["paper"], config["architecture"], config["recipe_name"]) == (
        "tiny_paper",
        "TinyMask",
        "demo",
    )
    assert config["stems"] == ["vocals", "drums"] and config["sample_rate"] == 8_000
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_the_folder_is_a_checkpoint_as_well(model: Any, folder: Path) -> None:
    checkpoint = load_checkpoint(PAPER, str(folder))
    assert same(model, checkpoint.model) and checkpoint.recipe_name == "demo"
    assert checkpoint.training is None


def test_a_changed_recipe_has_no_shipped_name(tmp_path: Path) -> None:
    save_pretrained(PAPER, PAPER.build_model(demo_recipe(model={"width": 3}).recipe), tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["recipe_name"] == "custom"
    assert open_pretrained(PAPER, TinyMask, str(tmp_path)).recipe.model.width == 3


def test_a_run_folder_is_not_overwritten(model: Any, folder: Path) -> None:
    (folder / "config.json").unlink()
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(ValueError, match="is there without config.json, as in a run folder"):
        save_pretrained(PAPER, model, folder)
    assert (folder / "model.safetensors").read_bytes() == before


def fill_disk(monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    """Let no file with this ending be written, as on a full disk."""

    def refuse(kind: str) -> None:
        real = getattr(Path, kind)

        def write(self: Path, content: Any, **options: Any) -> Any:
            if self.suffix == ending:
                self.touch()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(self, content, **options)

        monkeypatch.setattr(Path, kind, write)

    refuse("write_text")
    refuse("write_bytes")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_on_a_full_disk_neither_file_appears_and_the_next_call_can_have_the_folder(
    name: str, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "new"
    with monkeypatch.context() as patch:
        fill_disk(patch, Path(name).suffix)
        with pytest.raises(OSError, match=f"No space left on device: '{folder / name}'"):
            save_pretrained(PAPER, model, folder)
    assert not [*folder.iterdir()]
    save_pretrained(PAPER, model, folder)
    assert same(model, open_pretrained(PAPER, TinyMask, str(folder)))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_on_a_full_disk_a_model_that_was_there_stays_whole(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    other = PAPER.build_model(demo_recipe(model={"width": 3}).recipe)
    with monkeypatch.context() as patch:
        fill_disk(patch, Path(name).suffix)
        with pytest.raises(OSError, match="No space left"):
            save_pretrained(PAPER, other, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    save_pretrained(PAPER, other, folder)
    assert same(other, open_pretrained(PAPER, TinyMask, str(folder)))
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_a_folder_in_the_place_of_the_config_leaves_no_weights_alone(
    model: Any, tmp_path: Path
) -> None:
    (tmp_path / "config.json").mkdir()
    with pytest.raises(IsADirectoryError):
        save_pretrained(PAPER, model, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_what_a_kill_between_the_two_leaves_can_be_written_over(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def move(moves: list[tuple[Path, Path]]) -> None:
        os.replace(*moves[0])
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("mss_shared.atomic.replace_all", move)
        with pytest.raises(Killed):
            save_pretrained(PAPER, model, tmp_path)
    save_pretrained(PAPER, model, tmp_path)
    assert same(model, open_pretrained(PAPER, TinyMask, str(tmp_path)))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"paper": "bs_roformer"}, "is of 'bs_roformer', not of tiny_paper: open it with its own"),
        ({"paper": ...}, "is of None, not of tiny_paper"),
        ({"recipe": ...}, "has neither a recipe nor arguments"),
        ({"recipe_name": "../../x"}, "the recipe_name of .* is '../../x'"),
        ({"recipe": {"model": {}}}, "lacks .*reproduces"),
        ({"recipe": ..., "positional": [], "arguments": {}, "architecture": "os.system"}, "of 'os"),
    ],
)
def test_a_config_of_something_else_is_refused(
    folder: Path, values: dict[str, Any], sentence: str
) -> None:
    change(folder, **values)
    with pytest.raises(ValueError, match=sentence):
        open_pretrained(PAPER, TinyMask, str(folder))


def test_a_class_must_be_that_of_the_model(folder: Path) -> None:
    class Other(torch.nn.Module):
        pass

    with pytest.raises(ValueError, match="is of TinyMask, not of Other: open it with that class"):
        open_pretrained(PAPER, Other, str(folder))


def test_weights_must_be_the_models(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["recipe"]["model"]["width"] = 5
    change(folder, recipe=config["recipe"])
    with pytest.raises(ValueError, match=r"of shape \(4, .* model \(5, "):
        open_pretrained(PAPER, TinyMask, str(folder))
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="there is no .*model.safetensors"):
        open_pretrained(PAPER, TinyMask, str(folder))


def test_a_size_that_no_model_has_takes_no_memory(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["recipe"]["model"]["width"] = 2**40
    change(folder, recipe=config["recipe"])
    with pytest.raises(ValueError, match="have a size of"):
        open_pretrained(PAPER, TinyMask, str(folder))


def test_no_config_ends_in_anything_but_a_sentence(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())

    def read(content: bytes) -> Any:
        (folder / "config.json").write_bytes(content)
        return open_pretrained(PAPER, TinyMask, str(folder))

    assert count_escapes(read, lambda choose: mutate_json(config, choose), 150) == {}
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_arguments_that_are_no_plain_values_are_refused(tmp_path: Path) -> None:
    built = SimpleNamespace(constructor_arguments=lambda: ([], {"window": torch.zeros(2)}))
    with pytest.raises(ValueError, match="the argument window of the model is tensor"):
        save_pretrained(PAPER, built, tmp_path / "x")
    assert not (tmp_path / "x").exists()


class Hub:
    """A hub that is a folder: the functions of huggingface_hub that are called."""

    def __init__(self, root: Path) -> None:
        self.root, self.asked = root, list[tuple[str, str, str | None]]()

    def hf_hub_download(self, *, repo_id: str, filename: str, revision: str | None) -> str:
        self.asked.append((repo_id, filename, revision))
        path = self.root / repo_id / filename
        if not path.is_file():
            raise RuntimeError(f"404: {repo_id}\nhas no {filename}")
        return str(path)

    def HfApi(self) -> Any:
        return self

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> None:
        assert exist_ok
        (self.root / repo_id).mkdir(parents=True)
        (self.root / repo_id / "private").write_text(str(private))

    def upload_folder(self, *, folder_path: str, repo_id: str) -> str:
        for path in Path(folder_path).iterdir():
            (self.root / repo_id / path.name).write_bytes(path.read_bytes())
        return f"hub://{repo_id}"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    hub = Hub(tmp_path / "hub")
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    return hub


def test_what_is_pushed_is_fetched(model: Any, folder: Path, hub: Hub) -> None:
    assert push(folder, "ann/tiny") == "hub://ann/tiny"
    assert (hub.root / "ann" / "tiny" / "private").read_text() == "True"
    again = open_pretrained(PAPER, TinyMask, "ann/tiny", revision="v1")
    assert same(model, again)
    assert hub.asked == [
        ("ann/tiny", "config.json", "v1"),
        ("ann/tiny", "model.safetensors", "v1"),
    ]


def test_what_is_not_on_the_hub_is_a_sentence(hub: Hub, folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"ann/none can't be fetched .*404: ann/none has"):
        fetch("ann/none")
    with pytest.raises(ValueError, match="'tiny' names no repository: write it as user/name"):
        push(folder, "tiny")
    hub.root.mkdir(exist_ok=True)
    (hub.root / "ann").write_text("in the way")
    with pytest.raises(ValueError, match="can't be pushed to ann/tiny"):
        push(folder, "ann/tiny")


def test_without_the_extra_it_is_said_how_to_get_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModuleNotFoundError, match=r'runs/none, and .*pip install "mss-shared\[hub'):
        open_pretrained(PAPER, TinyMask, "runs/none")
    with pytest.raises(ModuleNotFoundError, match="to push to ann/tiny, huggingface_hub is needed"):
        push(folder, "ann/tiny")
    with pytest.raises(FileNotFoundError, match="there is no folder none: give a folder, user/nam"):
        open_pretrained(PAPER, TinyMask, "none")


def test_which_texts_name_repositories() -> None:
    choose = random.Random(0)
    assert is_repository("ann/tiny-1.0_b")
    marks = "ab./-_ \n:\\"
    for _ in range(2000):
        text = "".join(choose.choice(marks) for _ in range(choose.randrange(8)))
        if is_repository(text):
            assert text.count("/") == 1 and ".." not in text.split("/")
            assert not text.startswith((".", "/")) and text.isprintable()
