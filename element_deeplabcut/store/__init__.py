"""Where results live on disk: run directories, project views, and the model store.

Everything is written below the lab's processed directory (or a task's own output directory), never
into a user's project. Folders come into being under ``.attempts`` and are published by one rename,
so a folder with a published name is always whole.
"""
