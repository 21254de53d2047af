"""What a file says never chooses where we write: every name and path of every file we open."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unicodedata import category

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tiny_paper.paper import PAPER
from tiny_songs import RATE, demo_recipe, noise, write_track

from mss_shared import audio
from mss_shared.checkpoints.checkpoint import load_checkpoint, save_model
from mss_shared.checkpoints.published import read_published
from mss_shared.cli import run
from mss_shared.cli.mss_eval import main as mss_eval
from mss_shared.datasets import open_dataset
from mss_shared.evaluation.score_files import run_folder, track_file
from mss_shared.interfaces import Checkpoint
from mss_shared.names import inside, is_file_name, is_name, name_like, printable
from mss_shared.recipe import recipe_digest, recipe_from_text, to_yaml
from mss_shared.separation.batch import locks
from mss_shared.separation.batch.inputs import SongFile
from mss_shared.separation.batch.locks import LOCKS
from mss_shared.separation.batch.manifest import MANIFEST, digest
from mss_shared.separation.batch.run import run_batch
from mss_shared.separation.output.options import Guard, Separated
from mss_shared.training.callbacks import Checkpoints
from mss_shared.training.criteria import KEEP

OUTSIDE = ("ci.yaml", "ci.wav", "ci.json", "ci.pth", "ci.ckpt", "ci", "test/ci.json")
HOSTILE = (
    "../../outside/ci",
    "../outside/ci",
    "../../../outside/ci",
    "{root}/outside/ci",
    "x//{root}/outside/ci",
    "x/{root}/outside/ci",
    "/../../outside/ci",
    "..\\..\\outside\\ci",
    "..",
    ".",
    "",
    "a\0b",
    "x\n",
)


class Fence:
    """A tree in which one folder is the user's choice and all else must stay as it is."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / "a" / "work"
        self.work.mkdir(parents=True)
        for name in OUTSIDE:
            for folder in (root / "outside", root / "a" / "outside"):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text("precious")
        self.before = self.tree()

    def hostile(self, text: str) -> str:
        return text.replace("{root}", str(self.root))

    def tree(self) -> dict[Path, str]:
        paths = (path for path in self.root.rglob("*") if path.is_file())
        return {
            path: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in paths
            if not path.is_relative_to(self.work)
        }

    def check(self) -> None:
        assert len(self.before) >= 2 * len(OUTSIDE)
        assert self.tree() == self.before


@pytest.fixture
def fence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fence]:
    fence = Fence(tmp_path)
    temporary = fence.work / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.chdir(fence.work)
    yield fence
    fence.check()


def refusal(act: Callable[[], Any]) -> str | None:
    """The sentence that something is refused with; None if it is not."""
    try:
        act()
    except (ValueError, OSError) as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
        return str(error)
    return None


def write_weights(path: Path, *, without: str = "", **fields: str) -> Path:
    recipe = demo_recipe().recipe
    header = {
        "paper": "tiny_paper",
        "recipe": to_yaml(recipe),
        "recipe_name": "demo",
        "verbatim": "true",
        "leaf_sources": '{"paper": 1}',
        "training": '{"seed": 3}',
    }
    kept = {key: text for key, text in (header | fields).items() if key != without}
    save_model(path, PAPER.build_model(recipe), kept)
    return path


HEADER = ("paper", "recipe", "recipe_name", "verbatim", "leaf_sources", "training")


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", HEADER)
def test_no_field_of_a_header_leads_elsewhere(field: str, text: str, fence: Fence) -> None:
    text = fence.hostile(text)
    path = write_weights(fence.work / "x.safetensors", **{field: text})
    assert refusal(lambda: load_checkpoint(PAPER, str(path)))
    if field in ("verbatim", "leaf_sources", "training"):  # the same in JSON
        odd = json.dumps({"seed": text}) if field == "training" else json.dumps(text)
        path = write_weights(fence.work / "y.safetensors", **{field: odd})
        assert refusal(lambda: load_checkpoint(PAPER, str(path)))


