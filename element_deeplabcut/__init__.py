"""DataJoint Element for markerless pose estimation with DeepLabCut.

Import the schemas and activate them beside the lab's own tables::

    from element_deeplabcut import train, model

    train.activate("lab_train", linking_module=__name__)
    model.activate("lab_model", linking_module=__name__)
"""

from .guards import check_datajoint
from .version import __version__

check_datajoint()

__all__ = ["__version__"]
