// Views of figures: how it stands now, from the first visit to the sale, all there are, and what one of them means.

import { place as alertsHere } from "./alerts.js";
import { address, kpi as known, place } from "./place.js";
import { card, change, head, loaded, note, sample, show, stretch, table } from "./parts.js";
import { why } from "./explain.js";
import { objective } from "./objective.js";
import { chart, daily } from "./plot.js";
import { catalogue, definition, label, make, moment, named, number, own, percent, t, told, whole } from "./words.js";

//: What a manager looks at first: as many of these as there are, at most eight, those with a value before the others.
const FIRST = ["revenue", "sales", "win_rate", "open_pipeline", "weighted_pipeline_model", "leads", "lead_response_time", "lead_conversion", "average_deal_size", "time_to_close_won", "cac", "nps"];
const NUMERALS = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X"];

function cards(kpis) {
  const found = new Map(kpis.map((kpi) => [kpi.id, card(kpi)]));
  return { nodes: [...found.values()].map((c) => c.node), receive({ readings, trend }) { for (const reading of readings) { const c = found.get(reading.kpi); if (c) show(c, reading, trend); } } };
}

export function now(root) {
  const box = make("div", { class: "cards first" }), goal = make("section", { class: "objective" }), empty = make("div", { class: "empty", hidden: true }, make("h3", {}, t("empty_title")), make("p", {}, t("empty")));
  const alerts = make("section", { class: "alerts", "aria-labelledby": "alerts-title" }, make("h2", { id: "alerts-title" }, named("view", "alerts")), make("div", { id: "alert-list" }), make("p", { id: "alert-gone", class: "period" }));
  root.append(make("h2", { class: "hidden" }, named("view", "now")), goal, box, empty, alerts);
  alertsHere();
  const stop = objective(goal);
  let shown = null, chosen = null;
  const choose = (readings) => {
    const none = (id) => readings.length && typeof readings.find((reading) => reading.kpi === id)?.value !== "number", there = FIRST.filter(known), ids = [...there.filter((id) => !none(id)), ...there.filter(none)].slice(0, 8);
    if (ids.join() === chosen) return;
    chosen = ids.join();
    shown = cards(ids.map(known));
    box.replaceChildren(...shown.nodes);
  };
  choose([]);
  return {
    stop,
    receive(data) {
      choose(data.readings);
      shown.receive(data);
      empty.hidden = data.readings.some((reading) => reading.value);
    },
  };
}

export function all(root) {
  const stages = [...new Set(catalogue.kpis.map((kpi) => kpi.stage))], parts = [];
  root.append(head(named("view", "figures"), t("figures_hint")));
  const board = make("div", { id: "board" });
  stages.forEach((stage, index) => {
    const [title, hint] = Array.isArray(named("stages", stage)) ? named("stages", stage) : [stage, ""], shown = cards(catalogue.kpis.filter((kpi) => kpi.stage === stage));
    parts.push(shown);
    board.append(make("section", { class: `stage w${Math.min(4, shown.nodes.length)}`, "aria-label": title },
      make("header", {}, make("span", { class: "numeral", "aria-hidden": "true" }, NUMERALS[index] ?? ""), make("h3", {}, title), make("p", {}, hint)), make("div", { class: "cards" }, shown.nodes)));
  });
  root.append(board);
  return { receive: (data) => parts.forEach((part) => part.receive(data)) };
}

/* ── from stage to stage ────────────────────────────────────────────────────────────────────────────────────── */
//: The steps, each as a part of a reading.
const STEPS = [["visits", "sessions", "value"], ["leads", "leads", "value"], ["qualified", "mql_rate", "numerator"], ["converted", "lead_conversion_period", "numerator"], ["won", "sales", "value"]];
export function funnel(root) {
  const steps = make("ol", { class: "funnel" }), rates = cards(["visitor_to_lead_rate", "mql_rate", "lead_conversion", "win_rate", "lead_response_time", "stage_duration", "time_to_close_won"].map(known).filter(Boolean));
  root.append(head(named("view", "funnel"), t("funnel_hint")), steps, make("div", { class: "cards first" }, rates.nodes));
  return {
    receive(data) {
      rates.receive(data);
      const values = STEPS.map(([name, id, of]) => [name, id, data.readings.find((reading) => reading.kpi === id)?.[of]]).filter(([, , value]) => typeof value === "number");
      const most = Math.max(1, ...values.map(([, , value]) => value));
      steps.replaceChildren(...values.map(([name, id, value], i) => {
        const before = i ? values[i - 1][2] : null, then = STEPS.find(([step]) => step === name)[2] === "value" ? data.trend.values[id]?.[0] : null;
        return make("li", {}, make("a", { href: address("kpi", { id }) }, named("funnel_steps", name)), make("b", {}, number(value)), make("span", { class: "bar" }, make("i", { "data-share": value ? Math.max(0.5, value / most * 100) : 0 })),
          make("span", { class: "moved" }, typeof then === "number" ? change(known(id), value, then) : ""),
          // More than came in at the step before: they began before the window.
          make("span", { class: "of" }, !before ? "" : value > before ? t("step_earlier") : `${t("step", percent(value / before, 1))} · ${t("drop", number(before - value))}`));
      }));
      stretch(steps);
    },
  };
}

