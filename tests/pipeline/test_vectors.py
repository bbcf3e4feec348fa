"""Arrays written and read with plain SQL, in tables as a lab may have them."""

from __future__ import annotations

import uuid

import datajoint as dj
import numpy as np
import pytest

from element_deeplabcut.blobs import insert_row
from element_deeplabcut.errors import QueryError
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
    ((x, z),) = reader.read([("", "nose")], ("x_pos", "z_pos"))
    assert (x.tolist(), z) == ([11, 12], None)
    with pytest.raises(QueryError, match="has no row of 'tail'"):
        list(reader.read([("", "tail")], ("x_pos",)))
