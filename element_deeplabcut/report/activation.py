"""How ``report`` is bound to ``model`` and, where there is one, to ``train``."""

from __future__ import annotations

from types import ModuleType

from .. import model, train
from ..progress import INFERENCE, TRAINING, add_observer
from ..tables import activate_beside
from .base import schema
from .progress import InferenceProgress, TrainingProgress
from .recorder import observe, record_in
from .snapshots import Snapshot


def activate(
    report_schema_name: str,
    *,
    create_schema: bool = True,
    create_tables: bool = True,
    linking_module: str | ModuleType | None = None,
) -> None:
    """Activate the schema, after `model`, and after `train` if that is used.

    From then on every training and inference of this process records its progress. Without `train`
    the tables of trainings are left out; call it again once `train` is active.

    Args:
        report_schema_name: Name of the database schema.
        create_schema: Create it if it does not exist.
        create_tables: Create tables that do not exist.
        linking_module: Module, or its name, as for ``model.activate``. Nothing is asked of it that
            `model` has not asked; it may be left out.

    Raises:
        SetupError: `model` is not active.
    """
    activate_beside(
        model.schema,
        schema,
        report_schema_name,
        "report",
        create_schema=create_schema,
        create_tables=create_tables,
        linking_module=linking_module,
    )
    if train.schema.is_activated():
        for table in (TrainingProgress, Snapshot):
            if table.database is None:
                schema(table, context={"train": train})
        record_in(TRAINING, TrainingProgress(), train.ModelTraining())
    record_in(INFERENCE, InferenceProgress(), model.PoseEstimation())
    add_observer(observe)
