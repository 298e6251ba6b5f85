"""Which dashboards are there, and what is on each? Units, descriptions and thresholds are the catalogue's and the rules'."""

from collections.abc import Iterable, Sequence

from alert_rules.judge.rule import Direction, KpiRule, Rule, Severity
from alert_rules.kinds.value import Value
from models.kpis.catalogue import Catalogue
from models.kpis.entry import Kpi
from stream.collectors import MODEL_MEASURES, metric_name
from vigie.grafana.parts import Dashboard, Panel, Prom, Thresholds, Variable

_UNITS = {"count": "short", "ratio": "percentunit", "score": "none", "money": "currency:$currency", "seconds": "s", "days": "s"}
_COLOURS = {Severity.WARN: "orange", Severity.CRITICAL: "red"}
_DATA = Variable("datasource", "Data source")
_PAGE = Variable("page", "Address of Vigie's page", current="http://127.0.0.1:8080")
_CHOICES = (
    _DATA,
    Variable("window", "Window", "label_values(vigie_kpi_sales, window)", "7d"),
    Variable("dimension", "By", 'label_values(vigie_kpi_win_rate_ratio{dimension!="total"}, dimension)', "source"),
    Variable("segment", "Segment", 'label_values(vigie_kpi_sales{dimension="$dimension"}, segment)', several=True),
    Variable("currency", "Currency", "label_values(vigie_kpi_revenue, currency)", "EUR", hidden=True),
    _PAGE,
)
_ALL = (
    ("Executive", "vigie-executive"), ("Funnel", "vigie-funnel"), ("Pipeline", "vigie-pipeline"), ("Team", "vigie-team"),
    ("Sources", "vigie-sources"), ("Loyalty", "vigie-loyalty"), ("Predictions", "vigie-predictions"), ("Alerts", "vigie-alerts"),
    ("Vigie's own health", "vigie-health"),
)  # fmt: skip
#: What a model's measure is shown in.
_MODEL_UNITS = {"mae_days": "s", "bias_days": "s", "coverage": "percentunit"}


class Maker:
    """Makes panels of KPIs, with the thresholds of the rules on their totals."""

    def __init__(self, catalogue: Catalogue, rules: Iterable[Rule]) -> None:
        self._kpis = catalogue.kpis
        self._rules = {rule.kpi: rule for rule in rules if isinstance(rule, KpiRule) and rule.unit == self._kpis[rule.kpi].unit}

    def stat(self, kpi: str, width: int = 4) -> Panel:
        """Return one number: the total over the window."""
        found = self._kpis[kpi]
        thresholds, base = self._thresholds(kpi)
        return Panel(
            "stat", found.label["en"], found.definition, (Prom(_total(found)),), _UNITS[found.unit], width, 4, thresholds, base,
            links=True,
        )  # fmt: skip

    def stats(self, kpis: str) -> list[Panel]:
        """Return a line of numbers, of KPIs with blanks between."""
        return [self.stat(kpi) for kpi in kpis.split()]

    def graph(self, title: str, kpis: Sequence[str], width: int = 8) -> Panel:
        """Return totals over time; of one KPI, its interval and the thresholds of its rule as well."""
        found = [self._kpis[kpi] for kpi in kpis]
        targets = [Prom(_total(kpi), kpi.label["en"]) for kpi in found]
        thresholds: Thresholds = ()
        base = "transparent"
        if len(found) == 1:
            thresholds = self._thresholds(kpis[0])[0]
            if found[0].interval is not None:
                targets += [Prom(_total(found[0], end), f"{end} end of the interval") for end in ("_low", "_high")]
        about = " ".join(kpi.definition for kpi in found)
        return Panel("timeseries", title, about, tuple(targets), _UNITS[found[0].unit], width, 8, thresholds, base, links=True)

    def bars(self, kpi: str, dimension: str = "$dimension", width: int = 8) -> Panel:
        """Return the segments beside each other."""
        found = self._kpis[kpi]
        title = f"{found.label['en']} by {dimension}"
        target = Prom(_by(found, dimension), "{{segment}}")
        return Panel("bargauge", title, found.definition, (target,), _UNITS[found.unit], width, links=True)

    def table(self, kpis: Sequence[str], dimension: str = "$dimension", width: int = 24) -> Panel:
        """Return a line a segment, with a column a KPI."""
        found = [self._kpis[kpi] for kpi in kpis]
        targets = tuple(Prom(_by(kpi, dimension), instant=True) for kpi in found)
        columns = tuple((kpi.label["en"], _UNITS[kpi.unit]) for kpi in found)
        return Panel("table", f"By {dimension}", "The largest segments; how many is metrics.segments in the settings.", targets,
                     "none", width, 9, columns=columns)  # fmt: skip

    def _thresholds(self, kpi: str) -> tuple[Thresholds, str]:
        """Return the steps of the rule on a KPI, and the colour below the first of them."""
        rule = self._rules.get(kpi)
        if rule is None or not isinstance(rule.condition, Value):
            return (), "green"
        if rule.direction is Direction.ABOVE:
            return [(step.threshold, _COLOURS[step.severity]) for step in rule.ladder], "green"
        lowest = sorted(rule.ladder, key=lambda step: step.threshold)
        colours = [*(_COLOURS[step.severity] for step in lowest[1:]), "green"]
        return list(zip((step.threshold for step in lowest), colours, strict=True)), _COLOURS[lowest[0].severity]


