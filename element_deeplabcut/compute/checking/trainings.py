"""Checking one training."""

from __future__ import annotations

from collections.abc import Callable

from ...engines.base import Forecast, TrainingPlan
from ...store.files import hash_json
from ...store.runs import RunIdentity, is_published
from ...wording import show_duration
from ..findings import OK, WARNING, TaskCheck
from ..records import TrainingRecord, middle
from ..training import TRAININGS, prepare_training, rehearse_training
from ..training_source import TrainingJob, TrainingSource
from .bench import Bench, Notes, show_device


def check_training(
    job: TrainingJob, bench: Bench, notes: Notes, records: Callable[[], list[TrainingRecord]]
) -> TaskCheck:
    """Check one training."""
    prepared = notes.attempt("labels", lambda: prepare_training(job, bench.roots))
    if prepared is None:
        return notes.finish()
    source, identity, plan = prepared
    folders = ", ".join(source.folders)
    notes.add(OK, "project", f"'{bench.roots.relativize(source.project.directory)}'.")
    notes.add(OK, "labels", f"{len(source.labels.frames)} labelled frames of {folders}.")
    if is_published(bench.roots.processed / TRAININGS, identity):
        notes.add(OK, "result", "It was trained before; populate() will only record it.")
        return notes.finish(0, 0)
    forecast, device = None, None
    if bench.elsewhere:
        notes.add(WARNING, "engine", f"Not asked; the work needs the {source.engine} engine.")
    else:
        forecast, device = _rehearse(job, source, identity, plan, bench, notes)
    if notes.has_problems:
        return notes.finish()
    return _forecast_training(job, source, forecast, device, bench, notes, records())


def _rehearse(
    job: TrainingJob,
    source: TrainingSource,
    identity: RunIdentity,
    plan: TrainingPlan,
    bench: Bench,
    notes: Notes,
) -> tuple[Forecast | None, str | None]:
    """Find engine and device, and go through what comes before the first epoch."""
    found = notes.attempt("engine", lambda: bench.find_engine(source.engine))
    if found is None:
        return None, None
    engine, device, device_name = found
    notes.add(OK, "engine", f"{source.engine} on {show_device(device, device_name)}.")
    # What does not depend on the key is rehearsed once for all tasks of the same inputs.
    name = ("rehearsal", hash_json(identity.plain["inputs"]))
    forecast = notes.attempt(
        "start", lambda: bench.once(name, lambda: rehearse_training(job, source, plan, engine))
    )
    if forecast is not None:
        _tell_weights(forecast, job, notes)
    return forecast, device_name


def _tell_weights(forecast: Forecast, job: TrainingJob, notes: Notes) -> None:
    weights = job.params.get("init_weights", "pretrained")
    if forecast.must_download:
        notes.add(OK, "weights", "Pretrained weights will be downloaded; the server answers.")
    else:
        notes.add(OK, "weights", f"'{weights}', on this machine.")


def _forecast_training(
    job: TrainingJob,
    source: TrainingSource,
    forecast: Forecast | None,
    device: str | None,
    bench: Bench,
    notes: Notes,
    records: list[TrainingRecord],
) -> TaskCheck:
    alike = [r for r in records if forecast and (r.engine, r.network) == (
        source.engine, forecast.network)]  # fmt: skip
    recorded = middle(record.disk_bytes for record in alike)
    needs = None if recorded is None else int(recorded)
    if forecast and forecast.snapshot_bytes:
        needs = forecast.snapshot_bytes * forecast.n_snapshots
    bench.check_disk(notes, needs)
    here = [record.seconds_per_step for record in alike if record.device == device]
    per_step = middle(here)
    if forecast is None or per_step is None:
        network = forecast.network if forecast else "this network"
        notes.add(
            WARNING, "time", f"No record yet of {network} on {device or 'the device'}: how long it "
            "takes is not known."
        )  # fmt: skip
        return notes.finish(needs)
    fraction = source.project.fraction(job.params["trainingsetindex"])
    n_frames = len(source.labels.frames) * fraction if source.engine == "pytorch" else 1
    seconds = per_step * n_frames * forecast.length
    unit = "epochs" if source.engine == "pytorch" else "iterations"
    notes.add(
        OK, "time", f"About {show_duration(seconds)} for {forecast.length} {unit}, by {len(here)} "
        f"earlier trainings of {forecast.network} on {device}."
    )  # fmt: skip
    return notes.finish(needs, seconds)
