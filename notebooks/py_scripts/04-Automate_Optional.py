# %% [markdown]
# # 04 Automate: many at once (optional)
#
# What [03-Process](03-Process.ipynb) did by hand, from tables that a lab keeps anyway: CSV files go
# in, one call queues what is missing, one call computes it. It goes on from 03, or begins afresh.

# %%
from workflow_deeplabcut import notebook

notebook.start()

# %% [markdown]
# ## Tables of a lab
#
# `user_data/` holds one file of each kind. They can be written with a spreadsheet.

# %%
from pathlib import Path

print(Path("user_data/model_videos.csv").read_text())

# %% [markdown]
# All files are checked before anything is written; `dry_run` checks only. Of each file, all lines
# go in or none. (`model_model.csv` names a model that is not trained yet, so it waits.)

# %%
from workflow_deeplabcut import ingest

outcomes = ingest.ingest_all("user_data", skip=["model"], dry_run=True)

# %%
outcomes = ingest.ingest_all("user_data", skip=["model"])

# %% [markdown]
# A second time adds nothing:

# %%
outcomes = ingest.ingest_all("user_data", skip=["model"])

# %% [markdown]
# A mistake is told with its place, and nothing is written:

# %%
mistaken = Path("mistaken.csv")
with mistaken.open("w") as file:
    print("subject,sex,subject_birth_date,subject_description", file=file)
    print("mouse2,female,2026-13-01,of tomorrow", file=file)
try:
    ingest.ingest_subjects(mistaken)
except ingest.IngestError as error:
    print(error)
mistaken.unlink()

# %% [markdown]
# ## Train
#
# Every parameter set on every video set, unless it is done or queued already (after 03 it is):

# %%
from workflow_deeplabcut import bulk, process

plan = bulk.queue_training([0], video_sets=1, project="demo-truth-2026-01-01")

# %% [markdown]
# `process.run()` goes through all computed tables once, each after those it depends on. A make that
# fails does not stop the others.

# %%
summary = process.run()

# %% [markdown]
# ## Register the model
#
# Published to its project, the trained network is where DeepLabCut would have put it, and
# `model_model.csv` names it there. In the same way come models that were trained without DataJoint.

# %%
from workflow_deeplabcut.pipeline import model, train

training_key = (train.ModelTraining & "paramset_idx = 0").fetch("KEY", limit=1)[0]
train.ModelTraining.publish_to_project(training_key).name

# %%
outcome = ingest.ingest_model("user_data/model_model.csv")

# %% [markdown]
# ## Track the animal wherever it was filmed
#
# Every recording that lacks poses of this model. What is queued together can be taken back
# together.

# %%
plan = bulk.queue_inference("demo published")

# %%
print(bulk.undo(plan.batch_id))

# %%
plan = bulk.queue_inference("demo published", "recording_id <= 2")
summary = process.run()

# %%
model.PoseEstimation.proj() * model.RecordingInfo.proj("nframes", "recording_duration")

# %% [markdown]
# From a terminal, or a script that runs every night:
#
#     workflow-deeplabcut ingest user_data
#     workflow-deeplabcut queue inference "demo published" --yes
#     workflow-deeplabcut run
#
# and on machines that compute for days, any number of them: `workflow-deeplabcut worker`.
#
# Next: [05-Visualization](05-Visualization_Optional.ipynb) looks at the results.
