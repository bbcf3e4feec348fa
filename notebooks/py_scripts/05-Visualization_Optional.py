# %% [markdown]
# # 05 Look at the results (optional)
#
# Trajectories, labeled videos, a verdict on each pose, motion, and which training was best. It
# works on what [03-Process](03-Process.ipynb) left.

# %%
from workflow_deeplabcut import notebook

notebook.start()

# %%
from workflow_deeplabcut.pipeline import kinematics, model, report

key = {"subject": "mouse1", "recording_id": 1, "model_name": "tiny"}

# %% [markdown]
# ## Trajectories
#
# A pose knows its frame rate, files, crop and skeleton. `frames` fetches a range only, however long
# the recording is.

# %%
pose = model.PoseEstimation.get_pose(key)
pose.position.shape, float(pose.rate), [file.path for file in pose.files]

# %%
from element_deeplabcut.plotting import plot_timeseries

plot_timeseries(pose)

# %% [markdown]
# The dotted line is where the second file begins: the recording goes on, and so do frame numbers.
#
# ## A labeled video
#
# Asked for, then drawn: an H.264 video that plays in a browser.

# %%
settings = {"draw_skeleton": True, "skeleton_color": "white", "trailpoints": 15}
model.LabeledVideo.request(key, settings)
model.LabeledVideo.populate(key)
video = model.LabeledVideo.get_paths(key)[0]
video.name

# %% [markdown]
# To watch it here: `from IPython.display import Video; Video(video, embed=True)`. One frame:

# %%
from element_deeplabcut.plotting import read_background
from PIL import Image

Image.fromarray(read_background(video, frame=60)).resize((400, 400))

# %% [markdown]
# ## Is it any good?
#
# `PASS`, `WARN` or `FAIL` per body part, by thresholds that you can change, with the reason in
# words. Other tables can be restricted by it.

# %%
from element_deeplabcut.plotting import plot_quality

report.QualityParamSet.insert_default()
report.PoseQuality.populate(key)
verdict = (report.PoseQuality & key).fetch(as_dict=True)[0]
plot_quality((report.PoseQuality.BodyPart & key).fetch(as_dict=True), verdict=verdict)

# %% [markdown]
# ## How it moved
#
# Poses are cleaned (unlikely points masked, short gaps filled, smoothed), then measured. A
# calibration turns pixels into a unit of length; here 200 px are 160 mm.

# %%
recording = (model.VideoRecording & key).fetch1("KEY")
if not kinematics.Calibration & recording:
    kinematics.Calibration.insert_from_distance(recording, length=160, unit="mm", px=200)
kinematics.KinematicsParamSet.insert_new_params("heading", {"heading": ["tailbase", "nose"]})
kinematics.ProcessedPose.populate(report.PoseQuality & key & "verdict <> 'FAIL'")
kinematics.Kinematics.populate(key)
motion = kinematics.Kinematics.get_dataframe(key)
motion.head().round(1)

# %%
kinematics.Kinematics.Individual.proj("distance", "mean_speed") & key  # mm and mm/s

# %%
import matplotlib.pyplot as plt

speed = motion.xs("speed", axis=1, level=-1)
speed.plot(figsize=(7, 2.4), xlabel="time (s)", ylabel="speed (mm/s)", legend=False)
plt.show()

# %% [markdown]
# ## Which training was best?
#
# Every snapshot that a training kept is a row of `report.Snapshot`. `best_model` evaluates them
# where that has not been done, and names the one with the lowest error on test frames, over the
# body parts that matter to you.

# %%
report.Snapshot.populate()
report.Snapshot.proj("epoch", "is_best")

# %%
best = report.best_model(body_parts=["nose", "tailbase"], evaluate=True)
best.snapshot, round(best.test_error, 2), best.model_name

# %% [markdown]
# The leaderboard compares trainings; here all snapshots of ours. Errors are in px.

# %%
board = report.leaderboard(all_snapshots=True)
board[["paramset_desc", "engine", "snapshot", "epoch", "test_error", "train_error"]].round(2)

# %%
from element_deeplabcut.plotting import plot_leaderboard

plot_leaderboard(board)

# %% [markdown]
# Next: [06-Drop](06-Drop_Optional.ipynb) clears the example away. With data of your own, you are at
# the beginning: [01-Configure](01-Configure.ipynb).
