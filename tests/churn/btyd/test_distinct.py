import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmarket.churn.btyd.distinct import distinct_rows

ROWS = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, 2.5]), st.sampled_from([0.0, 7.1])), min_size=1
)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(ROWS)
def test_every_row_is_that_of_its_kind_and_no_kind_stands_twice(rows):
    columns = tuple(np.array(column) for column in zip(*rows, strict=True))
    first, kind = distinct_rows(*columns)
    for column in columns:
        np.testing.assert_array_equal(column[first][kind], column)
    assert len(first) == len(set(rows))
