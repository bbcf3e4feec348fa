"""Drills: real workers on a real server, with a thousand faults, and what is left of their work.

``make drills`` runs them all, ``python -m tests.drills --help`` says more, and docs/drills.md what
each of them does. Faults are counted when they have happened, not when they were asked for.
"""
