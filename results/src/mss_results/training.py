"""What models were trained on, against what they are tested on: extra data, contamination."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mss_results.fields import Fields
from mss_results.musdb18 import VERSIONS

Content = Mapping[str, tuple[str, ...]]  # track -> digests of what its stems sound like

_DEMO = ("demo_tiny", "demo_small", "demo_full")


@dataclass(frozen=True)
class Training:
    """What one model was trained on; None where it was not recorded.

    `tracks` are those that it was trained or validated on. `extra_data` says whether one of the
    training tracks is not among the benchmark's own.
    """

    dataset: str | None
    fingerprint: str | None
    tracks: tuple[str, ...] | None
    extra_data: bool | None
    steps: int | None
    content: Content | None = field(hash=False)


@dataclass(frozen=True)
class Model:
    """One of the models whose estimates a run scores; what trained it is None if unknown."""

    stems: tuple[str, ...]
    training: Training | None
    command: str | None
    commit: str | None


@dataclass(frozen=True)
class Tested:
    """What a model was tested on; `content` is None if it was not recorded."""

    dataset: str
    fingerprint: str | None
    tracks: tuple[str, ...]
    content: Content | None


def read_models(fields: Fields) -> tuple[Model, ...]:
    """Each model of the run; records of older versions describe one, or the first of several."""
    if fields.values.get("models") is not None:
        return tuple(_model(model) for model in fields.items("models"))
    return (Model((), read_training(fields.inner_or_none("training")), None, None),)


def _model(fields: Fields) -> Model:
    origin = fields.inner_or_none("origin")
    return Model(
        stems=fields.texts("stems"),
        training=read_training(fields.inner_or_none("training")),
        command=None if origin is None else origin.text_or_none("command"),
        commit=None if origin is None else origin.text_or_none("commit"),
    )


def read_training(fields: Fields | None) -> Training | None:
    """The field `training` of a record."""
    if fields is None:
        return None
    tracks = fields.texts_or_none("tracks")
    return Training(
        dataset=fields.text_or_none("dataset"),
        fingerprint=fields.text_or_none("fingerprint"),
        tracks=None if tracks is None else (*tracks, *fields.any_texts("validation")),
        extra_data=fields.flag_or_none("extra_data"),
        steps=fields.count_or_none("steps"),
        content=_unite(read_content(fields), read_content(fields, "validation_content")),
    )


def _unite(content: Content | None, more: Content | None) -> Content | None:
    """What was heard in training and validation, whose tracks may share names."""
    if content is None:
        return None
    names = {**content, **(more or {})}
    return {name: (*content.get(name, ()), *(more or {}).get(name, ())) for name in names}


def read_content(fields: Fields, name: str = "content") -> Content | None:
    """What tracks sound like; None in records of older versions."""
    if fields.values.get(name) is None:
        return None
    content = fields.inner(name)
    return {track: content.any_texts(track) for track in content.values}


def uses_extra_data(trainings: Sequence[Training | None], tested: Tested) -> bool | None:
    """Whether one of a row's models heard a song outside of the benchmark; None if unknown."""
    answers = [_extra(training, tested) for training in trainings]
    if True in answers:
        return True
    return None if None in answers or not answers else False


def _extra(training: Training | None, tested: Tested) -> bool | None:
    if training is None:
        return None
    declared = training.tracks is None
    compared = training.content is not None or _is_same_music(training, tested)
    # Older records say false whatever the training songs were.
    return training.extra_data if training.extra_data or declared or compared else None


def find_contamination(
    trainings: Sequence[Training | None], tested: Tested
) -> tuple[str, ...] | None:
    """The test tracks that one of a row's models was trained or validated on.

    Tracks are compared by content, and by name if both data sets hold the same songs. Empty if
    there is none, None if it is not known whether there is one.
    """
    found = [_shared_tracks(training, tested) for training in trainings]
    known = sorted({track for tracks in found for track in tracks or ()})
    return None if not known and (None in found or not found) else tuple(known)


def _shared_tracks(training: Training | None, tested: Tested) -> tuple[str, ...] | None:
    if training is None or training.tracks is None:
        return None
    same = _is_same_music(training, tested)
    by_name = set(training.tracks) & set(tested.tracks) if same else set()
    if training.content is None or tested.content is None:
        return tuple(by_name) if same else None
    if training.fingerprint == tested.fingerprint:
        by_name = set()  # the very same files, in which some layouts only number the tracks
    heard = set(_flatten(training.content.values()))
    by_content = {track for track in tested.tracks if heard & set(tested.content.get(track, ()))}
    return tuple(by_name | by_content)


def _flatten(digests: Iterable[Sequence[str]]) -> Iterable[str]:
    return (digest for several in digests for digest in several)


def _is_same_music(training: Training, tested: Tested) -> bool:
    """Whether a name stands for the same song in both data sets."""
    if training.fingerprint is not None and training.fingerprint == tested.fingerprint:
        return True
    return training.dataset is not None and _songs(training.dataset) == _songs(tested.dataset)


def _songs(dataset: str) -> str:
    for family in (VERSIONS, _DEMO):
        if dataset in family:
            return family[0]
    return dataset


def join_distinct(texts: Iterable[str | None]) -> str:
    """Texts in their order, each once, with semicolons in between."""
    return "; ".join(dict.fromkeys(text for text in texts if text))
