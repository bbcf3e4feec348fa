# %% [markdown]
# # 01 Configure
#
# The workflow needs to know three things: which database server holds the tables, where your videos
# and projects are, and with which prefix the names of your schemas begin. DataJoint reads them from
# `dj_local_conf.json` in the folder you work in, or from `~/.datajoint_config.json`.

# %%
from workflow_deeplabcut import notebook

notebook.start()  # work in the repository's folder, wherever this notebook was opened

# %% [markdown]
# ## The example's configuration
#
# Where nothing is configured yet, the next cell starts the embedded database, a private server on
# this machine, and takes the folder of [00-DataDownload](00-DataDownload_Optional.ipynb) as root
# directory. **What is configured already is left as it is**, and the other notebooks work on that.

# %%
from workflow_deeplabcut import cli
from workflow_deeplabcut.configuration.files import find_file
from workflow_deeplabcut.example_data import render_example

if find_file() is None:
    render_example("example_data")
    example = ["--embedded", "--root", "example_data", "--prefix", "example_"]
    cli.main(["configure", *example, "--non-interactive"])

# %% [markdown]
# The same from a terminal; without flags it asks for what is missing:
#
#     workflow-deeplabcut configure --embedded --root example_data --prefix example_
#
# and for a server of your lab, with a password that no command line shows:
#
#     workflow-deeplabcut configure --host db.lab.org --user ada --root /data/videos --prefix ada_
#
# It tries the connection and the directories before it writes anything, and the file can be read by
# you only.
#
# ## What is configured

# %%
exit_code = cli.main(["configure", "--print", "--non-interactive"])

# %% [markdown]
# | setting | in the file | in the environment, which comes first |
# |---|---|---|
# | server | `database.host`, `database.port` | `DJ_HOST`, `DJ_PORT` |
# | login | `database.user`, `database.password` | `DJ_USER`, `DJ_PASS` |
# | prefix of schemas | `custom`: `database.prefix` | `DATABASE_PREFIX` |
# | root directories | `custom`: `dlc_root_data_dir` (several: a list) | `DLC_ROOT_DATA_DIR` |
# | directory for results | `custom`: `dlc_processed_data_dir` | `DLC_PROCESSED_DATA_DIR` |
#
# Without a directory for results they go to `dlc_processed` below the first root.
#
# ## Does it work?

# %%
import datajoint as dj

notebook.start()  # DataJoint reads what was written, if it was imported before
dj.conn().is_connected

# %%
from workflow_deeplabcut.paths import get_dlc_root_data_dir

[root.name for root in get_dlc_root_data_dir()]

# %% [markdown]
# Next: [02-WorkflowStructure](02-WorkflowStructure_Optional.ipynb) looks around, or
# [03-Process](03-Process.ipynb) goes to work.
