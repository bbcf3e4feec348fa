"""Schema ``report``: what the results are worth.

Activate it beside ``model``::

    report.activate("lab_report", linking_module=__name__)
"""

from .activation import activate, schema
from .quality import PoseQuality, QualityParamSet

__all__ = ["PoseQuality", "QualityParamSet", "activate", "schema"]