def test_a_recipes_name_of_earlier_times_becomes_a_name(fence: Fence) -> None:
    path = write_weights(fence.work / "x.safetensors", recipe_name="my recipe")
    assert load_checkpoint(PAPER, str(path)).recipe_name == "my_recipe"
    for text in ("x" * 300, "\ud800"):
        assert not is_name(text) and not is_file_name(text)


@pytest.mark.parametrize("field", HEADER[2:])
def test_a_header_without_a_field_is_refused_by_its_name(field: str, fence: Fence) -> None:
    path = write_weights(fence.work / "x.safetensors", without=field)
    assert f"lacks {field}" in (refusal(lambda: load_checkpoint(PAPER, str(path))) or "")


def text_leaves(values: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all texts of a recipe, and of a null that may be one."""
    if isinstance(values, dict | list):
        items = values.items() if isinstance(values, dict) else enumerate(values)
        for key, value in items:
            yield from text_leaves(value, (*place, key))
    elif isinstance(values, str) or place == ("reproduces",):
        yield place


LEAVES = tuple(text_leaves(yaml.safe_load(to_yaml(demo_recipe().recipe))))


def test_the_recipe_has_the_texts_that_are_tried() -> None:
    assert ("model", "stems", 0) in LEAVES and ("evaluation", "protocols", 0) in LEAVES


@pytest.fixture
def songs(fence: Fence) -> Path:
    for name in ("one", "two"):
        signals = {stem: noise(n, samples=RATE) for n, stem in enumerate(("vocals", "drums"))}
        write_track(fence.work / "songs" / "test" / name, signals)
    audio.write(fence.work / "song.wav", noise(5, samples=RATE), RATE)
    return fence.work / "songs"


def exit_code(main: Callable[[], None]) -> int:
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.parametrize("place", LEAVES, ids=lambda place: ".".join(map(str, place)))
def test_no_text_of_a_recipe_leads_elsewhere(
    place: tuple[Any, ...], fence: Fence, songs: Path
) -> None:
    values = yaml.safe_load(to_yaml(demo_recipe().recipe))
    section = values
    for key in place[:-1]:
        section = section[key]
    for text in map(fence.hostile, (HOSTILE[0], HOSTILE[3])):
        section[place[-1]] = text
        path = write_weights(fence.work / "x.safetensors", recipe=yaml.safe_dump(values))
        scoring = ("--scores", "scores", "--estimates", "estimates")
        words = (
            ["separate", "song.wav", "--checkpoint", str(path)],
            ["evaluate", "--data_root", "songs", "--checkpoint", str(path), *scoring],
        )
        codes = [exit_code(partial(run, PAPER, each)) for each in words]
        assert set(codes) <= {0, 2}
        if place[:2] == ("model", "stems"):
            assert codes == [2, 2]
        fence.check()


@pytest.mark.parametrize("text", HOSTILE)
def test_what_names_a_score_folder_stays_below_the_scores(
    text: str, fence: Fence, songs: Path
) -> None:
    model = PAPER.build_model(demo_recipe().recipe)
    text = fence.hostile(text)
    for names in ((text, "m", "r"), ("d", text, "r"), ("d", "m", text)):
        assert refusal(lambda: run_folder(fence.work, *names))  # noqa: B023
    assert refusal(lambda: track_file(fence.work, text, "t"))
    assert refusal(lambda: track_file(fence.work, "bsseval_v4", text))
    for stems in ((text, "drums"), ("vocals", text)):
        model.stems = stems
        assert refusal(lambda: Checkpoint(model, None, "demo", None, None, None, ()))


def score_songs() -> Path:
    words = ["songs", "songs/test", "--out", "scores", "--protocol", "usdr", "--jobs", "1"]
    assert exit_code(lambda: mss_eval(words)) == 0
    [path] = Path("scores").rglob("finished.json")
    return path


def test_no_entry_of_a_journal_removes_what_lies_elsewhere(fence: Fence, songs: Path) -> None:
    path = score_songs()
    entries = json.loads(path.read_text())
    entry = next(iter(entries.values()))
    for text in map(fence.hostile, HOSTILE):
        odd = {f"usdr/{text}": entry, f"{text}/one": entry, text: entry}
        odd |= {f"x/{text}": entry, f"{text}/ci": entry}
        for key, value in entry.items():
            odd[f"usdr/{key}"] = {**entry, key: [value]}
        path.write_text(json.dumps({**entries, **odd}))
        score_songs()
        fence.check()
    for whole in ("[]", "3", "[" * 100_000, '{"usdr/one": 3}', '{"usdr/one": {}}'):
        path.write_text(whole)
        assert json.loads(score_songs().read_text()).keys() == {"usdr/one", "usdr/two"}


def separate(song: SongFile, guard: Guard) -> Separated:
    paths = {"a": Path("out") / song.name / "a.wav"}
    guard.check(paths)
    guard.begin(paths)
    paths["a"].parent.mkdir(parents=True, exist_ok=True)
    paths["a"].write_bytes(b"stem")
    return Separated(paths, None, 0.0, ())


def places(values: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    if isinstance(values, dict):
        for key, value in values.items():
            yield from places(value, (*place, key))


def replaced(values: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    return {**values, place[0]: replaced(values[place[0]], place[1:], value)}


def test_no_field_of_a_manifest_leads_elsewhere_or_blocks_a_folder(fence: Fence) -> None:
    (fence.work / "one.wav").write_text("one")
    song, out = SongFile(fence.work / "one.wav"), Path("out")
    [first] = run_batch([song], out, {}, separate)
    assert first["state"] == "done"
    lines = (out / MANIFEST).read_text().splitlines()
    record = json.loads(lines[-1])
    tried = 0
    for place in places(record):
        for value in (
            *map(fence.hostile, HOSTILE),
            3,
            -1,
            None,
            [],
            {},
            True,
            "[" * 50_000,
            "x/" * 3_000,
        ):
            tried += 1
            line = json.dumps(replaced(record, place, value))
            (out / MANIFEST).write_text("\n".join([*lines, line, ""]))
            [again] = run_batch([song], out, {}, separate)
            is_others = place[:1] == ("input",) and isinstance(value, str | int)
            assert again["state"] in ("done", "skipped") or is_others, again
    assert tried > 200


def test_a_link_in_the_output_folder_leads_nowhere(fence: Fence) -> None:
    """Though a manifest that came with it says that what lies there is the song's."""
    (fence.work / "one.wav").write_text("one")
    song, out = SongFile(fence.work / "one.wav"), Path("out")
    out.mkdir()
    (out / "one").symlink_to(fence.root / "outside")
    (fence.root / "outside" / "a.wav").write_text("precious")
    fence.before = fence.tree()
    origin = {"path": "/x", "bytes": 3, "mtime_ns": 1, "sha256": digest(song.path)}
    line = {"song": "one", "state": "writing", "settings": "s", "input": origin}
    line["outputs"] = {"a": {"path": "one/a.wav"}}
    (out / MANIFEST).write_text(json.dumps(line) + "\n")
    [record] = run_batch([song], out, {}, separate)
    assert record["state"] == "failed" and "would lead out of out by a link" in record["error"]
    fence.check()


@pytest.mark.parametrize("name", [MANIFEST, f"{LOCKS}/x.lock", LOCKS])
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_plain_file_in_the_output_folder_neither_hangs_nor_leads_elsewhere(
    name: str, kind: str, fence: Fence
) -> None:
    (fence.work / "one.wav").write_text("one")
    song, out = SongFile(fence.work / "one.wav"), Path("out")
    path = locks._lock(out, "one") if name.endswith("x.lock") else out / name
    path.parent.mkdir(parents=True)
    if kind == "link":
        path.symlink_to(fence.root / "outside" / ("test" if name == LOCKS else "ci"))
    elif kind == "pipe":
        os.mkfifo(path)
    elif name == LOCKS:
        return  # as it should be
    else:
        path.mkdir()
    said = refusal(lambda: run_batch([song], out, {}, separate)[0].get("error", ""))
    if said is None:
        [record] = run_batch([song], out, {}, separate)
        assert record["state"] == "failed"
    fence.check()


@pytest.mark.parametrize("text", HOSTILE)
def test_no_entry_of_published_weights_leads_elsewhere(
    text: str, fence: Fence, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = fence.hostile(text)
    package = fence.work / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(fence.work)
    values = {"url": "https://x.org/ci.pth", "bytes": 1, "sha256": None, "licence": "MIT"}
    for odd in ({"file": text}, {"url": f"https://x.org/{text}"}):
        if odd.get("file") == "" or (text in ("x\n",) and "url" in odd):
            continue  # as if none were given; white space is no part of an address
        entry = {**values, "recipe": None, **odd}
        (package / "checkpoints.yaml").write_text(yaml.safe_dump({"name": [entry]}))
        said = refusal(lambda: read_published("package"))
        if said is None:
            [found] = read_published("package")["name"]
            assert is_file_name(found.file_name)


@pytest.mark.parametrize("text", [*HOSTILE, 3, None, ["x"]])
def test_the_manifest_of_a_generated_set_names_no_place(
    text: Any, fence: Fence, songs: Path
) -> None:
    text = fence.hostile(text) if isinstance(text, str) else text
    for odd in ({"name": text}, {"validation": text}, {"validation": [text]}):
        about = {"name": "demo_tiny", "validation": [], **odd}
        (songs / "manifest.json").write_text(json.dumps(about))
        said = refusal(lambda: open_dataset(songs))
        assert said or "validation" in odd


def test_a_checkpoint_to_resume_from_names_epochs_by_numbers(fence: Fence) -> None:
    keeper = Checkpoints(fence.work, KEEP["best"], keep_best=True, top=1)
    for text in map(fence.hostile, HOSTILE):
        state = {"lowest": 0.0, "metrics": {}, "top": {text: 1.0}}
        with pytest.raises(ValueError, match="invalid literal"):
            keeper.load_state_dict(state)


@given(st.text())
def test_a_name_is_a_file_name_and_one_part_of_a_path(text: str) -> None:
    like = name_like(text, "otherwise")
    assert is_name(like) and is_file_name(like)
    if is_name(text):
        assert name_like(text, "otherwise") == text
    assert not is_name("a--b") and not is_name("-a") and is_name("a-b")
    if is_file_name(text):
        assert Path("x", text).parts == ("x", text)


@pytest.mark.parametrize("text", [text for text in HOSTILE if text not in ("a\0b", "x\n")])
def test_a_path_that_would_lie_elsewhere_is_refused(text: str, fence: Fence) -> None:
    parts = ("..", "ci") if text.startswith("..\\") else fence.hostile(text).split("//")
    assert refusal(lambda: inside(fence.work, *parts)) or text.startswith("x/{")


def test_a_link_does_not_lead_out(fence: Fence) -> None:
    (fence.work / "link").symlink_to(fence.root / "outside")
    assert "does not lie below" in (refusal(lambda: inside(fence.work, "link", "ci.yaml")) or "")
    assert inside(fence.work, "deep", "new.yaml") == fence.work / "deep" / "new.yaml"


def test_a_recipe_in_weights_is_the_one_of_its_file() -> None:
    loaded = demo_recipe()
    read = recipe_from_text(PAPER.recipe_type, to_yaml(loaded.recipe), "demo")
    assert recipe_digest(read) == loaded.digest


@given(st.text() | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"])))
def test_what_is_printable_commands_nothing_and_letters_stay(text: str) -> None:
    shown = printable(text)
    plain = shown.replace("\u200c", "").replace("\u200d", "")
    assert not {category(mark) for mark in plain} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert printable(shown) == shown
    if text.isprintable():
        assert shown == text


def test_escapes_say_which_character_it_is() -> None:
    assert printable("a\x1b[31m\nb\u202ec\udcff\x9b\u2028") == (
        r"a\x1b[31m\nb\u202ec\udcff\x9b\u2028"
    )
    for text in ("Béla", "日本\u3000語", "می\u200cخواهم", "👩\u200d🎤", "a\\x1b"):
        assert printable(text) == text
