"""``python -m tests.drills``: all drills, or a short version of them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.drills",
        description="Faults by the thousand on real workers; what is left must be whole.",
        epilog="example: python -m tests.drills --seed 1 --faults 1000",
    )
    parser.add_argument("--seed", type=int, default=1, help="chooses the moments (default: 1)")
    parser.add_argument("--faults", type=int, default=1000, help="at least so many")
    parser.add_argument("--outage", type=float, default=30, help="length of an outage, s")
    parser.add_argument("--no-real", action="store_true", help="leave out the real DeepLabCut")
    parser.add_argument("--only", action="append", default=[], help="name of a drill; repeatable")
    parser.add_argument("--output", type=Path, default=Path("drills_output"), help="folder")
    options = parser.parse_args()
    prepare_environment()
    from element_deeplabcut.errors import PathError

    from .run import Plan, is_good, run_drills

    if unknown := set(options.only) - set(Plan.list_names()):
        parser.error(f"no drill {', '.join(unknown)}; there are {', '.join(Plan.list_names())}")
    plan = Plan(options.faults, options.outage, not options.no_real, tuple(options.only))
    try:
        summary = run_drills(plan, options.seed, options.output.resolve())
    except PathError as error:
        print(f"drills: {error}", file=sys.stderr)
        return 1
    verdict = ", ".join(f"{summary[name]} {name}" for name in
                        ("faults", "lost", "duplicated", "stuck", "partial"))  # fmt: skip
    print(f"{verdict}; {summary['seconds']:.0f} s; see {options.output / 'summary.json'}")
    return 0 if is_good(summary) else 1


def prepare_environment() -> None:
    """Whatever database and folders are configured, drills keep away from them."""
    for name in [name for name in os.environ if name.startswith(("DJ_", "DATABASE_", "DLC_"))]:
        del os.environ[name]
    os.environ.update(OMP_NUM_THREADS="1", MPLBACKEND="Agg", DLClight="True", HF_HUB_OFFLINE="1")
    os.environ["DATAJOINT_LOG_LEVEL"] = "warning"


if __name__ == "__main__":
    sys.exit(main())
