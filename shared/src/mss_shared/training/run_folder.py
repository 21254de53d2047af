"""The folder of a run: whose it is, which run it holds, and its checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from torch import Tensor, nn

from mss_shared import atomic
from mss_shared.leases import acquire, check_plain, make_lease
from mss_shared.names import one_line
from mss_shared.recipe import describe_changes, earlier_digest, recipe_digest
from mss_shared.small_files import read_small_file, read_small_text
from mss_shared.training.begun import FRESH, Begun, Start, read_begun

LOCK = ".fit.lock"
STEP = "step.ckpt"  # the last step within an epoch that is not yet complete
_DIGESTS = "recipe.digest"
_MOST = 2**53  # of epochs, steps and batches
_PARTS: dict[str, type] = {
    "state_dict": Mapping,
    "callbacks": Mapping,
    "loops": Mapping,
    "global_step": int,
    "epoch": int,
    "pytorch-lightning_version": str,
}


@contextmanager
def owned(out: Path, lock: str = LOCK) -> Iterator[None]:
    """Hold a run folder while the block runs; a folder that is then empty is removed.

    In a command: ``with uninterrupted(), owned(out), interruptible():``.

    Raises:
        ValueError: if another process that may be alive holds it.
        OSError: if the folder can't be written.
    """
    check_plain(out / lock)
    lease = make_lease(out / lock)
    try:
        holder = acquire(lease, patient=True)
        if holder is not None:
            raise ValueError(
                f"{out} is in use by {holder.process}: wait until its run has ended, or choose "
                f"another --out"
            )
        try:
            yield
        finally:
            lease.release()
    finally:
        with suppress(OSError):
            out.rmdir()


class RunFolder:
    """A folder, and the recipe, data and seed of the run that it holds or will hold.

    Args:
        path: the folder.
        recipe: the typed recipe.
        fingerprint: of the data set.
        seed: of the run.
        start: what it starts from.
        dev_mode: whether it only checks the pipeline; no other run goes on from it.
    """

    def __init__(
        self,
        path: Path,
        recipe: Any,
        fingerprint: str,
        seed: int,
        *,
        start: Start = FRESH,
        dev_mode: bool = False,
    ) -> None:
        self.path = path
        self.recipe = recipe
        self.start = start
        self.lines = (recipe_digest(recipe), fingerprint, str(seed), *(["dev_mode"] * dev_mode))

    @property
    def last(self) -> Path:
        """The checkpoint of the last epoch that was completed."""
        return self.path / "last.ckpt"

    def find_latest(self) -> list[Path]:
        """The checkpoints to resume from, the latest first: of a step, of the last epoch."""
        last, step = (path if path.is_file() else None for path in (self.last, self.path / STEP))
        # One that is older was left by a process that was killed while it finished an epoch.
        epochs = 0 if last is None else finished_epochs(last)
        found = [step] if step is not None and finished_epochs(step) >= epochs else []
        return found + ([] if last is None else [last])

    def check(self, resume: bool) -> None:
        """Raise ValueError if there is a run and ``resume`` is false, or it is another one."""
        if (self.path / "tensorboard").is_symlink():
            raise ValueError(f"{self.path / 'tensorboard'} leads elsewhere: remove the link")
        if not resume:
            if any((self.path / name).exists() for name in ("metrics.csv", STEP)):
                raise ValueError(
                    f"{self.path} already holds a run: continue it with --resume, or choose "
                    f"another --out"
                )
            return
        differences = self._differences() if read_digests(self.path) else []
        if differences:
            raise ValueError(
                f"{self.path} holds a run of another {', another '.join(differences)}: resume it "
                f"with its own, or choose another --out"
            )

    def is_complete(self) -> bool:
        """Whether the run has left its weights and its record, after `check`."""
        left = all((self.path / name).is_file() for name in ("model.safetensors", "run.json"))
        return left and bool(read_digests(self.path))

    def begin(self, recipe_text: str, begun: Begun) -> None:
        """Write which run the folder holds.

        Args:
            recipe_text: the recipe as YAML.
            begun: what it has started from and hears.
        """
        begun.write(self.path)
        atomic.write_text(self.path / _DIGESTS, "".join(f"{line}\n" for line in self.lines))
        atomic.write_text(self.path / "recipe.yaml", recipe_text)

    def _differences(self) -> list[str]:
        """What distinguishes this run from the folder's, for people."""
        held = read_digests(self.path)
        digest, fingerprint, seed = (held + 3 * [""])[:3]
        if held[3:4] != list(self.lines[3:4]):
            return ["kind (one is a --dev_mode run)"]
        differences = []
        if digest not in (self.lines[0], earlier_digest(self.recipe)):
            differences.append(f"recipe{self._changes()}")
        if fingerprint != self.lines[1]:
            differences.append("data set")
        if seed != self.lines[2]:
            differences.append(f"seed ({seed or 'unknown'}, not {self.lines[2]})")
        begun = read_begun(self.path)
        started = {} if begun is None else begun.asked
        if started != self.start.asked():
            differences.append(f"start ({_words(started)}, not {_words(self.start.asked())})")
        return differences

    def _changes(self) -> str:
        """The values that differ from those of the folder's recipe, if that can be read."""
        try:
            text = read_small_text(self.path / "recipe.yaml")
            changes = describe_changes(text, self.recipe)
        except (OSError, ValueError):
            return ""
        return f" ({changes})" if changes else ""


