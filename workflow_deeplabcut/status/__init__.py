"""What goes on in a pipeline: queue, running jobs, throughput and errors, gathered and shown.

::

    from workflow_deeplabcut.status import gather_status

    status = gather_status()
    [(queue.table, queue.waiting) for queue in status.queues]

========== ========================================================================================
`queue`    how many jobs of each table are done, wait, run or failed
`gathering` all that is known at one moment
`screen`   the same as text, and redrawn as it changes
========== ========================================================================================
"""

from .gathering import Running, Status, gather_status
from .queue import Queue, QueueCounter

__all__ = ["Queue", "QueueCounter", "Running", "Status", "gather_status"]
