"""What element-session, element-animal and element-lab say of a session, where they are linked.

Their own NWB functions are called, and only when the lab's tables are theirs. Three things that
those functions (element-session 0.1.6, element-animal 0.1.8) get wrong are put right: a session's
start is taken for local time of the exporting machine, a session without a note fails, and the
species is written as Python spells an array.
"""

from __future__ import annotations

import importlib
import logging
import sys
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from datajoint.errors import DataJointError

from ...errors import MetadataError
from ...model.activation import get_linked
from .metadata import build_file

if TYPE_CHECKING:
    import pynwb

logger = logging.getLogger(__name__)

SESSION_MODULES = (
    "element_session.session_with_datetime",
    "element_session.session_with_id",
)
SUBJECT_MODULE = "element_animal.subject"


def create_file(
    session_key: Mapping[str, Any],
    fields: Mapping[str, Any],
    element_keys: Mapping[str, Mapping[str, Any] | None],
) -> pynwb.NWBFile:
    """Create the file of a session.

    Args:
        session_key: Key of the session.
        fields: Fields of ``pynwb.NWBFile`` that are known; they come before what Elements say.
        element_keys: lab_key, project_key and protocol_key for element-lab.

    Raises:
        MetadataError: pynwb refuses a field, or an Element does not know a key.
    """
    fields = {**_describe_lab(element_keys), **fields}
    if get_linked("Session").__module__ not in SESSION_MODULES:
        return build_file(fields)
    function = importlib.import_module("element_session.export.nwb").session_to_nwb
    try:
        return function(dict(session_key), additional_nwbfile_kwargs=dict(fields))
    except DataJointError as error:  # an Experimenter table with other columns, say
        logger.warning("element-session could not describe the session (%s).", error)
        return build_file(fields)
    except (TypeError, ValueError) as error:
        raise MetadataError(f"NWB does not take these fields of the session: {error}.") from error


def fetch_note(session_key: Mapping[str, Any]) -> str:
    """Fetch what element-session's table of notes says of a session, '' where there is none."""
    session = get_linked("Session")
    if session.__module__ not in SESSION_MODULES:
        return ""
    notes = (sys.modules[session.__module__].SessionNote & session_key).fetch("session_note")
    return " ".join(note.strip() for note in notes)


def find_subject_table() -> Any:
    """Find the lab's table of subjects, or None where nothing tells."""
    table = get_linked("Subject")
    if table is None:
        linked = getattr(sys.modules.get(get_linked("Session").__module__), "_linking_module", None)
        table = getattr(linked, "Subject", None)
    return table


def describe_subject(restriction: Mapping[str, Any]) -> dict[str, Any]:
    """Ask element-animal for fields of ``pynwb.file.Subject``.

    Args:
        restriction: What restricts the table of subjects to one.

    Returns:
        Fields that have a value; none where the linked table is not element-animal's, or has no
        such subject.
    """
    table = find_subject_table()
    if table is None or table.__module__ != SUBJECT_MODULE or len(table & restriction) != 1:
        return {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Date is missing timezone")  # it gets one later
        function = importlib.import_module("element_animal.export.nwb").subject_to_nwb
        described = function(restriction)
    module = sys.modules[SUBJECT_MODULE]
    species = (module.Line * module.Subject.Line & restriction).fetch("species")
    fields = {**described.fields, "species": " x ".join(sorted(set(species)))}
    born = (table & restriction).fetch1("subject_birth_date")
    return {name: value for name, value in {**fields, "date_of_birth": born}.items() if value}


def _describe_lab(element_keys: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Any]:
    """Ask element-lab for the fields that its keys name."""
    wanted = {name: dict(key) for name, key in element_keys.items() if key}
    if not wanted:
        return {}
    try:
        function = importlib.import_module("element_lab.export.nwb").element_lab_to_nwb_dict
        return {name: value for name, value in function(**wanted).items() if value}
    except (AssertionError, DataJointError) as error:
        named = ", ".join(f"{name}={key}" for name, key in wanted.items())
        raise MetadataError(
            f"element-lab cannot say anything of {named}: {error} Check that each names one row, "
            "and that a lab has an organization (Lab.Organization)."
        ) from error
