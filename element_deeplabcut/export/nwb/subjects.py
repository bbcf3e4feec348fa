"""Which animals of the poses go into files, and which subject each of them is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ...errors import MetadataError
from ...pose.reading import pick_names
from .elements import describe_subject, find_subject_table
from .estimation import Estimation
from .metadata import check_fields
from .objects import find_individual


def pick_animals(
    estimations: Sequence[Estimation], wanted: str | Sequence[str] | None
) -> list[str]:
    """Choose the animals that go into files.

    Raises:
        QueryError: There is no such individual.
        ParameterError: It is no name, nor a list of names.
    """
    known = list(dict.fromkeys(name for one in estimations for name in one.animals))
    return known if wanted is None else list(pick_names(wanted, known, "individual"))


def pick_one_animal(estimation: Estimation, individual: str | None) -> str:
    """Choose the animal of one estimation.

    Raises:
        QueryError: It is not there, or none is named where there are several.
    """
    if individual is None and len(estimation.animals) == 1:
        return estimation.animals[0]
    return estimation.pose.individuals[find_individual(estimation.pose, individual)]


def describe_subjects(
    estimations: Sequence[Estimation],
    animals: Sequence[str],
    session_key: Mapping[str, Any],
    subject: Mapping[str, Any] | None,
    subjects: Mapping[str, Mapping[str, Any]] | None,
) -> dict[str, dict[str, Any]]:
    """Find the fields of each animal's subject.

    Which animal of several is the session's subject, nobody knows but the caller.

    Args:
        estimations: What is exported.
        animals: Individuals that go into files.
        session_key: Key of the session.
        subject: Fields by the caller, of the only animal.
        subjects: Individual -> fields by the caller.

    Returns:
        Individual -> fields of ``pynwb.file.Subject``.

    Raises:
        MetadataError: Nobody says who an animal is.
    """
    subject = check_fields("subject", subject)
    subjects = {
        name: check_fields(f"subjects['{name}']", fields)
        for name, fields in check_fields("subjects", subjects).items()
    }
    known = {name for one in estimations for name in one.animals}
    if subject and subjects:
        raise MetadataError("subject= describes one animal and subjects= several; give one.")
    if len(known) == 1 and not subjects:
        (name,) = known
        return {name: _ask_of_subject(session_key, subject)}
    if subject:
        raise MetadataError(
            f"The poses are of several individuals ({', '.join(sorted(known))}), and subject= "
            "describes one. Say which is which: subjects={'name': {'subject_id': ...}, ...}."
        )
    _check_names(subjects, known, animals)
    found = {name: _ask_of_subject({}, subjects[name]) for name in animals}
    owners: dict[Any, str] = {}
    for name, fields in found.items():
        other = owners.setdefault(fields.get("subject_id"), name)
        if other != name and fields.get("subject_id"):
            raise MetadataError(
                f"subjects says that '{other}' and '{name}' are both '{fields['subject_id']}'."
            )
    return found


def _check_names(
    subjects: Mapping[str, Any], known: Collection[str], animals: Sequence[str]
) -> None:
    unknown = sorted(set(subjects) - set(known))
    if unknown:
        raise MetadataError(
            f"subjects names '{unknown[0]}', which is no individual of the poses; they are of "
            f"{', '.join(sorted(known))}."
        )
    missing = [name for name in animals if name not in subjects]
    if missing:
        raise MetadataError(
            f"Nobody says which subject {', '.join(map(repr, missing))} is. Give "
            f"subjects={{'{missing[0]}': {{'subject_id': ...}}, ...}}."
        )


def _ask_of_subject(session_key: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the Elements of a subject; what is given leads.

    Args:
        session_key: Key of the session, whose subject it is unless ``given`` names another; empty
            where nobody knows.
        given: Fields by the caller.
    """
    table = find_subject_table()
    if table is None:
        return dict(given)
    names = table.primary_key
    restriction = {name: session_key[name] for name in names if name in session_key}
    identity = "_".join(str(value) for value in restriction.values())
    named = given.get("subject_id", identity)
    if named != identity:  # what is known of the session's subject is not true of another
        restriction = {names[0]: named} if len(names) == 1 else {}
    if set(restriction) != set(names):
        return dict(given)
    return {"subject_id": named, **describe_subject(restriction), **given}