def _total(kpi: Kpi, end: str = "") -> str:
    return f'max by (window) ({metric_name(kpi)}{end}{{window="$window",dimension="total"}})'


def _by(kpi: Kpi, dimension: str) -> str:
    chosen = ',segment=~"$segment"' if dimension == "$dimension" else ""
    return f'max by (window,segment) ({metric_name(kpi)}{{window="$window",dimension="{dimension}"{chosen}}})'


def boards(catalogue: Catalogue, rules: Iterable[Rule]) -> list[Dashboard]:
    """Return all dashboards that are made here."""
    make = Maker(catalogue, rules)
    kpis: dict[str, tuple[str, str, list[Panel]]] = {
        "vigie-executive": (
            "Vigie: executive", "Where the company stands.",
            [
                *make.stats("revenue sales win_rate open_pipeline leads nps"),
                make.graph("Revenue", ["revenue"]), make.graph("Win rate", ["win_rate"]),
                make.graph("Pipeline", ["open_pipeline", "weighted_pipeline", "pipeline_created"]),
                *make.stats("cac clv clv_to_cac gross_margin net_revenue_retention churn_rate"),
                make.table(["sales", "revenue", "win_rate", "leads", "mql_rate"]),
            ],
        ),
        "vigie-funnel": (
            "Vigie: funnel", "From a visit to a sale, stage by stage.",
            [
                *make.stats("sessions leads visitor_to_lead_rate mql_rate sql_rate lead_conversion"),
                make.graph("Visits and leads", ["sessions", "leads"]),
                make.graph("Rates", ["visitor_to_lead_rate", "mql_rate", "sql_rate", "lead_to_opportunity_rate"]),
                make.graph("Conversion of leads", ["lead_conversion"]),
                make.graph("Answering", ["lead_response_time"]), make.graph("Answered in time", ["response_within_sla"]),
                make.graph("Attention", ["bounce_rate", "email_open_rate", "email_click_rate", "ad_click_rate"]),
                make.table(["leads", "mql_rate", "lead_conversion", "lead_response_time"]),
            ],
        ),
        "vigie-pipeline": (
            "Vigie: pipeline", "What is open, how old it is, and where it waits.",
            [
                *make.stats("open_pipeline weighted_pipeline pipeline_age stalled_deals slippage pushes"),
                make.bars("open_pipeline", "stage"), make.bars("stage_time", "stage"), make.bars("stage_conversion", "stage"),
                make.bars("bottleneck", "stage"), make.bars("stalled_deals", "stage"),
                make.graph("Created and due", ["pipeline_created", "due_pipeline"]),
                make.graph("Time to close", ["time_to_close_first_quarter", "time_to_close", "time_to_close_third_quarter"], 12),
                make.graph("Sales velocity", ["sales_velocity"], 12),
            ],
        ),
        "vigie-team": (
            "Vigie: team", "Who sells what, and how.",
            [
                *make.stats("sales revenue_per_sale activities_per_win meetings signatures lead_response_time"),
                make.bars("sales", "owner"), make.bars("revenue", "owner"), make.bars("win_rate", "owner"),
                make.table(["sales", "revenue", "win_rate", "average_deal_size", "lead_response_time"], "owner"),
                make.graph("Deal size", ["average_deal_size", "median_deal_size"], 12),
                make.graph("Discounts", ["discount_rate", "discounted_deals_rate"], 12),
            ],
        ),
        "vigie-sources": (
            "Vigie: sources", "Where customers come from, and what that costs.",
            [
                *make.stats("cost_per_lead cost_per_mql cost_per_opportunity cac roas campaign_roi"),
                make.bars("leads", "source"), make.bars("win_rate", "source"), make.bars("revenue", "source"),
                make.table(["sessions", "leads", "mql_rate", "win_rate", "revenue", "cost_per_lead"], "source"),
                make.graph("Advertising", ["ad_click_rate"], 12), make.graph("Cost of a click", ["cost_per_click"], 12),
            ],
        ),
        "vigie-loyalty": (
            "Vigie: loyalty", "Who stays, who goes, and what they say.",
            [
                *make.stats("nps csat retention_rate churn_rate net_revenue_retention customers_lost"),
                make.graph("Recommendation", ["nps"]), make.graph("Terms", ["retention_rate", "renewal_rate", "churn_rate"]),
                make.graph("Worth of a customer", ["clv", "clv_margin", "cac"]),
                make.graph("Complaints", ["complaint_rate"]),
                make.graph("Buying again", ["repeat_purchase_rate", "recommendation_rate"]),
                make.graph("Answering", ["support_response_time"]),
            ],
        ),
    }  # fmt: skip
    made = [Dashboard(uid, title, about, tuple(panels), _CHOICES, _ALL) for uid, (title, about, panels) in kpis.items()]
    return [*made, _predictions(make), _alerts()]


