# %% [markdown]
# # 06 Remove the example (optional)
#
# Clears away what the notebooks made: rows, schemas, files. It takes the schemas with the prefix
# `example_`, which [01-Configure](01-Configure.ipynb) set, and nothing else. **What is dropped is
# gone.**

# %%
from workflow_deeplabcut import notebook

notebook.start()

# %% [markdown]
# ## Rows
#
# Deleting a row deletes what was made from it: here a task and its poses, with the verdicts and
# motions that depend on them. DataJoint shows what would go and asks; with `safemode=False` it
# does not ask.

# %%
from workflow_deeplabcut.pipeline import lab, model

(model.PoseEstimationTask & {"model_name": "tiny", "recording_id": 1}).delete(safemode=False)
len(model.PoseEstimation & {"model_name": "tiny", "recording_id": 1})

# %% [markdown]
# The result stays on disk: queue the task again, and `populate()` finds it within seconds.
#
# ## Schemas

# %%
import datajoint as dj

PREFIX = "example_"
if dj.config.get("custom", {}).get("database.prefix") != PREFIX:
    raise SystemExit("This is not the example's database: nothing is dropped.")

# %% [markdown]
# Those that depend on others first. `queue` is where bulk calls noted what they queued.

# %%
from workflow_deeplabcut.pipeline import kinematics, report, session, subject, train

modules = (kinematics, report, model, train, session, subject, lab)
for schema in (dj.Schema(PREFIX + "queue"), *(module.schema for module in modules)):
    if schema.database.startswith(PREFIX):
        schema.drop(force=True)
        print("dropped", schema.database)

# %% [markdown]
# ## Files
#
# Results lie below the processed directory, the videos in `example_data`.

# %%
import shutil

shutil.rmtree("example_data")

# %% [markdown]
# The embedded database goes on running; `workflow-deeplabcut db stop` stops it.
