"""Who has an answer tonight, who has none, and why?"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from mlmarket.errors import ConfigurationError, RunError
from mlmarket.features import Behaviour, Feature, SnapshotSpec, build
from mlmarket.features.engine import choose_engine
from mlmarket.market.columns import CONTACT_ID
from mlmarket.prediction.buckets import BUCKET, ascending, by_bucket
from mlmarket.prediction.predictor import Predictions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from mlmarket.market import Market

__all__ = ["Answers", "Asking", "asked_ids", "in_one", "together", "without_answer"]


class Answers(Protocol):
    """What answers a question from features: a trained predictor."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def eligible(self) -> Behaviour | None:
        """Of whom it is asked; None for everybody."""
        ...

    @property
    def features_(self) -> tuple[Feature, ...]:
        """What it wants to know of each contact."""
        ...

    def answer(self, batch: "pa.RecordBatch") -> "pa.Table":
        """Return ``contact_id`` and its columns for those of the rows that it can answer."""
        ...

    def reasons(self, contacts: "pa.StringArray", *, as_of: datetime) -> "pa.Table":
        """Return why contacts that are known have no answer."""
        ...


class Asking:
    """A question put to a market.

    Parameters
    ----------
    answers : Answers
        What answers.
    market : Market
        The tables.
    as_of : datetime
        Rows after it are not looked at.
    """

    def __init__(self, answers: Answers, market: "Market", *, as_of: datetime) -> None:
        self.answers = answers
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

        answered = (self.answers.answer(batch) for batch in self._rows(only))
        for people, table in by_bucket(answered, buckets):
            silent = people.filter(pc.invert(pc.is_in(people, table.column(CONTACT_ID))))
            yield Predictions(table, self._reasons(silent, strangers))

    def _reasons(self, silent: "pa.StringArray", strangers: "pa.StringArray | None") -> "pa.Table":
        reasons = self.answers.reasons(silent, as_of=self.as_of)
        return reasons if strangers is None else _with_strangers(reasons, strangers, self.as_of)

    def _rows(self, only: "pa.Table | None") -> "Iterator[pa.RecordBatch]":
        """Yield the features of everybody eligible, or fail where some are left out."""
        gate = self.answers.eligible
        spec = SnapshotSpec(gate, self.answers.features_)
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
                f"'{self.answers.name}' read the rows of {found:,} contacts; there are "
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
    predictor: str, eligible: Behaviour | None, silent: "pa.StringArray", *, as_of: datetime
) -> "pa.Table":
    """Return why contacts have no answer: they are not among those asked about.

    Parameters
    ----------
    predictor : str
        Its name.
    eligible : Behaviour or None
        Of whom it is asked.
    silent : pyarrow.StringArray
        Who has none.
    as_of : datetime
        When they were asked about.

    Returns
    -------
    pyarrow.Table
        ``contact_id, predictor, reason``.
    """
    import pyarrow as pa

    why = f"is not among those asked about, '{eligible}', {_moment(as_of)}"
    return pa.table(
        {
            CONTACT_ID: silent,
            "predictor": pa.repeat(pa.scalar(predictor), len(silent)),
            "reason": pa.repeat(pa.scalar(why), len(silent)),
        }
    )


def _with_strangers(
    reasons: "pa.Table", strangers: "pa.StringArray", as_of: datetime
) -> "pa.Table":
    """Return reasons, of which those of contacts that are not known are that."""
    import pyarrow.compute as pc

    unknown = pc.is_in(reasons.column(CONTACT_ID), value_set=strangers)
    said = pc.if_else(unknown, f"is not known {_moment(as_of)}", reasons.column("reason"))
    return reasons.set_column(reasons.schema.get_field_index("reason"), "reason", said)


def _moment(as_of: datetime) -> str:
    return f"at {as_of.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


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


def asked_ids(contacts: "Sequence[str]") -> "pa.StringArray":
    """Return the contacts that somebody asks about, ascending and each once.

    Parameters
    ----------
    contacts : sequence of str
        Their ids.

    Returns
    -------
    pyarrow.StringArray

    Raises
    ------
    ConfigurationError
        Where they are no list of texts.
    """
    import pyarrow as pa

    if isinstance(contacts, str) or not all(isinstance(contact, str) for contact in contacts):
        raise ConfigurationError(
            "The contacts asked about are not a list of texts.",
            "Ids are text: 17850 and '17850.0' may be the same person, or not.",
            "pass ids as the tables hold them, such as contacts=['17850'].",
        )
    return pa.array(sorted(set(contacts)), pa.string())


def in_one(answers: "Sequence[Predictions]") -> Predictions:
    """Return the answers about several parts of the contacts as one.

    Parameters
    ----------
    answers : sequence of Predictions
        At least one.

    Returns
    -------
    Predictions
        In their order.
    """
    import pyarrow as pa

    items = [answer.items for answer in answers if answer.items is not None]
    return Predictions(
        pa.concat_tables([answer.contacts for answer in answers]),
        pa.concat_tables([answer.missing for answer in answers]),
        pa.concat_tables(items) if items else None,
    )
