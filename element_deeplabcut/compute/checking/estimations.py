"""Checking one pose estimation: computed here, or loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ...errors import ElementError
from ...store.bundles import Bundle
from ...store.views import ProjectView
from ...video import VideoEnds, read_ends
from ...wording import show_count, show_duration, show_size
from ..findings import OK, PROBLEM, WARNING, TaskCheck
from ..inference import InferenceJob, RecordingFile, make_plan
from ..loading import LoadingJob, run_loading
from ..records import InferenceRecord, middle
from .bench import Bench, Notes, show_device

_BYTES_PER_POINT = 250
"""What DeepLabCut writes per frame and body part, as long as there is no record (measured: 223 for
four body parts in files of 150 frames)."""


def check_loading(job: LoadingJob, bench: Bench, notes: Notes) -> TaskCheck:
    """Check results to be loaded, by loading them: nothing is written by that."""
    result = notes.attempt("result", lambda: run_loading(job, bench.roots))
    if result is not None:
        files = ", ".join(source["file"] for source in result.run_info["sources"])
        notes.add(OK, "result", f"{len(result.frame_index)} frames of {files}.")
        for source in result.run_info["sources"]:
            if source["vouched_by"] != "meta":
                notes.add(
                    WARNING, "result",
                    f"'{source['file']}' has no notes of DeepLabCut beside it (_meta.pickle): only "
                    "its name says which model it is of.",
                )  # fmt: skip
    return notes.finish(0)


def check_inference(
    job: InferenceJob,
    engine_name: str,
    bench: Bench,
    notes: Notes,
    records: Callable[[], list[InferenceRecord]],
    is_drawn: bool = False,
) -> TaskCheck:
    """Check one analysis.

    Args:
        job: What the database says of it.
        engine_name: Engine of its model.
        bench: What the tasks share.
        notes: Findings so far.
        records: Gives the records of the model.
        is_drawn: Whether a labeled video is wanted, too.
    """
    bundle = check_model(job.bundle_hash, bench, notes)
    sizes = check_videos(job.files, bench, notes, (job.width, job.height))
    if bundle is not None:
        plan = notes.attempt("parameters", lambda: make_plan(job, bundle))
        if plan is not None:
            crop = f"crop {list(plan.crop)}" if plan.crop else "the whole frame"
            notes.add(OK, "parameters", f"batch_size {plan.batch_size or 'of the config'}, {crop}.")
    device = check_engine(engine_name, bench, notes, bundle)
    known = records()
    n_frames = sum(int(file.n_frames) for file in job.files)
    n_parts = len(bundle.project.body_parts) if bundle else 1
    per_frame = middle(record.bytes_per_frame for record in known) or _BYTES_PER_POINT * n_parts
    needs = int(per_frame * n_frames) + (sizes if is_drawn else 0)
    bench.check_disk(notes, needs)
    speed = middle(record.frames_per_s for record in known if record.device == device)
    if speed is None:
        notes.add(
            WARNING, "time", f"No record yet of this model on {device or 'the device'}: how long "
            f"its {n_frames} frames take is not known."
        )  # fmt: skip
        return notes.finish(needs)
    seconds = n_frames / speed
    notes.add(
        OK, "time", f"About {show_duration(seconds)} for {n_frames} frames, at {speed:.3g} "
        f"frames/s as before on {device}."
    )  # fmt: skip
    return notes.finish(needs, seconds)


def check_model(bundle_hash: str, bench: Bench, notes: Notes) -> Bundle | None:
    """Compare a model with its hash."""
    bundle = notes.attempt("model", lambda: bench.open_bundle(bundle_hash))
    if bundle is not None:
        notes.add(OK, "model", f"The bundle {bundle.hash[:12]} is as it was registered.")
    return bundle


def check_engine(name: str, bench: Bench, notes: Notes, bundle: Bundle | None = None) -> str | None:
    """Look for engine and device, and whether the engine knows the model's config."""
    if bench.elsewhere:
        notes.add(WARNING, "engine", f"Not asked; the work needs the {name} engine.")
        return None
    found = notes.attempt("engine", lambda: bench.find_engine(name))
    if found is None:
        return None
    engine, device, device_name = found
    if bundle is not None:
        facts = bundle.facts
        view = ProjectView(
            bundle.project, facts.engine, facts.shuffle, facts.trainingsetindex, facts.model_prefix
        )
        try:
            engine.check_model(view)
        except ElementError as error:
            notes.add(PROBLEM, "engine", str(error))
            return device_name
    notes.add(OK, "engine", f"{name} on {show_device(device, device_name)}.")
    return device_name


def check_videos(
    files: Sequence[RecordingFile],
    bench: Bench,
    notes: Notes,
    size: tuple[int, int] | None = None,
) -> int:
    """Find the videos, decode their first and last frames, and compare with what was counted.

    Args:
        files: The recording's files; ``n_frames`` is 0 where nobody has counted yet.
        bench: What the tasks share.
        notes: Findings so far.
        size: Recorded width and height, px.

    Returns:
        Bytes of all of them.
    """
    total, is_fine = 0, bool(files)
    for file in files:
        ends = notes.attempt("videos", partial(_read_ends_once, file.path, bench))
        if ends is None:
            is_fine = False
            continue
        total += ends.n_bytes
        if size is not None and (ends.width, ends.height) != size:
            is_fine = False
            notes.add(
                PROBLEM, "videos",
                f"'{file.path}' has {ends.width} x {ends.height} px, and its RecordingInfo says "
                f"{size[0]} x {size[1]}: it is another file now. Restore it, or delete and "
                "populate its RecordingInfo.",
            )  # fmt: skip
        elif file.n_frames and ends.n_frames and abs(ends.n_frames - int(file.n_frames)) > 1:
            is_fine = False
            notes.add(
                WARNING, "videos",
                f"'{file.path}' seems to have {ends.n_frames} frames, and its RecordingInfo says "
                f"{file.n_frames}. If it was replaced, delete and populate its RecordingInfo.",
            )  # fmt: skip
    if is_fine:
        number = show_count(len(files), "file")
        notes.add(OK, "videos", f"{number}, {show_size(total)}; the first and last frames decode.")
    return total


def _read_ends_once(path: str, bench: Bench) -> VideoEnds:
    roots = bench.roots
    return bench.once(("video", path), lambda: read_ends(roots.confine(roots.resolve(path))))