def read_digests(folder: Path) -> list[str]:
    """Which run a folder holds: digests of recipe and data, seed, kind; empty if it holds none."""
    file = folder / _DIGESTS
    if not file.is_file():
        return []
    return read_small_file(file).decode("utf-8", errors="replace").splitlines()


def _words(asked: Mapping[str, Any]) -> str:
    """What a run was asked to start from, as on the command line."""
    flags = {"parent": "continue"}
    words = [f"--{flags.get(name, name)} {value}" for name, value in asked.items()]
    return " ".join(words) or "fresh weights"


class BesideTarget(TorchCheckpointIO):
    """Writes a checkpoint beside its final path, not in the folder of temporary files."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write a checkpoint atomically, with the mode of any new file."""
        buffer = BytesIO()
        torch.save(checkpoint, buffer)
        with atomic.replacing(Path(path)) as part:
            part.write_bytes(buffer.getbuffer())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint of a run, on the CPU, mapped into memory.

    Raises:
        OSError: if it can't be opened.
        ValueError: if it is damaged.
    """
    path.open("rb").close()
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        _check_content(content)
    except Exception as error:  # a damaged file may raise whatever its bytes spell
        raise damaged(path, error) from None
    return dict(content)


def damaged(path: Path, error: Exception) -> ValueError:
    """The sentence for a checkpoint that ends in an error."""
    reason = one_line(str(error))[:120] if isinstance(error, LookupError | TypeError) else ""
    named = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
    return ValueError(
        f"{path} is damaged or no checkpoint of a run ({named}): restore it, or remove it to train "
        f"from the start"
    )


def _check_content(content: Any) -> None:
    """Raise TypeError or KeyError unless a checkpoint has the parts that are read here."""
    for name, kind in _PARTS.items():
        if not isinstance(content[name], kind) or isinstance(content[name], bool):
            raise TypeError(f"{name} is not of type {kind.__name__}")
    for name, tensor in content["state_dict"].items():
        if not (isinstance(name, str) and isinstance(tensor, Tensor)):
            raise TypeError("state_dict holds more than tensors")
    progress = content["loops"]["fit_loop"]["epoch_progress"]["current"]
    for number in (content["global_step"], content["epoch"], progress["processed"]):
        if not (isinstance(number, int) and is_number(number) and number >= 0):
            raise TypeError("a counter of epochs or steps is no number of those")
    _check_tensors(content)


def _check_tensors(value: Any) -> None:
    """Raise TypeError unless all tensors in a nested value are in memory as large as they say."""
    if isinstance(value, Tensor):
        if value.layout != torch.strided or value.device.type != "cpu":
            raise TypeError("a tensor is sparse or on no device")
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise TypeError("a tensor claims to be larger than its values")
    elif isinstance(value, Mapping):
        for each in value.values():
            _check_tensors(each)
    elif isinstance(value, list | tuple):
        for each in value:
            _check_tensors(each)


def is_number(value: Any) -> bool:
    """Whether a value is a number of a size that counters and costs have."""
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) < _MOST
    return isinstance(value, float)


def finished_epochs(path: Path) -> int:
    """How many epochs a run had finished at a checkpoint.

    Raises:
        ValueError: if it is damaged.
    """
    progress = read_checkpoint(path)["loops"]["fit_loop"]["epoch_progress"]
    return int(progress["current"]["processed"])


def load_weights(module: nn.Module, paths: Sequence[Path]) -> None:
    """Load the weights of a checkpoint, or the mean of several.

    They are those of the moving average if the recipe has one. The module itself is no source for
    it: Lightning puts the average there only after an epoch, and a run that is resumed when it is
    already complete has no more epochs.

    Args:
        module: of the training.
        paths: the best epoch first; whole numbers, such as counters of batch norm, are its own.
    """
    first, *others = (read_checkpoint(path)["state_dict"] for path in paths)
    if others:
        sums = {
            name: tensor.double() for name, tensor in first.items() if tensor.is_floating_point()
        }
        for state in others:
            for name in sums:
                sums[name] += state[name]
        first = first | {name: (sums[name] / len(paths)).to(first[name].dtype) for name in sums}
    module.load_state_dict(first, strict=True)
