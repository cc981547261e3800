"""What is kept comes back, byte for byte."""

import numpy as np

from mlmarket.recommend.storage import read_state, write_state


def state():
    return {
        "array": np.arange(3, dtype=np.int32),
        "number": np.float64(0.1),
        "text": "ä\nb",
        "none": None,
        "list": ("a", "b"),
        "inner": {"array": np.array([[1.5, np.nan]], np.float32), "deep": {"of": 3}},
    }


def test_a_state_comes_back(tmp_path):
    write_state(state(), tmp_path, "model")
    found = read_state(tmp_path, "model")
    np.testing.assert_array_equal(found["array"], state()["array"])
    assert found["array"].dtype == np.int32
    np.testing.assert_array_equal(found["inner"]["array"], state()["inner"]["array"])
    assert found["number"] == 0.1
    assert found["text"] == "ä\nb"
    assert found["none"] is None
    assert found["list"] == ["a", "b"]
    assert found["inner"]["deep"] == {"of": 3}


def test_the_same_state_is_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_state(state(), tmp_path / name, "model")
    for file in ("model.json", "model.npz"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
