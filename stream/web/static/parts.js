// Parts that several views are made of: heads, states, cards, tables, lines over time.

import { place, address, kpi as known } from "./place.js";
import { ask, definition, figure, label, make, moment, named, number, percent, t, told, whole } from "./words.js";

export const head = (title, hint, ...more) => make("header", { class: "head" }, make("h2", {}, title), hint ? make("p", {}, hint) : null, ...more);
export const note = (text, kind = "waiting") => make("p", { class: kind, role: kind === "waiting" ? "status" : null }, text);

/** Fill a place with what an address answers: loading, there, empty, refused or away are each said; asked again while it is away. */
export function loaded(root, path, draw, headers = () => ({}), denied = null) {
  let timer = 0, gone = false;
  const again = async () => {
    clearTimeout(timer);
    const [found, status] = await ask(path(), headers());
    if (gone) return;
    root.removeAttribute("aria-busy");
    if (found !== null) draw(found);
    else if (status === 404) root.replaceChildren(note(t("missing"), "calm"));
    else if (status === 401 && !denied) location.reload(); // the session has ended: the same address has the form for a token
    else if (status === 401 || status === 403) root.replaceChildren(note(t("denied"), "calm"), ...(denied ? [denied()] : []));
    else {
      if (!root.querySelector("table, .columns, .story")) root.replaceChildren(note(t(status === 503 ? "away" : "failed"), "calm"));
      timer = setTimeout(again, 3000);
    }
  };
  root.setAttribute("aria-busy", "true");
  if (!root.childElementCount) root.replaceChildren(note(t("loading")));
  again();
  return { again, stop: () => { gone = true; clearTimeout(timer); } };
}

