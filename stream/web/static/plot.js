// Lines over time with their axes, drawn here: nothing to load, text at its own size, colours from the style sheet, a table behind.

import { brief, day, label, make, t, whole } from "./words.js";
import { note } from "./parts.js";

const HIGH = 220, TOP = 18, FOOT = 24;
const iso = (at) => new Date(at).toISOString();

/** Round numbers between two values, some four of them, no closer than `least`: there is no half a deal. */
function ticks(low, high, least) {
  const raw = Math.max(least, (high - low) / 4) || Math.abs(high) || 1, size = 10 ** Math.floor(Math.log10(raw)), step = [1, 2, 2.5, 5, 10].find((one) => one * size >= raw) * size;
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) found.push(Math.abs(at) < step / 1e6 ? 0 : at);
  return found;
}
/** The numbers between which all that is drawn lies: shares and counts that come near nothing begin at nothing. */
function between(values) {
  const low = Math.min(...values), high = Math.max(...values);
  if (low === high) return low ? [Math.min(0, 2 * low), Math.max(0, 2 * high)] : [0, 1];
  return low >= 0 && low < 0.5 * high ? [0, high] : [low - 0.08 * (high - low), high];
}

/**
 * A figure: `lines` [{kind, points: [[time, value]]}], `bands` [{kind, points: [[time, low, high]]}], `marks` [{value, text}] across it.
 * `rows` are the table behind it, its head first. Times are epoch milliseconds; `root` says how wide it may be.
 */
export function plot(root, unit, { lines, bands = [], marks = [], head, rows, name }) {
  const wide = Math.max(240, Math.min(1300, (root.clientWidth || innerWidth - 32) - 30)), all = [...lines, ...bands].flatMap((one) => one.points);
  const [low, high] = between([...all.flatMap(([, ...values]) => values), ...marks.map((one) => one.value)]);
  const from = Math.min(...all.map(([at]) => at)), to = Math.max(...all.map(([at]) => at));
  const x = (at) => +((at - from) / (to - from || 1) * wide).toFixed(1), y = (value) => +(HIGH - FOOT - (value - low) / (high - low) * (HIGH - FOOT - TOP)).toFixed(1);
  const text = (at, height, said, anchor = "start") => make("svg:text", { x: at, y: height, "text-anchor": anchor }, said);
  const path = (points) => points.map(([at, value]) => `${x(at)} ${y(value)}`).join("L");
  const words = []; // over the lines, with a rim of the ground's colour
  const svg = make("svg:svg", { viewBox: `0 0 ${wide} ${HIGH}`, "aria-hidden": "true" });
  for (const value of ticks(low, high, unit === "count" ? 1 : 0)) { svg.append(make("svg:path", { class: "grid", d: `M0 ${y(value)}H${wide}` })); words.push(text(0, y(value) - 4, whole(value, unit))); }
  const days = Math.max(2, Math.min(6, Math.floor(wide / 130)));
  for (let i = 0; i < days; i++) { const at = from + (to - from) * i / (days - 1); svg.append(text(x(at), HIGH - 6, brief(iso(at), to - from > 2 * 86400000), i === 0 ? "start" : i === days - 1 ? "end" : "middle")); }
  for (const { kind, points } of bands) svg.append(make("svg:path", { class: `band ${kind}`, d: `M${path(points.map(([at, , top]) => [at, top]))}L${path(points.map(([at, bottom]) => [at, bottom]).toReversed())}Z` }));
  for (const { value, text: said } of marks) { svg.append(make("svg:path", { class: "mark", d: `M0 ${y(value)}H${wide}` })); words.push(text(wide, y(value) - 4, said, "end")); }
  for (const { kind, points } of lines) svg.append(make("svg:path", { class: `line-of ${kind}`, d: `M${path(points)}` }));
  const cursor = make("svg:path", { class: "cursor" }), said = make("p", { class: "readout", "aria-hidden": "true" }), every = lines.flatMap((one) => one.points);
  svg.append(...words, cursor);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), at = from + (event.clientX - box.left) / box.width * (to - from), near = every.reduce((a, b) => Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a);
    cursor.setAttribute("d", `M${x(near[0])} ${TOP}V${HIGH - FOOT}`);
    said.textContent = `${brief(iso(near[0]))} · ${whole(near[1], unit)}`;
  });
  svg.addEventListener("pointerleave", () => { cursor.removeAttribute("d"); said.textContent = ""; });
  const line = (row) => make("tr", {}, row.map((cell, i) => make(i ? "td" : "th", i ? { class: "number" } : { scope: "row" }, cell)));
  return make("figure", { class: "chart" }, svg, said, make("details", {}, make("summary", {}, t("as_table")),
    make("div", { class: "table short", tabindex: "0", role: "region", "aria-label": name }, make("table", {}, make("thead", {}, make("tr", {}, head.map((one, i) => make("th", { scope: "col", class: i ? "number" : null }, one)))), make("tbody", {}, rows.map(line))))));
}

/** What each complete day of a figure was, before the band that was to be expected of it. */
export function daily(root, kpi, found) {
  const at = (one) => new Date(one.from).getTime(), is = found.points.filter((one) => typeof one.value === "number"), banded = found.points.filter((one) => one.low !== null);
  if (is.length < 3) return note(t("none"), "calm");
  return plot(root, kpi.unit, {
    bands: banded.length > 1 ? [{ kind: "usual", points: banded.map((one) => [at(one), one.low, one.high]) }] : [], lines: [{ kind: "is", points: is.map((one) => [at(one), one.value]) }],
    head: [t("period"), label(kpi), t("usually")], rows: is.map((one) => [`${day(one.from)}${one.holiday ? ` (${one.holiday})` : ""}`, whole(one.value, kpi.unit), one.low === null ? "" : t("range", whole(one.low, kpi.unit), whole(one.high, kpi.unit))]), name: t("day_by_day"),
  });
}
/** What a KPI's total was over the window, and is. */
export function chart(root, kpi, trend, reading) {
  const now = new Date(reading.at).getTime(), points = trend.times.map((at, i) => [at, trend.values[kpi.id]?.[i]]).filter(([at, value]) => typeof value === "number" && at < now);
  if (typeof reading.value === "number") points.push([now, reading.value]);
  if (points.length < 3) return note(t("none"), "calm");
  return plot(root, kpi.unit, { lines: [{ kind: "is", points }], head: [t("period"), label(kpi)], rows: points.map(([at, value]) => [brief(iso(at)), whole(value, kpi.unit)]), name: label(kpi) });
}
