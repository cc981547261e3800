import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.recommend.places import places_among

IDS = st.lists(st.text(max_size=4), max_size=30)


@settings(deadline=None)  # the search is compiled once
@given(asked=IDS, among=IDS, cut=st.integers(0, 5))
def test_ids_are_found_where_arrow_finds_them(asked: list[str], among: list[str], cut: int) -> None:
    """Also in parts of arrays, whose bytes begin elsewhere."""
    known = pa.array(among, pa.string())
    known = known.take(pc.sort_indices(known)).slice(cut)
    wanted = pa.array(asked, pa.string()).slice(cut)
    expected = pc.index_in(wanted, value_set=known).fill_null(-1).to_pylist()
    assert places_among(wanted, known).tolist() == expected
