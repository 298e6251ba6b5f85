// What is to come by the end of the period: the course so far and the fan of what may be, what it is made of, and how right forecasts have been.

import { address, place } from "./place.js";
import { head, loaded, note, stretch, table } from "./parts.js";
import { plot } from "./plot.js";
import { ask, day, make, money, named, number, odds, own, percent, t, told } from "./words.js";

const PERIODS = ["month", "quarter", "year"], DIMENSIONS = ["team", "owner", "product", "region", "source"], WHAT_IF = ["win_rate +10 %", "win_rate -10 %", "arrivals -20 %", "amount +5 %"], PAST = 12;
const cash = (value) => (typeof value === "number" ? money(Math.abs(value) >= 1000 ? Math.round(value) : value) : "—");
const whole = (found, scenario) => found.forecasts.find((one) => one.scenario === scenario && !Object.keys(one.segment).length);

export function shown(root) {
  const period = PERIODS.includes(place.period) ? place.period : "month", by = DIMENSIONS.includes(place.by) ? place.by : "team", asked = (place.scenario ?? "").split(";").filter(Boolean);
  const chips = (list, is, more, name) => make("p", { class: "chips" }, list.map((one) => make("a", { href: address("forecast", { period: place.period, by: place.by, scenario: place.scenario, ...more(one) }), "aria-current": is(one) ? "true" : null }, name(one))));
  const body = make("div"), past = make("div");
  root.append(head(named("view", "forecast"), t("forecast_hint")), chips(PERIODS, (one) => one === period, (one) => ({ period: one }), (one) => named("windows", one)), body, past);
  let course = [];
  const loading = loaded(body, () => `api/forecast?${new URLSearchParams([["period", period], ["by", by], ...asked.map((one) => ["scenario", one])])}`, (found) => {
    const main = whole(found, found.scenarios[0].name);
    if (!main || main.p50 === null) { body.replaceChildren(note([...(main?.why ?? []), ...found.why].map(told).join(" ") || t("none"), "calm")); return; }
    const figure = make("div");
    body.replaceChildren(make("p", { class: "value big" }, cash(main.p50), make("small", {}, t("forecast_range", cash(main.p10), cash(main.p90)))), aim(main, found), figure, parts(main), make("h3", {}, t("what_if")),
      chips(WHAT_IF, (one) => asked.includes(one), (one) => ({ scenario: (asked.includes(one) ? asked.filter((other) => other !== one) : [...asked, one]).join(";") }), scenario), scenarios(found),
      make("h3", {}, t("by_segment")), chips(DIMENSIONS, (one) => one === by, (one) => ({ by: one }), (one) => named("dimensions", one)), segments(found, by), make("h3", {}, t("yardsticks")), yardsticks(found, main));
    draw(figure, found, main, course);
    stretch(body);
    if (!course.length) ask(`api/kpis?kpi=revenue&window=${period}&from=${found.from}&to=${found.at}&every=1d`).then(([readings]) => {
      course = (readings ?? []).filter((one) => typeof one.value === "number").map((one) => [new Date(one.at).getTime(), one.value]).filter(([at]) => at > new Date(found.from));
      if (course.length && figure.isConnected) draw(figure, found, main, course);
    });
  });
  const scores = loaded(past, () => `api/forecast/scores?period=${period}`, (found) => { past.replaceChildren(make("h3", {}, t("past_forecasts")), ...judged(found)); stretch(past); for (const bar of past.querySelectorAll("[data-low]")) { bar.style.left = `${bar.dataset.low}%`; bar.style.right = `${100 - bar.dataset.high}%`; } for (const mark of past.querySelectorAll("[data-left]")) mark.style.left = `${mark.dataset.left}%`; });
  return { stop: () => { loading.stop(); scores.stop(); } };
}
/** A scenario as people say it: "win_rate +10 %" is "Win rate +10 %". */
const scenario = (text) => (text === "expected" ? t("as_expected") : text.replace(/win_rate|arrivals|amount/g, (name) => named("levers", name)).replace(/([+-])(\d+(?:\.\d+)?) ?%/g, (_, sign, size) => `${sign === "-" ? "−" : "+"}${percent(size / 100, 1)}`));
function aim(main, found) {
  if (main.target === null) return make("p", { class: "note" }, t("no_target"));
  return make("p", { class: "aim" }, make("span", { class: main.target_probability >= 0.5 ? "good" : "bad" }, t("objective_chance", odds(main.target_probability))), ` · ${t("target_of", cash(main.target))}`, found.best_lately ? ` · ${t("best_lately", number(found.best_lately.periods))}` : "");
}
function draw(root, found, main, course) {
  const at = new Date(found.at).getTime(), end = new Date(found.until).getTime(), start = new Date(found.from).getTime(), now = main.parts.won.value, quantile = (share) => main.quantiles.find(([one]) => one === share)?.[1];
  // The law is of the period's end; the fan opens from what is sold to there, as its spread grows with the time left.
  const steps = Array.from({ length: 13 }, (_, i) => i / 12), fan = (low, high, mid) => steps.map((part) => { const middle = now + (mid - now) * part, open = Math.sqrt(part); return [at + (end - at) * part, middle + (low - mid) * open, middle + (high - mid) * open]; });
  const sold = [[start, 0], ...course.filter(([when]) => when < at), [at, now]];
  root.replaceChildren(plot(root, "money", {
    bands: [{ kind: "wide", points: fan(quantile(0.05) ?? main.p10, quantile(0.95) ?? main.p90, main.p50) }, { kind: "", points: fan(main.p10, main.p90, main.p50) }], lines: [{ kind: "is", points: sold }, { kind: "expected", points: [[at, now], [end, main.p50]] }],
    marks: main.target === null ? [] : [{ value: main.target, text: t("target_of", cash(main.target)) }], head: [t("period"), t("sold"), "P10", "P50", "P90"],
    rows: [...sold.map(([when, value]) => [day(new Date(when).toISOString()), cash(value), "", "", ""]), [day(found.until), "", cash(main.p10), cash(main.p50), cash(main.p90)]], name: t("forecast_hint"),
  }));
}
function parts(main) {
  const { won, open, new: fresh } = main.parts, all = won.value + open.mean + fresh.mean || 1;
  const part = (kind, value, text) => make("li", { class: kind }, make("b", {}, cash(value)), make("span", {}, text), make("span", { class: "bar" }, make("i", { "data-share": value / all * 100 })));
  return make("ul", { class: "made-of" }, part("won", won.value, t("part_won", won.deals)), part("open", open.mean, t("part_open", open.deals)), part("new", fresh.mean, t("part_new", fresh.deals < 10 ? Math.round(fresh.deals * 10) / 10 : Math.round(fresh.deals))));
}
function scenarios(found) {
  const first = whole(found, found.scenarios[0].name).p50;
  return table([[t("scenario"), (one) => scenario(one.name)], ["P10", (one) => cash(whole(found, one.name)?.p10), "number"], ["P50", (one) => cash(whole(found, one.name)?.p50), "number"], ["P90", (one) => cash(whole(found, one.name)?.p90), "number"],
    [t("against_expected"), (one) => { const moved = whole(found, one.name)?.p50 - first; return moved ? make("span", { class: moved > 0 ? "good" : "bad" }, `${moved > 0 ? "+" : "−"}${cash(Math.abs(moved))}`) : "—"; }, "number"], [t("hits"), (one) => { const chance = whole(found, one.name)?.target_probability; return typeof chance === "number" ? odds(chance) : "—"; }, "number"]], found.scenarios, t("what_if"));
}
function segments(found, by) {
  const rows = found.forecasts.filter((one) => one.scenario === found.scenarios[0].name && Object.keys(one.segment).length);
  if (!rows.length) return note(t("rows", named("dimensions", by)), "calm");
  return table([[named("dimensions", by), (one) => own(one.name ?? Object.values(one.segment)[0] ?? "—")], [t("sold"), (one) => cash(one.parts?.won.value), "number"], ["P10", (one) => cash(one.p10), "number"], ["P50", (one) => cash(one.p50), "number"], ["P90", (one) => cash(one.p90), "number"], [t("hits"), (one) => (typeof one.target_probability === "number" ? odds(one.target_probability) : "—"), "number"]], rows, t("by_segment"));
}
const yardsticks = (found, main) => table([[t("yardstick"), ([name]) => named("yardstick_names", name)], [t("would_say"), ([, value]) => cash(value), "number"]], [["forecast", main.p50], ...Object.entries(found.yardsticks).filter(([, value]) => value !== null)], t("yardsticks"));
function judged(found) {
  const rows = found.periods.filter((one) => !Object.keys(one.segment).length && one.said.length).slice(0, PAST), start = found.summary.find((one) => one.asked === "start")?.scores.forecast;
  if (!rows.length) return [note(t("no_past_forecasts"), "calm")];
  const most = Math.max(...rows.flatMap((one) => [one.actual, one.said[0].p90])), at = (value, end = 100) => Math.min(end, Math.max(0, value / most * 100));
  return [...(start ? [note(t("past_right", percent(start.coverage), number(start.forecasts)), "period")] : []),
    table([[t("period"), (one) => day(one.from)], [t("came"), (one) => cash(one.actual), "number"], [t("was_said"), (one) => t("range", cash(one.said[0].p10), cash(one.said[0].p90)), "number"],
      [make("span", { class: "hidden" }, t("was_said")), (one) => make("span", { class: "range said" }, make("i", { "data-low": at(one.said[0].p10), "data-high": at(one.said[0].p90) }), make("em", { "data-left": at(one.actual, 98) })), "interval"], [t("held"), (one) => make("span", { class: one.said[0].covered ? "good" : "bad" }, t(one.said[0].covered ? "yes" : "no"))]], rows, t("past_forecasts"))];
}
