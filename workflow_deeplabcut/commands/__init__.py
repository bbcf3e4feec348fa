"""Subcommands of ``workflow-deeplabcut``: each module has ``add_parser`` and ``run``."""
