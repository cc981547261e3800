"""What does ``mlmarket.toml`` say about the night?"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from mlmarket.errors import ConfigurationError, suggestion
from mlmarket.features import FEATURE_SETS, Feature, FeatureSettings, declared_features
from mlmarket.features.defaults import DEFAULT
from mlmarket.market import MarketSettings, parse_duration
from mlmarket.market.settings import Settings, read_toml, validate_settings
from mlmarket.orchestration.handover.settings import HandoverSettings

__all__ = [
    "HookSettings",
    "JourneySettings",
    "ModelSettings",
    "NightSettings",
    "OutputSettings",
    "PredictSettings",
    "PublishSettings",
    "QualitySettings",
    "RetentionSettings",
    "SegmentSettings",
    "load_settings",
]

BUILT_IN: Final[Mapping[str, tuple[str, ...]]] = {
    "purchase": ("horizon", "eligible", "features", "needs", "tuned"),
    "churn": ("horizon", "eligible", "features", "needs", "tuned"),
    "value": ("horizon", "eligible", "features", "needs", "extrapolate"),
    "next_order": ("least_chance",),
    "replenishment": ("least_chance", "items"),
    "subscription": ("horizon", "starts", "ends", "features"),
    "recommend": ("horizon", "slots", "exclude", "weights", "urls", "rules", "texts"),
}
"""Questions of mlmarket's own, and what may be said about each."""
RECOMMEND: Final = ("recommend",)
"""Those that choose items."""
_ASKED_IN_ANY_CASE: Final = frozenset({"purchase", "churn", "value", "next_order"})


def _readable_duration(text: str) -> str:
    parse_duration(text)
    return text


Duration = Annotated[str, AfterValidator(_readable_duration)]


class PredictSettings(Settings):
    """``[predict.NAME]``: one question.

    Parameters
    ----------
    label : str, optional
        What is asked, such as ``event upgrade``; given by mlmarket for its own questions.
    horizon : str, optional
        Within which time, such as ``30D``.
    eligible : str, optional
        Of whom, such as ``order within 365D``.
    features : list of str, optional
        What is known of each contact: names of declared features and of sets, such as ``shop``;
        by default all that the tables allow and all that is declared.
    estimator : str, optional
        ``module:function`` that returns a scikit-learn classifier, in place of the default model.
    tuned : bool, optional
        For ``purchase`` and ``churn``: whether a model with settings of its own takes part.
    needs : dict of str to int, optional
        For ``purchase``, ``churn`` and ``value``: what data models need before they are tried.
    starts, ends : str, optional
        What begins and what ends a contract, for ``subscription`` only.
    least_chance : float, optional
        For ``next_order`` and ``replenishment``: probability of an order within 90 days below which
        no date is named.
    items : int, optional
        For ``replenishment``: items named to a contact at most.
    extrapolate : bool, optional
        For ``value`` only: whether to answer for a horizon of which no window is closed.
    slots : int, optional
        For ``recommend`` only, as the following: items a contact.
    exclude : {"none", "seen"}, optional
        Whether what somebody had is left out.
    weights : dict of str to float, optional
        What counts as interest, such as ``{order = 1.0, add_to_cart = 0.3}``.
    urls : list of str, optional
        How the addresses of items look, such as ``"/blog/{item_id}"``.
    rules : dict, optional
        Which items may be shown to whom, see :class:`mlmarket.recommend.Rules`.
    texts : str or dict, optional
        The words of reasons: a file such as ``reasons.de.yaml``, or what it holds, see
        :class:`mlmarket.recommend.ReasonTexts`. What :func:`load_settings` returns holds the content, so that a
        night with other words is another night.
    enabled : bool, default True
        Whether it is asked.
    """

    label: str | None = None
    horizon: Duration | None = None
    eligible: str | None = None
    features: Annotated[list[str], Field(min_length=1)] | None = None
    estimator: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")] | None = None
    tuned: bool | None = None
    needs: dict[str, int] | None = None
    starts: str | None = None
    ends: str | None = None
    extrapolate: bool | None = None
    least_chance: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    items: Annotated[int, Field(ge=1)] | None = None
    slots: Annotated[int, Field(ge=1)] | None = None
    exclude: Literal["none", "seen"] | None = None
    weights: dict[str, float] | None = None
    urls: list[str] | None = None
    rules: dict[str, Any] | None = None
    texts: str | dict[str, Any] | None = None
    enabled: Annotated[bool, Field(strict=True)] = True


