"""From a batch of features to the columns of the predictions table, without a frame between."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from mlmarket.churn import ChurnModel
from mlmarket.features import SnapshotSpec, build
from mlmarket.prediction import TargetModel
from mlmarket.prediction import fitted as fitted_module
from mlmarket.prediction.question import Answer, Fact

ALONE = """\
import sys

import pyarrow as pa
from mlmarket.prediction import TargetModel


class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pandas":
            raise ModuleNotFoundError(name)

# The language of formulas knows pandas by sight; from here on nothing can use it.
sys.meta_path.insert(0, Refusal())
for name in [name for name in sys.modules if name.partition(".")[0] == "pandas"]:
    del sys.modules[name]

model = TargetModel.load(sys.argv[1])
with pa.OSFile(sys.argv[2]) as source, pa.ipc.open_file(source) as batches:
    answers = [model._fitted.answer(batches.get_batch(i), model.question)
               for i in range(batches.num_record_batches)]
table = pa.concat_tables(answers).combine_chunks()
with pa.OSFile(sys.argv[3], "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
    writer.write_table(table)
assert "pandas" not in sys.modules
"""


@pytest.fixture(scope="module")
def model(shop, now):
    return TargetModel("upgrade", label="event upgrade", horizon="30D").fit(shop, as_of=now)


@pytest.fixture(scope="module")
def batch(model, shop, now):
    spec = SnapshotSpec(None, model._fitted.features)
    return pa.Table.from_batches(build(shop, spec, cutoffs=[now])).combine_chunks().to_batches()[0]


def test_answers_need_no_pandas(model, batch, tmp_path):
    model.save(tmp_path / "model")
    with (
        pa.OSFile(str(tmp_path / "batch"), "wb") as sink,
        pa.ipc.new_file(sink, batch.schema) as writer,
    ):
        writer.write_batch(batch)
    command = [sys.executable, "-c", ALONE, *(tmp_path / n for n in ("model", "batch", "answers"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with pa.OSFile(str(tmp_path / "answers")) as source, pa.ipc.open_file(source) as answers:
        assert answers.read_all().equals(model._fitted.answer(batch, model.question))


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_how_many_rows_are_answered_at_a_time_changes_nothing(model, batch, rows, monkeypatch):
    whole = model._fitted.answer(batch, model.question)
    monkeypatch.setattr(fitted_module, "_BLOCK", rows)
    assert model._fitted.answer(batch, model.question).equals(whole)
    parts = [model._fitted.answer(batch.slice(i, 50), model.question) for i in range(0, 300, 50)]
    assert pa.concat_tables(parts).combine_chunks().equals(whole.combine_chunks())


def test_no_rows_give_no_rows_with_all_columns(model, batch):
    answers = model._fitted.answer(batch.slice(0, 0), model.question)
    assert answers.num_rows == 0
    assert answers.column_names == ["contact_id", *model.outputs]


def test_a_fact_that_is_not_a_number_is_empty(model, batch):
    question = ChurnModel().question
    answer = Answer(
        "p", "…", "…", facts=(Fact("seen", "lately", "d", "…"), Fact("no", "none", "d", "…"))
    )
    features = pa.RecordBatch.from_arrays(
        [*batch.columns, pa.array(np.where(np.arange(300) % 2, 1.5, np.nan))],
        names=[*batch.schema.names, "lately"],
    )
    asked = type(question)(
        **{name: getattr(question, name) for name in question.__dataclass_fields__}
        | {"answer": answer}
    )
    answers = model._fitted.answer(features, asked)
    assert answers.column("seen").to_pylist()[:3] == [None, 1.5, None]
    assert answers.column("no").null_count == 300
