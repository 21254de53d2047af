"""Data sets that other packages register: how they are opened, built, named in errors."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny_songs import noise, write_set, write_track

from mss_shared.cli.mss_data import main
from mss_shared.datasets import open_dataset, plugins

LAB = """
from pathlib import Path

heard = []


def open_lab(variant, progress):
    heard.append((variant, progress))
    return Path(__file__).parent / "songs" / (variant or "studio")


def opened(variant, progress):
    from mss_shared.datasets import open_dataset

    return open_dataset(open_lab(variant, progress))


def refuses(variant, progress):
    raise ValueError(f"there is no {variant!r}: choose live")


def breaks(variant, progress):
    return {}["songs"]


def text(variant, progress):
    return "songs"


class Built:
    def __call__(self, variant, progress):
        return open_lab(variant, progress)

    def add_flags(self, parser):
        parser.add_argument("--takes", type=int, default=1)

    def build(self, arguments, progress):
        progress("song", 1, 1)
        return Path("built") / str(arguments.takes)


built = Built()
"""
Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a package on the path that registers data sets: install("lab-songs", lab="open_lab")."""

    def install(package: str, **entries: str) -> Path:
        module = package.replace("-", "_")
        site = tmp_path / f"site-{package}"
        about = site / f"{module}-1.0.dist-info"
        about.mkdir(parents=True)
        (site / f"{module}.py").write_text(LAB)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {module}:{value}" for name, value in entries.items()]
        (about / "entry_points.txt").write_text("\n".join(["[mss_shared.datasets]", *lines]))
        monkeypatch.syspath_prepend(str(site))
        return site

    before = set(sys.modules)
    yield install
    for name in set(sys.modules) - before:
        if name.endswith("_songs"):
            del sys.modules[name]


def write_songs(root: Path, name: str) -> None:
    for place in ("train/a", "train/b", "test/x"):
        write_track(root / place, {"vocals": noise(1), "drums": noise(2)})
    (root / "manifest.json").write_text(json.dumps({"name": name, "validation": ["b"]}))


def test_a_registered_name_opens_the_folder_that_its_plugin_returns(install: Install) -> None:
    site = install("lab-songs", lab="open_lab")
    write_songs(site / "songs" / "studio", "lab")
    write_songs(site / "songs" / "live", "lab_live")

    def progress(song: str, done: int, total: int) -> None: ...

    plain, live = open_dataset("lab"), open_dataset("lab:live", progress)
    assert (plain.name, live.name) == ("lab", "lab_live")
    for dataset in (plain, live):
        assert [track.name for track in dataset.train] == ["a"]
        assert [track.name for track in dataset.valid] == ["b"]
        assert [track.name for track in dataset.test] == ["x"]
    assert sys.modules["lab_songs"].heard == [("", None), ("live", progress)]


def test_a_plugin_may_return_an_opened_data_set(install: Install) -> None:
    site = install("lab-songs", lab="opened")
    write_songs(site / "songs" / "live", "lab_live")
    assert open_dataset("lab:live").name == "lab_live"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("refuses", "lab-songs can't open lab:studio: there is no 'studio': choose live"),
        ("breaks", "lab-songs can't open lab:studio: KeyError: 'songs'"),
        ("text", "lab-songs can't open lab:studio: lab_songs:text returned a str, and must return"),
        ("gone", r"lab of lab-songs can't be loaded from lab_songs:gone \(AttributeError: .*gone"),
    ],
)
def test_a_plugin_that_fails_is_named(install: Install, value: str, said: str) -> None:
    install("lab-songs", lab=value)
    with pytest.raises(ValueError, match=said):
        open_dataset("lab:studio")


def test_a_folder_that_a_plugin_names_must_be_there(install: Install) -> None:
    site = install("lab-songs", lab="open_lab")
    with pytest.raises(
        ValueError, match="lab-songs can't open lab: .*/songs/studio is not a folder"
    ):
        open_dataset("lab")
    assert not (site / "songs").exists()


def test_a_layouts_name_stays_ours_and_a_warning_says_so(install: Install, tmp_path: Path) -> None:
    install("lab-songs", aligned="open_lab")
    for place in ("train/a", "train/b"):
        write_track(tmp_path / "pairs" / place, {"mixture": noise(1), "vocals": noise(2)})
    with pytest.warns(UserWarning, match="aligned of lab-songs is ignored: .* for mss-shared"):
        dataset = open_dataset(f"aligned:{tmp_path}/pairs")
    assert set(dataset.train[0].stems) == {"vocals", "rest"}
    assert "lab_songs" not in sys.modules


