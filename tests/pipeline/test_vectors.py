"""Arrays written and read with plain SQL, in tables as a lab may have them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import datajoint as dj
import numpy as np
import pytest

from element_deeplabcut.blobs import check_fits, insert_row
from element_deeplabcut.errors import DatabaseError, QueryError
from element_deeplabcut.pose.vectors import Span, VectorReader

from ..conftest import Lab


def test_keys_may_be_uuids(lab: Lab) -> None:
    schema = dj.schema("test_vectors")

    @schema
    class Track(dj.Manual):
        definition = """
        session    : uuid
        individual : varchar(32)
        body_part  : varchar(32)
        ---
        x_pos      : longblob
        z_pos=null : longblob
        """

    sessions = [uuid.UUID(int=number) for number in (1, 2)]
    for number, session in enumerate(sessions):
        row = {"session": session, "individual": "", "body_part": "nose"}
        insert_row(Track(), row, {"x_pos": np.arange(5.0) + 10 * number})
    assert sorted(Track.fetch("session")) == sessions
    reader = VectorReader(Track(), {"session": sessions[1]}, Span(1, 3, 5))
    assert reader.list_rows() == {("", "nose")}
    (((individual, part), (x, z)),) = reader.read([("", "nose")], ("x_pos", "z_pos"))
    assert (individual, part) == ("", "nose")
    assert (x.tolist(), z) == ([11, 12], None)
    with pytest.raises(QueryError, match="has no row of 'tail'"):
        list(reader.read([("", "tail")], ("x_pos",)))


class Long(dj.Manual):
    definition = """
    number : int
    ---
    values : longblob
    """


@pytest.fixture
def long_table(lab: Lab, set_packet_limit: Callable[[int], None]) -> Any:
    """A table on a server that takes 14 kB at a time; 4 kB of that are for the statement."""
    table = dj.schema("test_vectors")(Long)()
    set_packet_limit(14 << 10)
    return table


LONGEST = (10 * 1024 - 64) // 8


@pytest.mark.parametrize("n_values", [600, 700, LONGEST])
def test_an_array_may_be_as_long_as_the_packet_limit(n_values: int, long_table: Any) -> None:
    """In hexadecimal it takes twice as much, so the server puts it together from pieces."""
    array = np.random.default_rng(0).random(n_values)
    check_fits(long_table.connection, n_values)
    insert_row(long_table, {"number": n_values}, {"values": array})
    assert np.array_equal((long_table & {"number": n_values}).fetch1("values"), array)


def test_a_longer_array_is_refused_before_anything_is_written(long_table: Any) -> None:
    with pytest.raises(DatabaseError, match=r"accepts 14336 at a time\. Raise"):
        check_fits(long_table.connection, LONGEST + 1)
    with pytest.raises(DatabaseError, match="more than the server's max_allowed_packet"):
        insert_row(long_table, {"number": 1}, {"values": np.zeros(LONGEST + 9)})
    assert not long_table & {"number": 1}
