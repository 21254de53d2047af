"""Recipes: complete, typed, nothing unread; overrides; sources; any text ends in one sentence."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any, ClassVar, get_type_hints

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_paper.recipe import ModelConfig, Recipe, TrainingConfig
from tiny_songs import demo_recipe, without_added_keys

from mss_shared.recipe import (
    LoadedRecipe,
    find_recipe,
    load_recipe,
    recipe_digest,
    recipe_from_text,
    shipped_recipes,
    to_yaml,
)
from mss_shared.recipe_sections import BaseRecipe, DataConfig

DEMO = find_recipe("tiny_paper", "demo")
TEXT = DEMO.read_text(encoding="utf-8")
LEAVES = 42


def load(folder: Path, text: str | bytes, *overrides: str) -> LoadedRecipe[Recipe]:
    path = folder / "row.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_recipe(Recipe, path, overrides)


def changed(old: str, new: str) -> str:
    assert TEXT.count(old) == 1
    return TEXT.replace(old, new)


def test_a_recipe_gives_typed_values(tmp_path: Path) -> None:
    loaded = load(tmp_path, TEXT)
    recipe = loaded.recipe
    assert recipe.reproduces is None and recipe.data.stems == ("vocals", "drums")
    assert recipe.training.lr == 0.005 and recipe.training.epochs == 4
    assert recipe.data.gain_range == (0.5, 1.5) and recipe.model.batch_norm is False
    assert (loaded.name, loaded.text, loaded.verbatim) == ("row", TEXT, None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.training.lr = 1.0  # type: ignore[misc]


def test_a_recipe_has_its_papers_own_sections_in_the_shared_order() -> None:
    names = ["reproduces", "data", "model", "training", "inference", "evaluation"]
    assert [field.name for field in dataclasses.fields(Recipe)] == names
    sections = [get_type_hints(Recipe)[name] for name in names[1:4]]
    assert sections == [DataConfig, ModelConfig, TrainingConfig]


def test_a_recipe_that_names_no_sections_is_refused_as_it_is_written() -> None:
    with pytest.raises(TypeError, match=r"Plain names no sections: write class Plain\(Base"):
        type("Plain", (BaseRecipe,), {})

    @dataclasses.dataclass(frozen=True)
    class Longer(Recipe):
        note: str

    assert dataclasses.fields(Longer)[-1].name == "note"
    assert get_type_hints(Longer, localns={})["model"] is ModelConfig


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs: 4 ", "epohs: 4 ", r"unknown key training\.epohs: choose from batch, epochs"),
        ("reproduces: null", "reproduces: null\nmore: 1", "unknown key more: choose from repr"),
        ("  epochs: 4  # ours\n", "", r"lacks training\.epochs: add it, as a recipe"),
        ("  ema_decay: null  # ours\n", "", r"lacks training\.ema_decay: add it"),
        ("reproduces: null  # ours: no paper\n", "", "lacks reproduces: add it"),
        ("epochs: 4 ", "epochs: 4.5 ", r"recipe row: training\.epochs is 4\.5: give a whole n"),
        ("epochs: 4 ", "epochs: four ", r"recipe row: training\.epochs is four: give a whole n"),
        (
            "ema_decay: null",
            "ema_decay: slow",
            r"recipe row: training\.ema_decay is slow: give a number or null",
        ),
        ("epochs: 4 ", "epochs: null ", r"recipe row: .*training\.epochs"),
        ("keep: last", "keep: 3", r"recipe row: training\.keep is 3: give a text"),
        (
            "batch_norm: false",
            "batch_norm: 0.5",
            r"recipe row: model\.batch_norm is 0\.5: give true or false",
        ),
        ("[0.5, 1.5]", "[0.5]", r"recipe row: data\.gain_range: .*2 elements.*0\.5"),
        ("epochs: 4 ", "epochs: 4\n  epochs: 5 ", r"YAML in line \d+ \(duplicate key epochs\)"),
        ("inference:", "inference: [", r"is not valid YAML in line \d+"),
        ("reproduces: null", "reproduces: 2001-99-99", r"not valid YAML \(month must be in 1..12"),
    ],
)
def test_a_wrong_recipe_is_refused_with_the_place(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        load(tmp_path, changed(old, new))
    assert "\n" not in str(caught.value)


def test_all_missing_keys_are_named_at_once(tmp_path: Path) -> None:
    text = changed("  epochs: 4  # ours\n", "").replace("reproduces: null  # ours: no paper\n", "")
    text = text.replace("  window: triangle  # ours\n", "")
    assert "window" not in text and " epochs:" not in text
    said = r"lacks reproduces, training\.epochs, inference\.window: add them, as a recipe states"
    with pytest.raises(ValueError, match=said):
        load(tmp_path, text)


@pytest.mark.parametrize("text", ["", "3", "[1, 2]", "text", "data"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="row.yaml: the recipe must be a mapping of keys"):
        load(tmp_path, text)


def test_a_section_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    start = TEXT.index("inference:")
    with pytest.raises(ValueError, match="row.yaml: inference must be a mapping of keys"):
        load(tmp_path, TEXT[:start] + "inference: other.yaml\nevaluation: {protocols: [usdr]}\n")


@pytest.mark.parametrize("text", [b"\xff\xe9\x00", b"reproduces: \xe9"])
def test_a_file_that_is_no_utf8_is_refused(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(ValueError, match=r"row\.yaml is not text, byte \d+ is not UTF-8: save it"):
        load(tmp_path, text)


def test_endless_brackets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"row\.yaml is not valid YAML"):
        load(tmp_path, "[" * 5_000)


def test_a_missing_recipe_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no recipe file .*gone\.yaml: check --recipe"):
        load_recipe(Recipe, tmp_path / "gone.yaml")


@pytest.mark.parametrize(
    ("written", "value"),
    [("5e-4", 5e-4), ("5.0e-4", 5e-4), ("5E-4", 5e-4), ("1", 1.0), (".5", 0.5)],
)
def test_a_number_stays_a_number_however_it_is_written(
    tmp_path: Path, written: str, value: float
) -> None:
    lr = load(tmp_path, changed("lr: 5.0e-3", f"lr: {written}")).recipe.training.lr
    assert type(lr) is float and lr == value


@pytest.mark.parametrize("written", ["abc", "true", "[1.0]", "1.0.0"])
def test_a_learning_rate_that_is_no_number_is_refused(tmp_path: Path, written: str) -> None:
    with pytest.raises(ValueError, match=r"training\.lr is .*: give a number$"):
        load(tmp_path, changed("lr: 5.0e-3", f"lr: {written}"))


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("training.lr=nan", "training.lr is nan: give a number"),
        ("training.lr=inf", "training.lr is inf: give a number"),
        ("training.lr=.nan", "training.lr is nan: give a finite number"),
        ("training.lr=-.inf", "training.lr is -inf: give a finite number"),
        ("training.lr=1.0e999", "training.lr is inf: give a finite number"),
        ("training.clip_norm=nan", "training.clip_norm is nan: give a number or null"),
        ("training.batch=1.5", "training.batch is 1.5: give a whole number"),
        ("training.batch=null", "training.batch is null: give a whole number"),
        ("data.gain_range=[.inf, 1.0]", "data.gain_range is inf: give a finite number"),
        ("data.stems=3", "data.stems is 3: give a list"),
        ("inference.overlap=.nan", "inference.overlap is nan: give a finite number"),
    ],
)
def test_a_value_of_another_kind_is_named_with_its_rule(
    tmp_path: Path, word: str, said: str
) -> None:
    with pytest.raises(ValueError) as raised:
        load(tmp_path, changed("lr: 5.0e-3", "lr: 5.0e-3"), f"--recipe.{word}")
    assert str(raised.value).endswith(said) and "<class" not in str(raised.value)


# Overrides


@pytest.mark.parametrize(
    ("word", "section", "field", "value"),
    [
        ("--recipe.training.lr=1.0e-3", "training", "lr", 1e-3),
        ("--recipe.training.lr=1e-3", "training", "lr", 1e-3),
        ("--recipe.training.ema_decay=0.9", "training", "ema_decay", 0.9),
        ("--recipe.data.gain_range=[1,2]", "data", "gain_range", (1.0, 2.0)),
        ("--recipe.model.batch_norm=true", "model", "batch_norm", True),
        ("--recipe.data.stems=[a,b]", "data", "stems", ("a", "b")),
    ],
)
def test_an_override_changes_its_value_the_text_and_the_digest(
    tmp_path: Path, word: str, section: str, field: str, value: object
) -> None:
    plain, other = load(tmp_path, TEXT), load(tmp_path, TEXT, word)
    assert getattr(getattr(other.recipe, section), field) == value
    assert not other.verbatim and other.digest != plain.digest
    assert recipe_from_text(Recipe, other.text, "row") == other.recipe
    assert sum(other.leaf_sources.values()) == LEAVES
    assert (
        plain.leaf_sources["ours"] <= other.leaf_sources["ours"] <= plain.leaf_sources["ours"] + 1
    )
    rest = dataclasses.replace(
        getattr(other.recipe, section), **{field: getattr(getattr(plain.recipe, section), field)}
    )
    assert dataclasses.replace(other.recipe, **{section: rest}) == plain.recipe


@pytest.mark.parametrize("value", ["5.0e-3", "5e-3", "0.005", "0.0050"])
def test_an_override_with_the_value_it_has_stays_verbatim(tmp_path: Path, value: str) -> None:
    loaded = load(tmp_path, TEXT, f"--recipe.training.lr={value}")
    assert loaded.verbatim is None and loaded.text == TEXT
    assert loaded.digest == load(tmp_path, TEXT).digest


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("--recipe.training=x.yaml", r"--recipe\.training is a section, not a value: choose one"),
        ("--recipe.training={}", r"--recipe\.training is a section, not a value: choose one"),
        ("--recipe.training.l=3", r"no --recipe\.training\.l, 'l' is unknown: choose .*lr"),
        ("--recipe.train.lr=3", r"no --recipe\.train\.lr, 'train' is unknown: choose .*training"),
        ("--recipe.=3", "'' is unknown"),
        ("--recipe.data.polarity_odds=1", "is unknown: it is now called polarity_prob"),
        ("--recipe.data.stems+=x", r"no --recipe\.data\.stems\+"),
        ("--recipe.training.lr=fast", r"recipe row: training\.lr is fast: give a number"),
        ("--recipe.training.lr=", r"recipe row: training\.lr"),
        ("--recipe.training.lr.x=3", r"recipe row: training\.lr has no x: give a number"),
    ],
)
def test_a_wrong_override_is_refused_by_name(tmp_path: Path, word: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(tmp_path, TEXT, word)


# Digest and sources


def test_the_digest_ignores_comments_and_order_and_sees_every_value(tmp_path: Path) -> None:
    digest = load(tmp_path, TEXT).digest
    values = yaml.safe_load(TEXT)
    turned = {
        key: dict(reversed(value.items())) if isinstance(value, dict) else value
        for key, value in reversed(values.items())
    }
    assert load(tmp_path, yaml.safe_dump(turned, sort_keys=False)).digest == digest
    recipe = load(tmp_path, TEXT).recipe
    digests = {digest}
    for name in ("data", "training", "inference"):
        section: Any = getattr(recipe, name)
        for field in dataclasses.fields(section):
            other = dataclasses.replace(section, **{field.name: "other"})
            digests.add(recipe_digest(dataclasses.replace(recipe, **{name: other})))
    assert len(digests) == 1 + 13 + 15 + 5


def test_yaml_of_a_recipe_is_read_as_the_same_recipe(tmp_path: Path) -> None:
    recipe = load(tmp_path, TEXT).recipe
    assert load(tmp_path, to_yaml(recipe)).recipe == recipe


def shipped(folder: Path, old: str = "", new: str = "", *overrides: str) -> LoadedRecipe[Recipe]:
    """A copy of the shipped recipe under its own name, with a change."""
    path = folder / "demo.yaml"
    path.write_text(changed(old, new) if old else TEXT, encoding="utf-8")
    return load_recipe(Recipe, path, overrides)


def test_verbatim_are_the_values_of_the_shipped_recipe_of_that_name(tmp_path: Path) -> None:
    assert load_recipe(Recipe, DEMO).verbatim is True
    assert shipped(tmp_path).verbatim is True
    assert shipped(tmp_path, "lr: 5.0e-3", "lr: 0.005").verbatim is True
    assert shipped(tmp_path, "lr: 5.0e-3", "lr: 9.0e-3").verbatim is False
    back = shipped(tmp_path, "lr: 5.0e-3", "lr: 9.0e-3", "--recipe.training.lr=0.005")
    assert back.verbatim is True
    assert load_recipe(Recipe, DEMO, ["--recipe.training.lr=1.0"]).verbatim is False


def test_a_recipe_of_ones_own_is_not_measured_against_a_shipped_one(tmp_path: Path) -> None:
    assert load(tmp_path, TEXT).verbatim is None
    assert load(tmp_path, TEXT, "--recipe.training.lr=1.0").verbatim is False


@pytest.mark.parametrize(
    ("source", "leaf", "old", "new"),
    [
        ("paper", "training.lr", "lr: 5.0e-3", "9.0e-3"),
        ("code", "data.gain_range", "gain_range: [0.5, 1.5]", "[0.5, 2.5]"),
    ],
)
def test_a_changed_value_counts_as_ours_whatever_its_comment_says(
    tmp_path: Path, source: str, leaf: str, old: str, new: str
) -> None:
    plain = load_recipe(Recipe, DEMO).leaf_sources
    for loaded in (
        load_recipe(Recipe, DEMO, [f"--recipe.{leaf}={new}"]),
        shipped(tmp_path, old, f"{old.partition(':')[0]}: {new}"),
    ):
        assert loaded.leaf_sources[source] == plain[source] - 1
        assert loaded.leaf_sources["ours"] == plain["ours"] + 1


def test_the_comments_of_an_edited_copy_prove_nothing(tmp_path: Path) -> None:
    copy = tmp_path / "demo.yaml"
    copy.write_text(TEXT.replace("# ours", "# paper"), encoding="utf-8")
    loaded = load_recipe(Recipe, copy)
    assert loaded.verbatim is True
    assert loaded.leaf_sources == load_recipe(Recipe, DEMO).leaf_sources


# Names


def test_shipped_recipes_are_found_by_name_and_others_by_path() -> None:
    names = [path.stem for path in shipped_recipes("tiny_paper")]
    assert names == ["demo", "row_drums", "row_vocals"] and DEMO in shipped_recipes("tiny_paper")
    assert find_recipe("tiny_paper", "some/where.yaml") == Path("some/where.yaml")
    assert find_recipe("tiny_paper", "where.yml") == Path("where.yml")
    assert find_recipe("tiny_paper", "~/where.yaml") == Path.home() / "where.yaml"


def test_an_unknown_recipe_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match="'dmeo' in tiny_paper: did you mean demo, or give the"):
        find_recipe("tiny_paper", "dmeo")


def test_a_package_that_is_not_installed_is_named() -> None:
    with pytest.raises(ValueError, match="no_such_paper is not installed: pip install it"):
        shipped_recipes("no_such_paper")


# Anything


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.lists(st.integers() | st.text(max_size=3), max_size=3)
)


@st.composite
def spoiled(draw: st.DrawFn) -> str:
    """The demo recipe with one value replaced, removed or added."""
    values: dict[str, Any] = yaml.safe_load(TEXT)
    section = draw(st.sampled_from(sorted(values)))
    place = values[section] if draw(st.booleans()) else values
    place = values if not isinstance(place, dict) else place
    key = draw(st.sampled_from(sorted(place)) | st.text(max_size=3))
    if draw(st.booleans()):
        place[key] = draw(leaves | st.dictionaries(st.text(max_size=3), leaves, max_size=2))
    else:
        place.pop(key, None)
    return str(yaml.safe_dump(values, allow_unicode=True))


@settings(max_examples=40)
@given(st.text() | st.binary() | spoiled())
def test_any_text_ends_in_a_recipe_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, text: str | bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        assert isinstance(load(folder, data).recipe, Recipe)
    except ValueError as error:
        assert "row" in str(error)


def test_a_header_of_old_weights_with_odds_still_loads(tmp_path: Path) -> None:
    recipe = demo_recipe().recipe
    old = to_yaml(recipe).replace("_prob:", "_odds:")
    assert old.count("_odds:") == 6
    assert recipe_from_text(Recipe, old, "demo") == recipe
    path = tmp_path / "mine.yaml"
    path.write_text(old)
    with pytest.raises(ValueError, match="key data.random_mix_odds: it is now called random_m"):
        load_recipe(Recipe, path)


def test_a_key_added_later_keeps_old_weights_and_the_digests_of_recipes_that_mean_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = demo_recipe().recipe
    older = without_added_keys(recipe).replace("  lr: 0.005\n", "")
    assert len(older.splitlines()) == len(to_yaml(recipe).splitlines()) - len(BaseRecipe.added) - 1
    monkeypatch.setattr(Recipe, "added", {**BaseRecipe.added, "training.lr": 0.005})
    assert recipe_from_text(Recipe, older, "demo") == recipe
    assert recipe_digest(recipe) == hashlib.sha256(older.encode()).hexdigest()
    other = dataclasses.replace(recipe, training=dataclasses.replace(recipe.training, lr=0.006))
    changed_text = without_added_keys(other)
    assert "lr: 0.006" in changed_text
    assert recipe_digest(other) == hashlib.sha256(changed_text.encode()).hexdigest()
    path = tmp_path / "mine.yaml"
    path.write_text(older)
    with pytest.raises(ValueError, match="lacks training.average_best, .*, training.lr: add them"):
        load_recipe(Recipe, path)


def test_the_keys_that_a_paper_got_later_do_not_replace_those_of_all_papers() -> None:
    class Later(Recipe):
        added: ClassVar[dict[str, Any]] = {"model.width": 4}

    assert Later.added == {**BaseRecipe.added, "model.width": 4}
    assert Recipe.added == BaseRecipe.added and len(Recipe.added) == 4
