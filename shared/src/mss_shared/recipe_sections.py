"""The sections of a recipe that all papers have, and the base class of recipes.

No dataclass of a recipe has a default: a value stands in the recipe or nowhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

__all__ = [
    "BaseRecipe",
    "DataConfig",
    "EffectsConfig",
    "EvaluationConfig",
    "InferenceConfig",
    "LoopConfig",
    "PoolConfig",
    "Range",
    "list_numbers",
]

Range = tuple[float, float]


@dataclass(frozen=True)
class DataConfig:
    """How training examples are drawn.

    Args:
        stems: the stems whose sum is the mixture, in order.
        chunk_seconds: length of an example.
        chunk_grid_seconds: examples start at multiples of this; 0.0 for any sample.
        examples_per_epoch: examples between two validations.
        random_mix_prob: probability that the stems of an example come from different tracks and
            positions.
        time_shift_seconds: each stem starts up to this much earlier or later than the others.
        mixup_prob: probabilities of adding a second, third, ... excerpt to a stem.
        gain_range: lowest and highest linear gain, drawn per stem.
        channel_swap_prob: probability that a stem's channels are swapped.
        polarity_prob: probability that a stem's polarity is inverted.
        silent_stem_prob: probability that a stem is silenced.
        pitch_shift_prob: probability that a stem is played faster or slower.
        pitch_shift_semitones: by at most this much, up or down.
    """

    stems: tuple[str, ...]
    chunk_seconds: float
    chunk_grid_seconds: float
    examples_per_epoch: int
    random_mix_prob: float
    time_shift_seconds: float
    mixup_prob: tuple[float, ...]
    gain_range: tuple[float, float]
    channel_swap_prob: float
    polarity_prob: float
    silent_stem_prob: float
    pitch_shift_prob: float
    pitch_shift_semitones: float


@dataclass(frozen=True)
class PoolConfig:
    """How stems are drawn from a pool.

    Args:
        size: segments of every stem from which an example takes one.
        floor_db: a segment enters the pool only if its level is above this, in dBFS.
    """

    size: int
    floor_db: float


@dataclass(frozen=True)
class EffectsConfig:
    """Audio effects: probabilities and strengths, all but the first for each of ``data.stems``.

    Args:
        reversal_prob: probability of reversing time, the same for all stems.
        pitch_prob: probability of shifting the pitch at constant tempo.
        pitch_semitones: largest shift, up or down.
        equalizer_prob: probability of raising or lowering seven bands.
        equalizer_gain_db: lowest and highest gain of a band.
        distortion_prob: probability of distortion by a tanh.
        distortion_amount: lowest and highest share of the samples driven into saturation.
        noise_prob: probability of adding white noise.
        noise_level: lowest and highest standard deviation of that noise.
        stretch_prob: probability of changing the tempo at constant pitch.
        stretch_rate: lowest and highest rate; above 1 is faster.
        mp3_prob: probability of encoding to mp3 and decoding again.
        mp3_quality: lowest and highest quality, from 0 (smallest file) to 1.
    """

    reversal_prob: float
    pitch_prob: tuple[float, ...]
    pitch_semitones: tuple[float, ...]
    equalizer_prob: tuple[float, ...]
    equalizer_gain_db: tuple[Range, ...]
    distortion_prob: tuple[float, ...]
    distortion_amount: tuple[Range, ...]
    noise_prob: tuple[float, ...]
    noise_level: tuple[Range, ...]
    stretch_prob: tuple[float, ...]
    stretch_rate: tuple[Range, ...]
    mp3_prob: tuple[float, ...]
    mp3_quality: tuple[Range, ...]

    def check(self, stems: Sequence[str]) -> None:
        """Raise ValueError unless every list has one entry per stem."""
        for name, value in vars(self).items():
            if isinstance(value, tuple) and len(value) != len(stems):
                raise ValueError(
                    f"data.effects.{name} has {len(value)} entries for {len(stems)} stems: give "
                    f"one for each of {', '.join(stems)}"
                )


@dataclass(frozen=True)
class LoopConfig:
    """The settings of the training loop in all papers; a paper's TrainingConfig adds its own.

    Args:
        batch: examples per optimizer step, over all devices.
        epochs: train for at most this many epochs.
        early_stop_epochs: stop after this many validations without a better ``monitor``; null for
            never. There is one per epoch, or as ``validate_every_epochs`` says.
        keep: which epoch's weights become the model: that of the ``best`` validation loss, that of
            the best validation SDR (``best_sdr``), or the ``last``.
        average_best: how many of the best epochs become the model, as the mean of their weights; 1
            with ``keep: last``.
        monitor: what early stopping and plateau schedules look at: the validation ``loss`` or
            ``sdr``. Their patience counts validations.
        validate_every_epochs: epochs from one validation to the next.
        val_sdr_seconds: length of the excerpt from the middle of each validation song whose SDR is
            measured, as a mean over stems; 0.0 for whole songs, null for no SDR.
        ema_decay: decay of a moving average of the weights, which becomes the model; null for none.
        clip_norm: clip the gradient's norm to this; null for no clipping.
        precision: ``32-true``, ``bf16-mixed`` or ``16-mixed``.
        seed: of initialisation, data and dropout.
    """

    batch: int
    epochs: int
    early_stop_epochs: int | None
    keep: str
    average_best: int
    monitor: str
    validate_every_epochs: int
    val_sdr_seconds: float | None
    ema_decay: float | None
    clip_norm: float | None
    precision: str
    seed: int


@dataclass(frozen=True)
class InferenceConfig:
    """How a song is cut into chunks for the model, and how its estimates are joined.

    Args:
        chunk_seconds: length of a chunk with its context; 0.0 for the whole song at once.
        overlap: share of a chunk, without context, that the next one covers too, 0 to below 1.
        context_seconds: input on both sides of a chunk, whose output is discarded.
        window: weights of overlapping chunks: ``triangle``; ``flat``, the mean; ``fade``, flat
            with ramps over a tenth of a chunk.
        edges: at the ends of the song. ``none``: chunks lie inside the song, the first and the last
            keep their outer context; ``zeros``: the song is padded with silence; ``fit``: the same,
            with chunks as short as possible without more of them, in multiples of the context;
            ``reflect``: the song is mirrored over a chunk minus its hop if it is long enough.
    """

    chunk_seconds: float
    overlap: float
    context_seconds: float
    window: str
    edges: str


@dataclass(frozen=True)
class EvaluationConfig:
    """How the test songs are scored.

    Args:
        protocols: names of ``mss_shared.evaluation.protocols``.
    """

    protocols: tuple[str, ...]


DataType = TypeVar("DataType", bound=DataConfig)
ModelConfigType = TypeVar("ModelConfigType")
TrainingType = TypeVar("TrainingType", bound=LoopConfig)
_PARAMETERS = ("data", "model", "training")


@dataclass(frozen=True)
class BaseRecipe(Generic[DataType, ModelConfigType, TrainingType]):
    """A complete recipe for one row of a table.

    A paper's ``Recipe`` names its own sections:
    ``class Recipe(BaseRecipe[DataConfig, ModelConfig, TrainingConfig])``.

    Args:
        reproduces: the claimed row in ``results/papers.csv``, or null.
        data: how examples are drawn.
        model: the sizes and settings of the model.
        training: loss, optimizer, schedule, loop.
        inference: how a song is cut into chunks.
        evaluation: how the test songs are scored.

    Attributes:
        added: keys that recipes in older weights lack, ``data.gain_range_db`` for example, and the
            values that those recipes stand for. A recipe with these values keeps its digest. A
            paper's ``Recipe`` names its own; those of its base classes are added to them.
    """

    added: ClassVar[Mapping[str, Any]] = {
        "training.average_best": 1,
        "training.monitor": "loss",
        "training.validate_every_epochs": 1,
        "training.val_sdr_seconds": None,
    }

    reproduces: str | None
    data: DataType
    model: ModelConfigType
    training: TrainingType
    inference: InferenceConfig
    evaluation: EvaluationConfig

    def __init_subclass__(cls) -> None:
        """Annotate the sections with the classes in brackets, as YAML is parsed by annotations.

        Raises:
            TypeError: if the base class has no brackets.
        """
        super().__init_subclass__()
        cls.added = {
            name: value
            for base in reversed(cls.__mro__)
            for name, value in vars(base).get("added", {}).items()
        }
        if BaseRecipe not in cls.__bases__:
            return  # adds fields to another recipe and inherits its sections
        bases: tuple[Any, ...] = vars(cls).get("__orig_bases__", ())
        sections = [get_args(base) for base in bases if get_origin(base) is BaseRecipe]
        if not sections:
            raise TypeError(
                f"{cls.__qualname__} names no sections: write "
                f"class {cls.__name__}(BaseRecipe[DataConfig, ModelConfig, TrainingConfig])"
            )
        cls.__annotations__ |= dict(zip(_PARAMETERS, sections[0], strict=True))


def list_numbers(section: Any, prefix: str = "") -> list[tuple[str, float]]:
    """The dotted names, which begin with ``prefix``, and values of all numbers in a dataclass."""
    found: list[tuple[str, float]] = []
    for field in dataclasses.fields(section):
        value, name = getattr(section, field.name), f"{prefix}{field.name}"
        for item in value if isinstance(value, tuple | list) else (value,):
            if dataclasses.is_dataclass(item):
                found += list_numbers(item, f"{name}.")
            elif isinstance(item, int | float) and not isinstance(item, bool):
                found.append((name, item))
    return found