def _predictions(make: Maker) -> Dashboard:
    measures = [
        Panel("timeseries", help, "Of a model's last answers; …-floor is the life table alone, which it must beat.",
              (Prom(f"max by (model) (vigie_model_{name.replace('_days', '_seconds')})", "{{model}}"),),
              _MODEL_UNITS.get(name, "none"), links=True)
        for name, help in MODEL_MEASURES.items()
    ]  # fmt: skip
    more = [
        Panel("timeseries", "Alarms of drift", "What is learnt no longer fits what happens: the model begins to forget.",
              (Prom("max by (model) (vigie_model_drifts_total)", "{{model}}"),), empty="none"),
        Panel("timeseries", "Lessons", "Answers that have become known, and were learnt.",
              (Prom("max by (model) (vigie_model_lessons)", "{{model}}"),)),
        Panel("timeseries", "Whose answers are given", "1: the model's; 0: it has not beaten the life table yet.",
              (Prom("max by (model) (vigie_model_answering)", "{{model}}"),)),
        make.bars("weighted_pipeline", "stage"),
    ]  # fmt: skip
    about = "How good the predictions are: calibration, coverage, drift."
    return Dashboard("vigie-predictions", "Vigie: predictions", about, (*measures, *more), _CHOICES, _ALL)


#: Nothing fires only where a Vigie says so: without its metrics there is no value.
_NONE = "0 * max(vigie_build_info)"


def _alerts() -> Dashboard:
    stand = 'max by (rule, severity, state) (vigie_alerts{state=~"firing|pending|recovering"})'
    panels = (
        *(
            Panel("stat", f"{severity.value} that fire", "Alerts that stand and are told.",
                  (Prom(f'sum(max by (rule) (vigie_alerts{{state="firing",severity="{severity.value}"}})) or {_NONE}'),),
                  width=12, height=4, thresholds=[(1, _COLOURS[severity])], links=True)
            for severity in Severity
        ),
        Panel("timeseries", "Alerts that stand", "By severity and state.", (Prom(f"sum by (severity, state) ({stand})"),),
              width=24, filled=60, empty="none"),
        Panel("timeseries", "By rule", "", (Prom(f"sum by (rule) ({stand})", "{{rule}}"),), width=12, empty="none"),
        Panel("timeseries", "Decisions", "What is told, and what is held back by which stage.",
              (Prom("sum by (outcome, stage) (increase(vigie_alert_decisions_total[$__rate_interval]))"),), width=12,
              empty="none"),
        Panel("timeseries", "Notifications", "Attempts by how they ended.",
              (Prom("sum by (receiver, outcome) (rate(vigie_notifications_total[$__rate_interval]))"),), "ops", empty="none"),
        Panel("timeseries", "Messages that wait", "", (Prom("sum by (receiver) (vigie_outbox_messages)"),), empty="none"),
        Panel("timeseries", "Receivers that fail", "For how long no attempt has arrived.",
              (Prom("max by (receiver) (vigie_receiver_failing_seconds)"),), "s", empty="none"),
    )  # fmt: skip
    return Dashboard("vigie-alerts", "Vigie: alerts", "What stands, and who is told.", panels, (_DATA, _PAGE), _ALL)
