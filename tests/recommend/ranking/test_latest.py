import numpy as np
import pyarrow as pa

from mlmarket.recommend.interactions import Interactions
from mlmarket.recommend.items import ItemFacts
from mlmarket.recommend.ranking.latest import LatestItems


def histories(*lines: list[int]) -> Interactions:
    lengths = [len(line) for line in lines]
    return Interactions(
        contacts=pa.array([f"c{place}" for place in range(len(lines))]),
        items=pa.array(["a", "b", "c", "d"]),
        start=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        item=np.concatenate(lines).astype(np.int32),
        at=np.concatenate([np.arange(length, dtype=np.float64) for length in lengths]),
        weight=np.ones(sum(lengths), dtype=np.float32),
    )


def test_each_of_the_latest_items_speaks_for_itself() -> None:
    known = histories([0, 1], [0, 1], [2, 3])
    block = LatestItems(rows=2).fit(known, ItemFacts.from_frame(None, known.items))
    told = block.values(histories([2, 0], [0]), np.array([[1, 3, -1], [1, 3, -1]], dtype=np.int32))
    of = dict(zip(block.names, np.moveaxis(told, -1, 0), strict=True))
    assert of["after_1"][0, 0] > 0 == of["after_1"][0, 1]
    assert of["after_2"][0, 1] > 0 == of["after_2"][0, 0]
    assert np.isnan(of["after_2"][1]).all()
    assert of["popularity"][0, 0] == np.float32(np.log(3.0))
    assert of["rows"][:, 0].tolist() == [2.0, 1.0]


def test_what_was_learned_is_kept() -> None:
    known = histories([0, 1, 2], [0, 1], [2, 3])
    block = LatestItems().fit(known, ItemFacts.from_frame(None, known.items))
    asked = np.array([[1, 3], [0, 2], [0, 1]], dtype=np.int32)
    read = LatestItems().from_state(block.to_state())
    np.testing.assert_array_equal(read.values(known, asked), block.values(known, asked))