/* ── figures ────────────────────────────────────────────────────────────────────────────────────────────────── */
/** A card of a figure: it leads to what the figure means. */
export function card(kpi) {
  const parts = {
    value: make("p", { class: "value none" }, "—"), spark: make("svg:svg", { class: "spark", viewBox: "0 0 100 34", preserveAspectRatio: "none", "aria-hidden": "true" }),
    range: make("div", { class: "range", hidden: "", role: "img" }, make("i"), make("em")), sample: make("span"), delta: make("span"),
  };
  const name = make("a", { href: address("kpi", { id: kpi.id }), title: definition(kpi) }, label(kpi));
  const node = make("article", { class: "card", "data-kpi": kpi.id }, make("h3", {}, name), make("div", { class: "figure" }, parts.value, parts.spark), parts.range, make("p", { class: "note" }, parts.sample, parts.delta));
  return { kpi, node, ...parts, last: undefined };
}
/** Show a reading in a card; `trend` is what it was before. */
export function show(c, reading, trend) {
  const { kpi } = c, missing = reading.value === null || reading.value === undefined;
  const [text, unit] = missing ? ["—", ""] : figure(reading.value, kpi.unit);
  c.value.replaceChildren(text, ...(unit ? [make("small", {}, unit)] : []));
  c.value.className = `value${missing ? " none" : text.length > 9 ? " long" : ""}`;
  c.sample.textContent = missing ? told(reading.why) ?? t("none") : [sample(reading, kpi), reading.proven === false ? t("unproven_short") : "", ...beside(reading, kpi)].filter(Boolean).join(" · ");
  band(c, reading, missing);
  past(c, missing ? null : reading.value, trend);
  const mark = `${place.window} ${reading.value}`;
  if (c.last !== undefined && c.last !== mark && c.last.startsWith(`${place.window} `)) {
    c.node.classList.remove("changed");
    requestAnimationFrame(() => c.node.classList.add("changed"));
  }
  c.last = mark;
}
export function sample(reading, kpi) {
  const { numerator: a, denominator: b } = reading;
  if (reading.since) return t("partial", moment(reading.since, "medium"));
  if (b === null || b === undefined) return "";
  if (kpi.unit === "ratio" && Number.isInteger(a) && Number.isInteger(b)) return t("of", a, b);
  return Number.isInteger(reading.sample) ? t("n", reading.sample) : "";
}
const beside = (reading, kpi) => Object.entries(reading.benchmarks ?? {}).map(([name, value]) => `${name} ${whole(value, kpi.unit)}`);
function band(c, reading, missing) {
  const has = !missing && typeof reading.low === "number" && typeof reading.high === "number";
  c.range.hidden = !has;
  if (!has) return;
  const [low, high] = c.kpi.unit === "ratio" ? [0, 1] : c.kpi.unit === "score" ? [-100, 100] : [0, 1.1 * reading.high || 1];
  const at = (value) => Math.min(100, Math.max(0, (value - low) / (high - low) * 100));
  const [bar, dot] = c.range.children;
  bar.style.left = `${at(reading.low)}%`;
  bar.style.right = `${100 - at(reading.high)}%`;
  dot.style.left = `${Math.min(98, Math.max(2, at(reading.value)))}%`; // it does not stand out of its bar
  c.range.setAttribute("aria-label", t("between", whole(reading.low, c.kpi.unit), whole(reading.high, c.kpi.unit)));
  c.range.title = c.range.getAttribute("aria-label");
}
function past(c, value, trend) {
  const before = trend.window === place.window ? trend.values[c.kpi.id] ?? [] : [], points = [...before, value].filter((v) => typeof v === "number");
  c.spark.replaceChildren();
  c.delta.replaceChildren();
  if (points.length < 3) return;
  const line = path(points, 100, 28, 3);
  c.spark.append(make("svg:path", { class: "area", d: `M0 34L${line}L100 34Z` }), make("svg:path", { d: `M${line}` }));
  const delta = change(c.kpi, value, typeof before[0] === "number" ? before[0] : null);
  if (!delta) return;
  c.delta.append(delta);
  if (!c.sample.textContent) c.sample.textContent = t("was", whole(before[0], c.kpi.unit));
}
/** Points as a line in a box so wide and high, `top` below its edge. */
function path(points, width, height, top) {
  const low = Math.min(...points), range = Math.max(...points) - low;
  return points.map((v, i) => `${(i / (points.length - 1) * width).toFixed(1)} ${(top + (range ? height - (v - low) / range * height : height / 2)).toFixed(1)}`).join("L");
}
/** The change against the period before, with what it was on a look; null where there is nothing to say. */
export function change(kpi, value, first) {
  if (value === null || first === null || place.compare === "none" || !/\d/.test(place.window)) return null;
  const points = kpi.unit === "ratio" || kpi.unit === "score", moved = kpi.unit === "ratio" ? (value - first) * 100 : kpi.unit === "score" ? value - first : first ? (value - first) / Math.abs(first) * 100 : 0;
  const digits = Math.abs(moved) < 10 ? 1 : 0, size = number(Math.abs(moved), { maximumFractionDigits: digits });
  if (size === "0") return null;
  const text = !points && moved >= 900 ? `× ${number(value / first, { maximumFractionDigits: 0 })}` : `${moved > 0 ? "+" : "−"}${points ? `${size}\u00a0${t("pts")}` : percent(Math.abs(moved) / 100, digits)}`;
  const good = kpi.direction === "none" ? "" : (moved > 0) === (kpi.direction !== "down") ? "good" : "bad";
  const over = t("over", named("windows", place.window));
  return make("span", { class: "delta", title: `${whole(first, kpi.unit)}, ${over}` }, make("span", { class: good }, `${moved > 0 ? "▲" : "▼"} ${text}`), make("span", { class: "hidden" }, ` ${over}`));
}

/* ── tables ─────────────────────────────────────────────────────────────────────────────────────────────────── */
/** A table of columns [[title, what of a row, class]]. */
export function table(columns, rows, caption) {
  const cell = (row, [, of, kind], first) => make(first ? "th" : "td", { class: kind, scope: first ? "row" : null }, of(row));
  return make("div", { class: "table", role: "region", "aria-label": caption, tabindex: "0" }, make("table", {},
    make("thead", {}, make("tr", {}, columns.map(([title, , kind]) => make("th", { scope: "col", class: kind }, title)))),
    make("tbody", {}, rows.map((row) => make("tr", {}, columns.map((column, i) => cell(row, column, i === 0)))))));
}
export const chance = (win) => win === null || win === undefined ? "—" : make("span", { class: "chance" }, make("i", {}, make("b", { "data-share": Math.round(win * 100) })), percent(win));
/** Bars get their length here: an attribute `style` is not allowed. */
export function stretch(root) {
  for (const bar of root.querySelectorAll("[data-share]")) bar.style.width = `${Math.min(100, Math.max(0, Number(bar.dataset.share)))}%`;
}
export { known };
