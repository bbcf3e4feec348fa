# %% [markdown]
# # 02 The structure of the workflow (optional)
#
# What a pipeline consists of, and how to look around in it. If you know DataJoint, go on with
# [03-Process](03-Process.ipynb).

# %%
from workflow_deeplabcut import notebook

notebook.start()

# %% [markdown]
# ## Schemas
#
# A schema is a group of tables that belong together. Importing the pipeline declares the tables on
# the configured database server, or finds them there.
#
# | schema | what it holds |
# |---|---|
# | `lab`, `subject`, `session` | who is studied, when and by whom: DataJoint's Elements |
# | `train` | labelled videos, training parameters, trained networks |
# | `model` | recordings, models, poses |
# | `kinematics` | cleaned poses and motion |
# | `report` | verdicts on poses, progress of trainings |

# %%
import datajoint as dj

from workflow_deeplabcut.pipeline import kinematics, lab, model, report, session, subject, train

sorted(dj.list_schemas())

# %% [markdown]
# `list_tables` names a schema's tables as they are called on the server. The first characters say
# of which kind they are: `#` lookup, `_` imported, `__` computed.

# %%
train.schema.list_tables()

# %%
model.schema.list_tables()

# %% [markdown]
# ## Diagrams
#
# A diagram shows tables and what they depend on. `+ 1` adds what depends on them, `- 1` what they
# depend on.

# %%
dj.Diagram(train)

# %%
dj.Diagram(model) - 1

# %% [markdown]
# The kinds of table, by their colour:
#
# - **Manual** (green): rows that people or scripts insert, such as recordings and tasks.
# - **Lookup** (grey): general facts and parameters, such as training parameter sets.
# - **Imported** (blue): rows that `populate()` makes from files, such as a recording's frame count.
# - **Computed** (red): rows that `populate()` computes, such as poses.
# - **Part** (plain text): rows that belong to one row of their master, such as the trajectories of
#   one pose estimation. They come and go with it.
#
# And the links:
#
# - **thick line**: one to one; the child has the parent's primary key and nothing more.
# - **thin line**: one to many; the child's primary key goes on where the parent's ends.
# - **dashed line**: the child refers to the parent outside its primary key.

# %% [markdown]
# ## A table
#
# `table()` shows the rows, `heading` the attributes with their types, `describe()` the definition
# with its references to other tables.

# %%
model.VideoRecording.File()

# %%
model.Model.heading

# %%
print(train.TrainingTask.describe(printout=False))

# %% [markdown]
# What an attribute means, and in which unit it is, stands in the table's documentation:

# %%
print(model.ModelEvaluation.__doc__)

# %% [markdown]
# ## The Elements around it
#
# `lab`, `subject` and `session` come from
# [element-lab](https://github.com/datajoint/element-lab),
# [element-animal](https://github.com/datajoint/element-animal) and
# [element-session](https://github.com/datajoint/element-session). Your pipeline may have tables of
# its own in their place.

# %%
dj.Diagram(subject) + dj.Diagram(session)

# %%
print(session.Session.describe(printout=False))

# %% [markdown]
# Next: [03-Process](03-Process.ipynb) fills these tables step by step.