def test_the_name_of_the_demo_songs_stays_theirs(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("lab-songs", demo="open_lab")
    with pytest.warns(UserWarning, match="demo of lab-songs is ignored: .* for mss-demo-songs"):
        with pytest.raises(ValueError, match="mss-demo-songs can't open demo:huge"):
            open_dataset("demo:huge")


def test_without_the_demo_songs_their_name_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plugins, "entry_points", lambda **_: ())
    said = (
        r"^the data set demo comes with the package mss-demo-songs, which is not installed: "
        r"pip install ./shared/demo_songs, in the repository$"
    )
    for name in ("demo", "demo:tiny"):
        with pytest.raises(ModuleNotFoundError, match=said):
            open_dataset(name)


def test_two_packages_of_one_name_are_refused(install: Install) -> None:
    install("lab-songs", lab="open_lab")
    install("other-songs", lab="open_lab")
    with pytest.raises(ValueError, match="lab-songs and other-songs both have a data set lab: un"):
        open_dataset("lab")


def test_a_folder_of_a_plugins_name_is_opened_by_its_path(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = install("lab-songs", lab="open_lab")
    write_songs(site / "songs" / "studio", "theirs")
    write_set(tmp_path / "lab", {"test/x": 1})
    monkeypatch.chdir(tmp_path)
    assert open_dataset("lab").name == "theirs"
    assert open_dataset("./lab").name == "lab"


def mss_data(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["mss-data", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0), *capsys.readouterr()


def test_mss_data_builds_what_a_plugin_builds(
    install: Install, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install("lab-songs", lab="built", plain="open_lab")
    code, out, _ = mss_data(monkeypatch, capsys, "lab", "--takes", "3")
    assert (code, out) == (0, "built/3\n")
    code, _, err = mss_data(monkeypatch, capsys, "plain")
    assert code == 2 and "plain has nothing to build: open it as plain" in err


def test_a_broken_plugin_hinders_no_other_verb(
    install: Install,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install("lab-songs", lab="gone")
    write_set(tmp_path / "set", {"test/x": 1})
    assert mss_data(monkeypatch, capsys, "info", str(tmp_path / "set"))[0] == 0
    code, out, _ = mss_data(monkeypatch, capsys, "--help")
    assert code == 0 and "demo" in out and "lab" in out
    code, _, err = mss_data(monkeypatch, capsys, "lab")
    assert code == 2 and "lab of lab-songs can't be loaded" in err


def test_a_plugin_named_as_a_verb_of_mss_data_hinders_none(
    install: Install,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install("lab-songs", check="open_lab", info="open_lab")
    write_set(tmp_path / "set", {"test/x": 1})
    for words in (["--help"], ["info", str(tmp_path / "set")]):
        assert mss_data(monkeypatch, capsys, *words)[0] == 0


def test_the_commands_open_and_build_the_demo_songs(tmp_path: Path) -> None:
    """By the entry point of the installed package, in a process of its own."""
    words = "demo --train 1 --test 1 --seconds 4 --seed 7 --no_vocals --cache".split()
    data = [sys.executable, "-m", "mss_shared.cli.mss_data"]
    built = subprocess.run([*data, *words, tmp_path], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    told = subprocess.run([*data, "info", built.stdout.strip()], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("demo_1x1x4s_seed7_choir  ")
    refused = subprocess.run([*data, "info", "demo:huge"], capture_output=True, text=True)
    assert refused.returncode == 2
    assert refused.stderr.strip() == (
        "mss-data: error: mss-demo-songs can't open demo:huge: there is no demo set 'huge': "
        "choose demo:tiny, demo:small, demo:full"
    )


@pytest.mark.parametrize("track", ["c", "x", 1, None, ["b"]])
def test_a_manifest_names_tracks_that_are_there(track: object, tmp_path: Path) -> None:
    write_set(tmp_path, {"train/a": 1, "train/b": 2, "test/x": 3})
    manifest = {"name": "lab", "validation": ["b", track]}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"validation of .*manifest\.json names .*, which is none"):
        open_dataset(tmp_path)