class ModelSettings(Settings):
    """``[models]``: when models are trained again.

    Parameters
    ----------
    retrain_after : str, default "30D"
        A night trains the models that are missing or older than this.
    """

    retrain_after: Duration = "30D"

    @property
    def age(self) -> timedelta:
        """The oldest a model may be."""
        return parse_duration(self.retrain_after)


class SegmentSettings(Settings):
    """``[segments]``: where the segments are written down.

    Parameters
    ----------
    files : list of str
        YAML files, relative to the configuration; ``*`` allowed.
    """

    files: list[str] = Field(default_factory=list)


class JourneySettings(Settings):
    """``[journeys]``: where the journeys are written down, and who is never messaged.

    Parameters
    ----------
    files : list of str
        YAML files, one journey each; ``*`` allowed.
    policy : str, optional
        YAML file of the rules over all journeys: caps, quiet hours, who is left alone.
    holdout : float, default 0.05
        Share of contacts that no journey messages, so that what it earns can be measured.
    holdout_salt : str, default "global_holdout"
        Another salt holds out other people.
    """

    files: list[str] = Field(default_factory=list)
    policy: str | None = None
    holdout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.05
    holdout_salt: str = "global_holdout"


class PublishSettings(Settings):
    """``[publish]``: the database that gets each night's predictions.

    Parameters
    ----------
    connection : str
        An Ibis address, such as ``postgres://…``; keep secrets in ``${NAME}``.
    table : str, default "mlmarket_predictions"
        Table that is replaced for the night, in one transaction.
    """

    connection: str
    table: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = "mlmarket_predictions"


class QualitySettings(Settings):
    """``[quality]``: what stops a night before anything is handed over.

    Parameters
    ----------
    most_change : float, default 0.5
        Largest relative change of a predictor's mean probability against the night before (at
        most a week ago).
    """

    most_change: Annotated[float, Field(gt=0.0)] = 0.5


class RetentionSettings(Settings):
    """``[retention]``: what keeping a person is worth.

    Parameters
    ----------
    response : float
        Share of those who would leave that a message keeps, from 0 to 1: an assumption until an
        experiment has measured it.
    cost_per_contact : float, default 0.0
        What a message costs, with the discount that is given, in the business's currency.
    value : str, default "value"
        The question that says what a person is worth.
    leaving : str, default "churn"
        The question that says how likely the person is to leave.
    """

    response: Annotated[float, Field(ge=0.0, le=1.0)]
    cost_per_contact: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.0
    value: str = "value"
    leaving: str = "churn"


class OutputSettings(Settings):
    """``[output]``: where the night writes.

    Parameters
    ----------
    folder : str, default "."
        Relative to the configuration; holds ``runs``, ``models``, ``history`` and the state.
    """

    folder: str = "."


class HookSettings(Settings):
    """``[hooks]``: what is run when a night fails.

    Parameters
    ----------
    on_failure : str, optional
        A command; it finds ``MLMARKET_DATE``, ``MLMARKET_EXIT_CODE`` and ``MLMARKET_ERROR`` in its
        environment.
    """

    on_failure: str | None = None


