import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch

from mss_shared.checkpoints.file_kinds import find_kind
from mss_shared.checkpoints.third_party import read_weights_file

WEIGHTS = {"a.weight": torch.arange(600.0).reshape(20, 30), "a.bias": torch.ones(20)}
POINTER = (
    b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 204800123\n",
    r"it is a Git LFS pointer of \d+ bytes: run `git lfs pull`",
)


def pickled() -> bytes:
    file = io.BytesIO()
    torch.save(WEIGHTS, file)
    return file.getvalue()


def zipped(**files: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    return file.getvalue()


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "it is empty: download"),
        POINTER,
        (b"\n <!DOCTYPE html><html lang=en>", "it is a web page: the address gave a page"),
        (b"<html>", "it is a web page"),
        ("\ufeff<!doctype HTML>".encode(), "it is a web page"),
        ("<html>\n".encode("utf-16"), "it is a web page"),
        (b'{"message": "Not Found"}', "it is a text that begins with '{\"message"),
        (b"Entry not found", "a text that begins with 'Entry not found': pass the weights"),
        (b"model:\n  dim: 64 \x1b[31m" + b"x" * 9000, "it begins with the bytes 6d 6f"),
        ("größe ".encode() * 2000, "it is a text that begins with 'größe größe"),
        (zipped(), "it is a zip archive with nothing in it, not one of PyTorch: unpack it"),
        (zipped(**{"d/model.ckpt": b"x"}), "archive with 'model.ckpt' in it, not one of PyTorch"),
        (zipped(**{"m/data.pkl": b"x", "m/constants.pkl": b""}), "it is a TorchScript program"),
        (pickled()[:-100], "it is a zip archive that is cut short or damaged: download"),
        (b"PK\x03\x04", "it is a zip archive that is cut short or damaged: download"),
        (safetensors.torch.save(WEIGHTS)[:-1], r"it is cut short, \d+ bytes of at least \d+: down"),
        (safetensors.torch.save(WEIGHTS)[:30], "it is cut short, 30 bytes of at least"),
        (tarred(), "it is a tar archive: unpack it"),
        (b"\x1f\x8b\x08\x00", "it is a gzip archive: unpack it"),
        (b"RIFF\x00\x00\x00\x00WAVE", "it is a sound file: pass sounds without --checkpoint"),
        (bytes(5000), "its first 4096 bytes are zeros: the download did not end"),
        (b"\x00\x01\xff\xfe", "it begins with the bytes 00 01 ff fe, as no weights file"),
        (b"\x80\x02}q\x00.", "it is cut short or damaged|holds more than tensors"),
    ],
)
def test_what_stands_in_the_place_of_weights_is_named(
    content: bytes, sentence: str, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{suffix} can't be read as plain .*({sentence})") as e:
        read_weights_file(path)
    assert str(e.value).isprintable()


@pytest.mark.parametrize("length", [0, 7, 8, 9, 40, 300, 2000])
def test_a_truncated_download_is_refused_at_any_length(length: int, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    for content in (pickled(), safetensors.torch.save(WEIGHTS)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="can't be read as plain weights"):
            read_weights_file(path)


@pytest.mark.parametrize("suffix", [".ckpt", ".CKPT", ".Pth", ".safetensors", ".SafeTensors"])
def test_weights_are_read_by_their_content(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    for content, kind in ((pickled(), "pickled"), (safetensors.torch.save(WEIGHTS), "safetensors")):
        path.write_bytes(content)
        assert find_kind(path) == kind
        found = read_weights_file(path)
        assert all(torch.equal(found.state[name], WEIGHTS[name]) for name in WEIGHTS)
        misnamed = (kind == "safetensors") != (suffix.lower() == ".safetensors")
        notes = (f"x{suffix} is {kind} by its content, and was read as such",)
        assert found.notes == (notes if misnamed else ())


def test_a_header_that_promises_nonsense_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    for header in ({"a": 3}, {"a": {"data_offsets": [0, 1e999]}}, {}, {"a": {}}, []):
        text = json.dumps(header).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text)
        with pytest.raises(ValueError, match="can't be read as plain weights|is empty|zero"):
            read_weights_file(path)
