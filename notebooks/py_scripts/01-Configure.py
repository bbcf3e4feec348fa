# %% [markdown]
# # 01 Configure

# %%
from workflow_deeplabcut import notebook

notebook.start()

# %%
from pathlib import Path
import datajoint as dj
from workflow_deeplabcut import database

database.start().configure_datajoint()
dj.config["custom"] = {
    "database.prefix": "example_",
    "dlc_root_data_dir": [str(Path.cwd() / "example_data")],
}
dj.config.save("dj_local_conf.json")
