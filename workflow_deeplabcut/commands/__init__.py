"""Subcommands of ``workflow-deeplabcut``, one module each: ``add_parser`` and ``run``."""
