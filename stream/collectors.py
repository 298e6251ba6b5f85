"""What does Prometheus see of what is counted elsewhere: alerts, models, KPIs? Each is read when it is asked for."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from prometheus_client import utils
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import UNDERSCORES, escape_label_name, escape_metric_name
from prometheus_client.registry import Collector

from models.kpis.entry import Kpi
from stream.readings.board import Board, Reading, Unavailable

_SUFFIX = {"ratio": "_ratio", "seconds": "_seconds", "days": "_seconds"}
_BASE = {"days": 86_400}  # Prometheus has base units only


def metric_name(kpi: Kpi) -> str:
    """Return the name of a KPI's gauge, which ends with its base unit where it has one."""
    return f"vigie_kpi_{kpi.id}{_SUFFIX.get(kpi.unit, '')}"


#: A number as Prometheus' own text has it.
_written: Callable[[float], str] = utils.floatToGoString


class Counts(Collector):
    """A family whose samples are counted elsewhere, by the values of its labels."""

    def __init__(
        self, make: Callable[[], GaugeMetricFamily | CounterMetricFamily], counts: Callable[[], Mapping[Any, float]]
    ) -> None:
        self._make = make
        self._counts = counts
        self._now: Mapping[Any, float] = {}

    def refresh(self) -> None:
        """Take a copy: :meth:`collect` runs in another thread than what counts."""
        self._now = dict(self._counts())

    def collect(self) -> Iterator[Metric]:
        """Yield the one family."""
        family = self._make()
        for labels, count in sorted(self._now.items()):
            family.add_metric(labels, count)
        yield family


def labelled(counts: Callable[[], Mapping[str, float]]) -> dict[tuple[str], float]:
    """Return what is counted by one label as a family wants it."""
    return {(name,): count for name, count in counts().items()}


#: The measures of a model that are exported, and what they are.
MODEL_MEASURES = {
    "auc": "P(a won one was given more than a lost one)",
    "log_loss": "Mean log loss of P(won), in nats",
    "ece": "Calibration error of P(won)",
    "brier30": "Brier score of P(closes within 30 days)",
    "auc30": "AUC of P(closes within 30 days)",
    "mae_days": "Mean absolute error of the expected time to close",
    "bias_days": "Said minus actual time to close, mean",
    "coverage": "Share of closes within their 80 % interval",
}


class Models(Collector):
    """What the models have learnt, and how good their answers were; ``<model>-floor`` is the life table alone."""

    def __init__(self, models: Callable[[], Sequence[Mapping[str, Any]]]) -> None:
        self._models = models
        self._now: list[Mapping[str, Any]] = []

    def refresh(self) -> None:
        """Take a copy: :meth:`collect` runs in another thread than what learns."""
        self._now = list(self._models())

    def collect(self) -> Iterator[Metric]:
        """Yield one family a number."""
        lessons = GaugeMetricFamily("vigie_model_lessons", "Lessons learnt since the model began", labels=["model"])
        labels = GaugeMetricFamily("vigie_model_labels", "Closed answers that were judged", labels=["model"])
        drifts = CounterMetricFamily("vigie_model_drifts", "Alarms of ADWIN over the log loss", labels=["model"])
        answering = GaugeMetricFamily("vigie_model_answering", "1: its answers are the ones given", labels=["model"])
        examples = CounterMetricFamily("vigie_model_examples", "Examples learnt, by kind", labels=["model", "kind"])
        refused = CounterMetricFamily("vigie_model_examples_refused", "Examples not learnt", labels=["model", "reason"])
        measures = {}
        for name, help in MODEL_MEASURES.items():
            based = name.replace("_days", "_seconds")  # Prometheus has base units only
            measures[name] = GaugeMetricFamily(f"vigie_model_{based}", f"{help}, over the last answers", labels=["model"])
        for status in self._now:
            model = str(status["model"])
            lessons.add_metric([model], status["lessons"])
            labels.add_metric([model], status["labels"])
            drifts.add_metric([model], status["alarms"])
            for kind, count in status["examples"].items():
                examples.add_metric([model, kind], count)
            for reason, count in status["refused"].items():
                refused.add_metric([model, reason], count)
            for speaker, name in (("model", model), ("floor", f"{model}-floor")):
                answering.add_metric([name], float(status["champion"] == speaker))
                for measure, family in measures.items():
                    value = status["measures"][speaker].get(measure)
                    if value is not None:
                        family.add_metric([name], value * _BASE["days"] if measure.endswith("_days") else value)
        yield from (lessons, labels, drifts, answering, examples, refused, *measures.values())


