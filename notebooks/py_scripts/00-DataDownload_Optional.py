# %% [markdown]
# # 00 Data to try it on (optional)
#
# The notebooks work on any labelled DeepLabCut project and any video. If you have none at hand,
# this one makes some: three short videos of a rendered animal, and a project with 60 labelled
# frames of one of them. It takes a few seconds and no network.

# %%
from workflow_deeplabcut import notebook

notebook.start()  # work in the repository's folder, wherever this notebook was opened

# %%
from pathlib import Path

from workflow_deeplabcut.example_data import render_example

config = render_example("example_data")
for file in sorted(config.parents[1].rglob("*.mp4")):
    print(file.relative_to(Path.cwd()))

# %% [markdown]
# A labelled frame, with the labels (crosses) that DeepLabCut trains on:

# %%
import matplotlib.pyplot as plt
import pandas as pd

labels = pd.read_hdf(config.parent / "labeled-data/training/CollectedData_truth.h5")
frame = labels.iloc[10].unstack("coords")

plt.figure(figsize=(3, 3))
plt.imshow(plt.imread(config.parent.joinpath(*labels.index[10])))
plt.plot(frame["x"], frame["y"], "w+")
plt.axis("off")
plt.show()

# %% [markdown]
# ## A real mouse
#
# DeepLabCut's authors publish an open field project: 116 labelled frames and a video. With a
# network and git it comes with one call; without, the next cell says so and nothing is lost. The
# other notebooks do not need it.

# %%
from element_deeplabcut.errors import SetupError
from workflow_deeplabcut.example_data import download_openfield

try:
    print(download_openfield("example_data").relative_to(Path.cwd()))
except SetupError as error:
    print(error)

# %% [markdown]
# Next: [01-Configure](01-Configure.ipynb) tells the workflow where these files are.