/* ── what one figure means ──────────────────────────────────────────────────────────────────────────────────── */
export function explained(root) {
  const kpi = known(place.id);
  if (!kpi) { root.append(note(t("missing"), "calm")); return {}; }
  const facts = make("dl", { class: "facts" }), big = make("p", { class: "value" }, "—"), line = make("div"), days = make("section"), segments = make("div"), reasons = make("section");
  const dimension = kpi.dimensions.includes(place.by) ? place.by : kpi.dimensions.find((one) => one === "source") ?? kpi.dimensions[0];
  root.append(head(label(kpi), definition(kpi)), big, facts, line, days, reasons);
  const asked = why(reasons, kpi), segment = place.segment ? `&segment=${encodeURIComponent(place.segment)}` : "", usual = loaded(days, () => `api/kpis/${kpi.id}/usual?window=day${segment}`, (found) => days.replaceChildren(make("h3", {}, t("day_by_day")), daily(root, kpi, found), note(found.why ? told(found.why) : t("day_by_day_hint"), "period")));
  let loading = null;
  if (dimension) {
    const others = make("p", { class: "chips" }, kpi.dimensions.map((one) => make("a", { href: address("kpi", { id: kpi.id, by: one }), "aria-current": one === dimension ? "true" : null }, named("dimensions", one))));
    root.append(make("h3", {}, t("by_segment")), others, segments);
    loading = loaded(segments, () => `api/kpis?kpi=${kpi.id}&by=${dimension}&window=${place.window}`, (found) => {
      const rows = found.filter((reading) => reading.value !== null).sort((a, b) => b.value - a.value).slice(0, 25);
      // What no figure is made of is not a column of dashes.
      const parts = ["numerator", "denominator"].filter((part) => rows.some((r) => typeof r[part] === "number"));
      segments.replaceChildren(rows.length ? table([
        [named("dimensions", dimension), (r) => own(r.name ?? Object.values(r.segment)[0] ?? "")], [label(kpi), (r) => whole(r.value, kpi.unit), "number"],
        ...parts.map((part) => [t(part), (r) => (typeof r[part] === "number" ? number(r[part]) : "—"), "number"]),
      ], rows, label(kpi)) : note(t("rows", named("dimensions", dimension)), "calm"));
    });
  }
  return {
    stop: () => { loading?.stop(); asked.stop(); usual.stop(); },
    receive({ readings, trend }) {
      const reading = readings.find((one) => one.kpi === kpi.id);
      if (!reading) return;
      const missing = reading.value === null, first = trend.values[kpi.id]?.[0], delta = missing ? null : change(kpi, reading.value, typeof first === "number" ? first : null);
      big.replaceChildren(missing ? "—" : whole(reading.value, kpi.unit), ...(delta ? [make("small", {}, delta, " ", t("was_over", whole(first, kpi.unit), named("windows", place.window)))] : []));
      const fact = (name, ...said) => [make("dt", {}, name), make("dd", {}, ...said)], whose = (value) => (typeof value === "number" ? number(value) : null);
      facts.replaceChildren(
        ...(missing ? fact(t("none"), told(reading.why) ?? "") : []),
        ...(reading.since ? fact(t("period"), sample(reading, kpi)) : []),
        ...(reading.proven === false ? fact(t("model_said"), t("unproven")) : []),
        ...(!missing && whose(reading.numerator) ? fact(t("numerator"), whose(reading.numerator)) : []), ...(!missing && whose(reading.denominator) ? fact(t("denominator"), whose(reading.denominator)) : []),
        ...(typeof reading.low === "number" ? fact(t("interval"), t("between", whole(reading.low, kpi.unit), whole(reading.high, kpi.unit))) : []),
        ...fact(t("period"), `${moment(reading.from, "medium")} – ${moment(reading.at, "medium")}`), ...fact(t("formula"), make("code", {}, kpi.formula)));
      const open = line.querySelector("details")?.open;
      if (trend.window === place.window) { line.replaceChildren(chart(line, kpi, trend, reading)); if (open) line.querySelector("details").open = true; }
    },
  };
}