class KpiGauges:
    """Turns readings into gauges, and those into text: through the library, thousands of them take five times as long."""

    def __init__(self, board: Board, windows: Sequence[str], dimensions: Sequence[str], segments: int) -> None:
        self._board = board
        self._windows = tuple(dict.fromkeys(windows))
        self._dimensions = tuple(dict.fromkeys(dimensions))
        self._segments = segments
        self._readings: list[Reading] = []

    async def refresh(self) -> None:
        """Read what the next :meth:`page` shows."""
        try:
            self._readings = await self._read()
        except Unavailable:
            self._readings = []

    async def _read(self) -> list[Reading]:
        found = await self._board.slices(self._windows, [None])
        for window in self._windows if self._segments else ():
            for dimension in self._dimensions:
                # Twice as many as are shown: who is largest in a window need not be where most has gone on.
                candidates = await self._board.slices([window], [dimension], 2 * self._segments)
                found += largest(candidates, self._segments)
        return found

    def page(self, kind: str) -> str:
        """Return one family per KPI, and for ratios their parts, as text of a content type (``choose_encoder``)."""
        kpis = self._board.source.kpis
        by_kpi: dict[str, list[Reading]] = {name: [] for name in kpis}
        for reading in self._readings:
            by_kpi.setdefault(reading["kpi"], []).append(reading)
        return "".join(line for name, kpi in kpis.items() for line in _families(kpi, by_kpi[name], kind))


def largest(readings: Iterable[Reading], limit: int) -> list[Reading]:
    """Return, of each KPI and window, the readings of the ``limit`` segments with the largest samples (ties by name)."""
    groups: dict[tuple[str, str], list[Reading]] = {}
    for reading in readings:
        groups.setdefault((reading["kpi"], reading["window"]), []).append(reading)
    return [
        reading
        for group in groups.values()
        for reading in sorted(group, key=lambda r: (-_sample(r), tuple(r["segment"].values())))[:limit]
    ]


def _sample(reading: Reading) -> float:
    for key in ("sample", "denominator", "value"):
        found = reading.get(key)
        if found is not None:
            return abs(float(found))
    return 0.0


def _families(kpi: Kpi, readings: Sequence[Reading], kind: str) -> Iterator[str]:
    name = metric_name(kpi)
    parts = [("", "value", kpi.definition)]
    if kpi.unit == "ratio":
        parts += [("_numerator", "numerator", "Numerator"), ("_denominator", "denominator", "Denominator")]
    if any(reading.get("low") is not None for reading in readings) or kpi.unit == "ratio":
        parts += [("_low", "low", "Lower end of the 95 % interval"), ("_high", "high", "Upper end of the 95 % interval")]
    escaping = kind.partition("escaping=")[2] or UNDERSCORES
    labelled = []
    for reading in readings:
        dimension, segment = next(iter(reading["segment"].items()), ("total", ""))
        currency = str(reading.get("currency") or "") if kpi.unit == "money" else None
        labelled.append((_labels(escaping, dimension, segment, reading["window"], currency), reading))
    factor = _BASE.get(kpi.unit, 1)
    for suffix, key, help in parts:
        text = f"{kpi.label.get('en', kpi.id)}: {help}" if not suffix else f"{help} of {name}"
        shown = escape_metric_name(name + suffix, escaping)
        text = _escape(text) if "openmetrics" in kind else text.replace("\\", r"\\").replace("\n", r"\n")
        yield f"# HELP {shown} {text}\n# TYPE {shown} gauge\n"
        for labels, reading in labelled:
            value = reading.get(key)
            if value is not None:
                yield f"{shown}{{{labels}}} {_written(float(value) * factor)}\n"


@lru_cache(1 << 14)  # one for all KPIs of a window and segment, at every scrape
def _labels(escaping: str, dimension: str, segment: str, window: str, currency: str | None) -> str:
    """Return labels as text, in the order of their names."""
    labels = {"dimension": dimension, "segment": segment, "window": window}
    if currency is not None:
        labels = {"currency": currency, **labels}
    return ",".join([f'{escape_label_name(name, escaping)}="{_escape(value)}"' for name, value in labels.items()])


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
