"""The demo: train, evaluate and run a model on an animal whose body parts are known exactly.

Run it with ``python -m workflow_deeplabcut.demo``. Everything it makes, its database included, lies
in one folder; nothing else on the machine is touched, whatever ``DJ_HOST`` or a
``dj_local_conf.json`` say. Afterwards, in a fresh Python::

    from workflow_deeplabcut.demo import connect

    connect()
    from workflow_deeplabcut.pipeline import model
"""

from .connection import connect
from .run import run_demo

__all__ = ["connect", "run_demo"]
