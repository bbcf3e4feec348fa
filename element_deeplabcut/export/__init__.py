"""Poses in the formats that archives and other laboratories read."""