class NightSettings(MarketSettings):
    """Everything in ``mlmarket.toml``.

    Parameters
    ----------
    predict : dict of str to PredictSettings
        The questions; ``purchase``, ``churn``, ``value`` and ``next_order`` are asked in any case,
        ``replenishment``, ``subscription`` and ``recommend`` where they are named.
    features : dict of str to FeatureSettings
        Further features, see :mod:`mlmarket.features.declarations`.
    models, segments, journeys, quality, output, engine, hooks : settings
        See there.
    publish : PublishSettings, optional
        Only where a database is to be written.
    handover : dict of str to HandoverSettings
        Who takes the outbox; without any, each night writes it to a file.
    retention : RetentionSettings, optional
        Only where the value saved is to be predicted.
    """

    predict: dict[str, PredictSettings] = Field(default_factory=dict)
    features: dict[str, FeatureSettings] = Field(default_factory=dict)
    models: ModelSettings = Field(default_factory=ModelSettings)
    segments: SegmentSettings = Field(default_factory=SegmentSettings)
    journeys: JourneySettings = Field(default_factory=JourneySettings)
    quality: QualitySettings = Field(default_factory=QualitySettings)
    output: OutputSettings = Field(default_factory=OutputSettings)
    hooks: HookSettings = Field(default_factory=HookSettings)
    handover: dict[str, HandoverSettings] = Field(default_factory=dict)
    publish: PublishSettings | None = None
    retention: RetentionSettings | None = None

    @model_validator(mode="after")
    def _questions_are_whole(self) -> Self:
        for name, question in self.predict.items():
            if name in BUILT_IN:
                _refuse_unfit(name, question)
            elif question.label is None or question.horizon is None:
                missing = "label" if question.label is None else "horizon"
                raise ConfigurationError(
                    f"[predict.{name}] has no `{missing}`.",
                    "A question says what is asked, and within which time.",
                    'write label = "event upgrade" and horizon = "30D".',
                )
        return self

    @model_validator(mode="after")
    def _features_are_known(self) -> Self:
        declared_features(self.features)
        known = [DEFAULT, *FEATURE_SETS, *self.features]
        for name, question in self.predict.items():
            _refuse_unknown(name, question.features or (), known)
        return self

    def built_in(self) -> tuple[str, ...]:
        """Return the questions of mlmarket's own that are asked, in the order in which they run."""
        return tuple(
            name
            for name in BUILT_IN
            if (name in _ASKED_IN_ANY_CASE or name in self.predict)
            and self.predict.get(name, PredictSettings()).enabled
        )

    def features_of(self, question: str) -> tuple[Feature | str, ...] | None:
        """Return what is known of each contact where a question is asked.

        Parameters
        ----------
        question : str
            Its name.

        Returns
        -------
        tuple of Feature or str, or None
            Features, and names of sets; None for all that the tables allow.
        """
        declared: Mapping[str, tuple[Feature | str, ...]] = declared_features(self.features)
        asked = self.predict.get(question, PredictSettings()).features
        if asked is None:
            asked = [DEFAULT, *declared] if declared else []
        return tuple(one for name in asked for one in declared.get(name, (name,))) or None

    def fingerprint(self) -> str:
        """Return a digest of all that decides a night's results.

        Where results are written, what may be used of the machine, which engine computes, and what
        is run when a night fails, do not.
        """
        content = self.model_dump(
            mode="json", exclude={"engine", "output", "hooks", "publish", "handover"}
        )
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _refuse_unknown(question: str, features: Sequence[str], known: Sequence[str]) -> None:
    for name in features:
        if name not in known:
            raise ConfigurationError(
                f"[predict.{question}] names '{name}', which is neither a declared feature nor a "
                "set of features.",
                "A question knows only what its features say.",
                suggestion(name, known),
            )


def _refuse_unfit(name: str, question: PredictSettings) -> None:
    """Refuse what a question of mlmarket's own does not let anybody say."""
    said = question.model_dump(exclude_none=True, exclude_defaults=True, exclude={"enabled"})
    for key in said:
        if key not in BUILT_IN[name]:
            may = ", ".join(f"`{one}`" for one in (*BUILT_IN[name], "enabled"))
            raise ConfigurationError(
                f"[predict.{name}] cannot have a `{key}`.",
                f"'{name}' is a question of mlmarket's own, of which only {may} may be said.",
                "remove it, or give your own question another name.",
            )


def load_settings(path: Path) -> NightSettings:
    """Read ``mlmarket.toml``.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    NightSettings
        Checked.

    Raises
    ------
    ConfigurationError
        With the key that is wrong.
    """
    settings = validate_settings(NightSettings, read_toml(path), file=path.name)
    told = {
        name: question.model_copy(update={"texts": _texts_of(question.texts, name, path)})
        for name, question in settings.predict.items()
        if isinstance(question.texts, str)
    }
    return settings.model_copy(update={"predict": settings.predict | told})


def _texts_of(file: str, question: str, config: Path) -> dict[str, Any]:
    """Return the words of reasons that a file beside the configuration holds."""
    from mlmarket.recommend import ReasonTexts

    folder = config.parent.absolute()
    if not (folder / file).is_file():
        raise ConfigurationError(
            f"[predict.{question}] names the file '{file}', which is not there (looked in {folder}).",
            "The words of reasons are written down in it.",
            f"correct `texts` in [predict.{question}]; paths are relative to {config.name}.",
        )
    return ReasonTexts.from_file(folder / file).to_mapping()
