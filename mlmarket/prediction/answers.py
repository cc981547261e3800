"""Who has an answer tonight, who has none, and why?"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mlmarket.errors import RunError
from mlmarket.features import SnapshotSpec, build
from mlmarket.features.engine import choose_engine
from mlmarket.market.columns import CONTACT_ID
from mlmarket.prediction.buckets import BUCKET, ascending, by_bucket
from mlmarket.prediction.fitted import Fitted
from mlmarket.prediction.predictor import Predictions
from mlmarket.prediction.question import Question

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from mlmarket.market import Market

__all__ = ["Asking", "together", "without_answer"]


class Asking:
    """A question put to a market, with what was learned about it.

    Parameters
    ----------
    fitted : Fitted
        What answers.
    question : Question
        What is asked.
    market : Market
        The tables.
    as_of : datetime
        Rows after it are not looked at.
    """

    def __init__(
        self, fitted: Fitted, question: Question, market: "Market", *, as_of: datetime
    ) -> None:
        self.fitted = fitted
        self.question = question
        self.market = market
        self.as_of = as_of

    def about(self, contacts: "pa.StringArray") -> Predictions:
        """Answer for some contacts, whether they are known or not.

        Parameters
        ----------
        contacts : pyarrow.StringArray
            Ascending, each once.

        Returns
        -------
        Predictions
            With the reason for each who has no answer.
        """
        import pyarrow as pa

        strangers = self._strangers(contacts)
        only = pa.table({CONTACT_ID: contacts})
        return together(self.in_buckets([contacts], only=only, strangers=strangers))

    def in_buckets(
        self,
        buckets: "Iterable[pa.StringArray]",
        *,
        only: "pa.Table | None" = None,
        strangers: "pa.StringArray | None" = None,
    ) -> "Iterator[Predictions]":
        """Answer bucket by bucket, with one read of the tables.

        Parameters
        ----------
        buckets : iterable of pyarrow.StringArray
            Contacts, ascending over all of them.
        only : pyarrow.Table, optional
            Only contacts whose ``contact_id`` is in it are read.
        strangers : pyarrow.StringArray, optional
            Those of them who are not known.

        Yields
        ------
        Predictions
            Of a bucket.

        Raises
        ------
        RunError
            Where the rows that were read are not all there are.
        """
        import pyarrow.compute as pc

        answers = (self.fitted.answer(batch, self.question) for batch in self._rows(only))
        for people, table in by_bucket(answers, buckets):
            silent = people.filter(pc.invert(pc.is_in(people, table.column(CONTACT_ID))))
            reasons = without_answer(self.question, silent, as_of=self.as_of, strangers=strangers)
            yield Predictions(table, reasons)

    def _rows(self, only: "pa.Table | None") -> "Iterator[pa.RecordBatch]":
        """Yield the features of everybody eligible, or fail where some are left out."""
        gate = self.question.eligible
        spec = SnapshotSpec(gate, self.fitted.features)
        if choose_engine(self.market, spec).store is not None:
            yield from self._build(spec, only)
            return
        # Asked first. A connection of DuckDB reads one result at a time: another query in between
        # ends it without a word, and those who come after would look as if nobody asked for them.
        expected = sum(batch.num_rows for batch in self._build(SnapshotSpec(gate, ()), only))
        found = 0
        for batch in self._build(spec, only):
            found += batch.num_rows
            yield batch
        if found != expected:
            raise RunError(
                f"'{self.question.name}' read the rows of {found:,} contacts; there are "
                f"{expected:,}.",
                "The others would look as if nobody had asked about them.",
                "ask nothing else of the market while predictions are read; if nothing was asked, "
                "a table was written to in between: run it again.",
            )

    def _build(self, spec: SnapshotSpec, only: "pa.Table | None") -> "Iterator[pa.RecordBatch]":
        return ascending(self.market, build(self.market, spec, cutoffs=[self.as_of], only=only))

    def _strangers(self, asked: "pa.StringArray") -> "pa.StringArray":
        import pyarrow.compute as pc

        known = self.market.contacts(as_of=self.as_of).select(CONTACT_ID)
        for batch in known.to_pyarrow_batches(chunk_size=BUCKET):
            asked = asked.filter(
                pc.invert(pc.is_in(asked, batch.column(CONTACT_ID).cast(asked.type)))
            )
        return asked


def without_answer(
    question: Question,
    silent: "pa.StringArray",
    *,
    as_of: datetime,
    strangers: "pa.StringArray | None" = None,
) -> "pa.Table":
    """Return why contacts have no answer.

    Parameters
    ----------
    question : Question
        What was asked.
    silent : pyarrow.StringArray
        Who has none.
    as_of : datetime
        When they were asked about.
    strangers : pyarrow.StringArray, optional
        Those of them who are not known.

    Returns
    -------
    pyarrow.Table
        ``contact_id, predictor, reason``.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    moment = f"at {as_of.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    gate = f"is not among those asked about, '{question.eligible}', {moment}"
    nobody = pa.array([], pa.string())
    unknown = pc.is_in(silent, nobody if strangers is None else strangers)
    return pa.table(
        {
            CONTACT_ID: silent,
            "predictor": pa.repeat(pa.scalar(question.name), len(silent)),
            "reason": pc.if_else(unknown, f"is not known {moment}", gate),
        }
    )


def together(answers: "Iterable[Predictions]") -> Predictions:
    """Return the answers of several buckets as one.

    Parameters
    ----------
    answers : iterable of Predictions
        At least one.

    Returns
    -------
    Predictions
        In their order.
    """
    import pyarrow as pa

    buckets = list(answers)
    return Predictions(
        pa.concat_tables([bucket.contacts for bucket in buckets]),
        pa.concat_tables([bucket.missing for bucket in buckets]),
    )
