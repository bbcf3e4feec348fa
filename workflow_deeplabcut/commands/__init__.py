"""Subcommands of ``workflow-deeplabcut``, a module each with ``add_parser`` and ``run``."""
