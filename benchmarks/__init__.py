"""How fast this package is, as ratios to doing the same without it. See ``docs/speed.md``."""
