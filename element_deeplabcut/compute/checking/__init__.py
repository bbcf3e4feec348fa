"""Whether queued tasks can be done on this machine, without doing them.

What a make insists on before it computes is not written down twice: its own functions are called
(`prepare_training`, `rehearse_training`, `open_bundle`, `make_plan`, `run_loading`), so that a task
that passes the check passes them, too. What several tasks share is looked at once. Nothing is
written to the database, to a project or to the processed directory.
"""
