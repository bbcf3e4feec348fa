"""Workers: they repeat over the computed tables, and lose, repeat and block nothing.

From a shell, a container or a Slurm job::

    workflow-deeplabcut worker --hours 23.5

From Python, with the lab's own tables::

    from workflow_deeplabcut.worker import run_worker, list_tables
    run_worker([*list_tables(), my_schema.Behaviour], stop_when_idle=True)

Workers and notebooks that run ``populate(reserve_jobs=True)`` share the queue: nobody takes a key
that another one has. What else is promised, and how, stands in the modules:

=============== ===================================================================================
`lease`         who has a job, for how long, and that it is recorded once
`heartbeat`     keeps the lease of a living process
`server`        survives restarts and outages of the database
`making`        runs a make so that they cost no computation
`retry`         what is tried again, how often, after how long
`signals`       ends within a grace time
`candidates`    finds the next key
`share`         which table comes next
`engines`       which jobs this machine can do
`machine`       ends where a drive or a GPU is missing, before that fails job after job
`loop`          puts them together
`choosing`      which jobs a key names
`life`          which notebook's job is dead, as far as that can be known
`listing`       shows, clears and retries jobs, for ``workflow-deeplabcut jobs``
=============== ===================================================================================
"""

from element_deeplabcut.engines import list_engines

from .engines import restrict_to_engines
from .lease import Lease
from .listing import Job, clear_jobs, list_jobs, retry_jobs
from .loop import run_worker
from .options import Summary, WorkerOptions
from .retry import RetryPolicy
from .tables import list_tables

__all__ = [
    "Job",
    "Lease",
    "RetryPolicy",
    "Summary",
    "WorkerOptions",
    "clear_jobs",
    "list_engines",
    "list_jobs",
    "list_tables",
    "restrict_to_engines",
    "retry_jobs",
    "run_worker",
]
