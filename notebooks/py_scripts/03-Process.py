# %% [markdown]
# # 03 Process: from labels to trajectories, step by step
#
# One animal, one DeepLabCut project, one recording, each step by hand: register the session,
# train a network on the project's labels, register and evaluate the model, and track the animal in
# a recording the network has never seen. [04-Automate](04-Automate_Optional.ipynb) does the same
# for many at once.

# %%
from workflow_deeplabcut import notebook

notebook.start()

# %%
from workflow_deeplabcut.pipeline import model, session, subject, train

# %% [markdown]
# The files. With data of your own, change these names and nothing else; paths are relative to a
# root directory.

# %%
project = "demo-truth-2026-01-01"  # a labelled DeepLabCut project
labelled = "videos/training.mp4"  # a video with labels in it
videos = ["videos/morning-1.mp4", "videos/morning-2.mp4"]  # one recording, in two files

# %% [markdown]
# ## 1. Subject and session

# %%
subject.Subject.insert1(
    {
        "subject": "mouse1",
        "sex": "F",
        "subject_birth_date": "2026-01-01",
        "subject_description": "rendered animal",
    },
    skip_duplicates=True,
)
session_key = {"subject": "mouse1", "session_datetime": "2026-02-01 10:00:00"}
session.Session.insert1(session_key, skip_duplicates=True)
session.Session()

# %% [markdown]
# ## 2. What to train on
#
# A video set names videos with labels; each stands for its folder of labelled frames. (All of a
# project at once: `train.VideoSet.insert_from_project`.) The project is never written to.

# %%
video_set = {"video_set_id": 1}
train.VideoSet.insert1(video_set, skip_duplicates=True)
file = {"file_id": 1, "file_path": labelled}
train.VideoSet.File.insert1({**video_set, **file}, skip_duplicates=True)
train.VideoSet.File & video_set

# %% [markdown]
# ## 3. How to train
#
# Parameters have DeepLabCut's names. These here train a tiny network from random weights in
# seconds, which is enough for one rendered animal. For a real one leave out `init_weights` and
# `pytorch_cfg_updates`, and give it 200 epochs on a GPU:
# `{"shuffle": 1, "trainingsetindex": 0, "net_type": "resnet_50", "epochs": 200}`.

# %%
from workflow_deeplabcut.demo import settings

params = settings.PYTORCH_PARAMS
paramset_idx = train.TrainingParamSet.insert_new_params("tiny network, random weights", params)
{name: value for name, value in params.items() if name != "pytorch_cfg_updates"}

# %% [markdown]
# The same parameters a second time are the same parameter set, whatever their order; a misspelt
# name is told so.

# %%
from element_deeplabcut.errors import ParameterError

try:
    train.TrainingParamSet.insert_new_params("oops", {**params, "epoch": 12})
except ParameterError as error:
    print(error)

# %% [markdown]
# ## 4. Train
#
# A task says what is to be done; `populate()` does what has not been done yet, here or on any
# machine with a GPU (`make_kwargs={"device": "cuda:0"}`). A training that is interrupted goes on
# from its newest snapshot.

# %%
training_key = {**video_set, "paramset_idx": paramset_idx, "training_id": 1}
train.TrainingTask.insert1({**training_key, "project_path": project}, skip_duplicates=True)
train.ModelTraining.populate(training_key)
train.ModelTraining & training_key

# %% [markdown]
# `run_info` says how a row came to be. Errors are in px; the split is that of the shuffle.

# %%
run_info = (train.ModelTraining & training_key).fetch1("run_info")
{name: run_info[name] for name in ("engine", "deeplabcut", "device", "best_snapshot")}

# %%
from element_deeplabcut.plotting import plot_learning_curve
from element_deeplabcut.readers.learning_curve import read_learning_curve

run_directory = train.get_roots().processed / run_info["run_directory"]
(curve,) = run_directory.rglob("learning_stats.csv")
plot_learning_curve(read_learning_curve(curve))

# %% [markdown]
# ## 5. Register the model, and evaluate it
#
# Registering copies what inference needs into the model store, under a hash of all of it. What
# happens to the project afterwards does not change the model. (A model that was trained elsewhere
# is registered with `Model.insert_new_model`.)

# %%
if not model.Model & {"model_name": "tiny"}:
    model.Model.insert_from_training(training_key, "tiny")
model.Model.proj("engine", "scorer", "snapshot", "bundle_hash")

# %%
model.ModelEvaluation.populate({"model_name": "tiny"})
model.ModelEvaluation()

# %% [markdown]
# Mean distances between prediction and label, in px, over training and test frames; for all
# predictions, and for those the network is sure of.

# %%
from element_deeplabcut.plotting import plot_evaluation

evaluation = (model.ModelEvaluation & {"model_name": "tiny"}).fetch1()
errors = (model.ModelEvaluation.BodyPart & {"model_name": "tiny"}).fetch(as_dict=True)
plot_evaluation(errors, p_cutoff=evaluation["p_cutoff"])

# %% [markdown]
# ## 6. A recording
#
# A recording is what one camera saw in one session, in one or more files that follow each other.
# `RecordingInfo` decodes every frame, so that frame numbers are exact.

# %%
recording_key = {**session_key, "recording_id": 1}
model.VideoRecording.insert1({**recording_key, "device": "Camera1"}, skip_duplicates=True)
model.VideoRecording.File.insert(
    (
        {**recording_key, "file_id": number, "file_path": video}
        for number, video in enumerate(videos, start=1)
    ),
    skip_duplicates=True,
)
model.RecordingInfo.populate(recording_key)
model.RecordingInfo.File & recording_key

# %% [markdown]
# ## 7. Track the animal
#
# A pose estimation task is a recording and a model.

# %%
task_key = model.PoseEstimationTask.generate({**recording_key, "model_name": "tiny"})
model.PoseEstimation.populate(task_key)
model.PoseEstimation.BodyPartPosition.proj() & task_key

# %% [markdown]
# ## 8. Trajectories
#
# As DeepLabCut lays them out: x and y in pixels of the whole frame, origin at the top left, and the
# network's likelihood. One row per frame of the recording, through both files.

# %%
trajectory = model.PoseEstimation.get_trajectory(task_key)
trajectory.droplevel("scorer", axis=1).head().round(2)

# %%
from element_deeplabcut.plotting import plot_trajectory, read_background

background = read_background(model.get_roots().resolve(videos[0]))
plot_trajectory(model.PoseEstimation.get_pose(task_key), background=background)

# %% [markdown]
# Next: [04-Automate](04-Automate_Optional.ipynb) queues and computes in bulk,
# [05-Visualization](05-Visualization_Optional.ipynb) looks at the results.
