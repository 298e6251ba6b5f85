// The live page: one event stream, cards, one table, nothing from elsewhere.

import { TEXT, catalogue, duration, figure, json, know, lang, make, moment, named, number, speakIn, t, whole } from "./words.js";
import { follow, forget, showAlerts } from "./alerts.js";

const WINDOWS = ["24h", "7d", "30d", "month"];
const COLUMNS = ["sales", "revenue", "win_rate", "average_deal_size", "time_to_close_won", "stage_duration", "leads", "mql_rate", "lead_conversion",
  "lead_response_time", "sessions", "bounce_rate", "cac", "nps"];
const NUMERALS = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X"];
const $ = (id) => document.getElementById(id);
const kept = {
  get: (name, otherwise) => { try { return localStorage.getItem(`vigie.${name}`) ?? otherwise; } catch { return otherwise; } },
  set: (name, value) => { try { localStorage.setItem(`vigie.${name}`, value); } catch { /* private browsing: not kept */ } },
};

const asked = new URLSearchParams(location.search);
speakIn(asked.get("lang") ?? kept.get("language", navigator.language?.startsWith("fr") ? "fr" : "en"));
let shownWindow = asked.get("window") ?? kept.get("window", "30d");
let dimension = asked.get("by") ?? kept.get("dimension", "source");
let source = null, heard = 0, connection = "connecting", retry = 2000, retryTimer = 0;
let trend = { times: [], values: {} }, latest = [], rows = [], order = { column: null, down: true };
const cards = new Map();

/* ── connection ─────────────────────────────────────────────────────────────────────────────────────────────── */
function connect() {
  clearTimeout(retryTimer);
  source?.close();
  source = new EventSource(`/api/stream?window=${encodeURIComponent(shownWindow)}`);
  const mine = source;
  source.addEventListener("readings", (event) => { if (mine === source) receive(JSON.parse(event.data), true); });
  source.addEventListener("beat", (event) => { if (mine === source) receive(JSON.parse(event.data), false); });
  source.addEventListener("error", () => {
    if (mine !== source) return;
    say("reconnecting");
    // After an HTTP error the browser gives up for good; we do not.
    if (source.readyState === EventSource.CLOSED) { retryTimer = setTimeout(connect, retry); retry = Math.min(retry * 1.6, 15000); }
  });
}
function say(state) {
  if (state !== connection) {
    if (state === "live" && connection === "reconnecting") $("say").textContent = t("said_live");
    if (state === "reconnecting" && connection === "live") $("say").textContent = t("said_lost");
  }
  connection = state;
  document.body.dataset.state = state;
  tick();
}
function tick() {
  const age = Math.max(0, Math.round((Date.now() - heard) / 1000));
  if (connection === "live" && age > 15) { say("reconnecting"); connect(); return; }
  const text = connection === "live" ? t("live", duration(age).join(" ")) : t(connection);
  if ($("connection").textContent !== text) $("connection").textContent = text;
}
function receive(message, full) {
  heard = Date.now();
  retry = 2000;
  $("warnings").textContent = (message.warnings ?? []).join(" · ");
  say(message.state === "live" ? "live" : ["restoring", "starting"].includes(message.state) ? "restoring" : "reconnecting");
  showAlerts(message.alerts);
  if (full && message.window === shownWindow) { latest = message.readings; showReadings(); tableDue = true; }
}

/* ── cards ──────────────────────────────────────────────────────────────────────────────────────────────────── */
function build() {
  const board = $("board");
  cards.clear();
  board.replaceChildren();
  const stages = [...new Set(catalogue.kpis.map((kpi) => kpi.stage))];
  stages.forEach((stage, index) => {
    const [title, hint] = TEXT[lang].stages[stage] ?? [stage, ""];
    const list = make("div", { class: "cards" });
    for (const kpi of catalogue.kpis.filter((k) => k.stage === stage)) list.append(card(kpi));
    board.append(make("section", { class: `stage w${Math.min(4, list.children.length)}`, "aria-label": title },
      make("header", {}, make("span", { class: "numeral", "aria-hidden": "true" }, NUMERALS[index] ?? ""), make("h2", {}, title), make("p", {}, hint)), list));
  });
}
function card(kpi) {
  const parts = {
    value: make("p", { class: "value none" }, "—"), spark: make("svg:svg", { class: "spark", viewBox: "0 0 100 34", preserveAspectRatio: "none", "aria-hidden": "true" }),
    range: make("div", { class: "range", hidden: "", role: "img" }, make("i"), make("em")), sample: make("span"), delta: make("span"),
  };
  const node = make("article", { class: "card", title: kpi.definitions?.[lang] ?? kpi.definition },
    make("h3", {}, kpi.label[lang] ?? kpi.label.en ?? kpi.id), make("div", { class: "figure" }, parts.value, parts.spark), parts.range,
    make("p", { class: "note" }, parts.sample, parts.delta));
  cards.set(kpi.id, { kpi, node, ...parts, last: undefined });
  return node;
}
function showReadings() {
  if (!latest.length) return;
  for (const reading of latest) {
    const c = cards.get(reading.kpi);
    if (!c) continue;
    const { kpi } = c, missing = reading.value === null || reading.value === undefined;
    const [text, unit] = missing ? ["—", ""] : figure(reading.value, kpi.unit);
    c.value.replaceChildren(text, ...(unit ? [make("small", {}, unit)] : []));
    c.value.className = `value${missing ? " none" : text.length > 9 ? " long" : ""}`;
    c.sample.textContent = missing ? reading.why ?? t("none") : [sample(reading, kpi), ...beside(reading, kpi)].filter(Boolean).join(" · ");
    showRange(c, reading, missing);
    showTrend(c, missing ? null : reading.value);
    const mark = `${shownWindow} ${reading.value}`;
    if (c.last !== undefined && c.last !== mark && c.last.startsWith(`${shownWindow} `)) {
      c.node.classList.remove("changed");
      requestAnimationFrame(() => c.node.classList.add("changed"));
    }
    c.last = mark;
  }
  const from = latest[0]?.from;
  if (from) $("period").textContent = t("fromto", moment(from, "medium"));
}
function sample(reading, kpi) {
  const { numerator: a, denominator: b } = reading;
  if (reading.since) return t("partial", moment(reading.since, "medium"));
  if (b === null || b === undefined) return "";
  const counted = Number.isInteger(a) && Number.isInteger(b);
  if (kpi.unit === "ratio" && counted) return t("of", number(a), number(b));
  return Number.isInteger(b) ? t("n", number(b)) : "";
}
const beside = (reading, kpi) => Object.entries(reading.benchmarks ?? {}).map(([name, value]) => `${name} ${whole(value, kpi.unit)}`);
function showRange(c, reading, missing) {
  const has = !missing && typeof reading.low === "number" && typeof reading.high === "number";
  c.range.hidden = !has;
  if (!has) return;
  const [low, high] = c.kpi.unit === "ratio" ? [0, 1] : c.kpi.unit === "score" ? [-100, 100] : [0, 1.1 * reading.high || 1];
  const place = (value) => `${Math.min(100, Math.max(0, (value - low) / (high - low) * 100))}%`;
  const [bar, dot] = c.range.children;
  bar.style.left = place(reading.low);
  bar.style.right = `${100 - parseFloat(place(reading.high))}%`;
  dot.style.left = place(reading.value);
  c.range.setAttribute("aria-label", t("between", whole(reading.low, c.kpi.unit), whole(reading.high, c.kpi.unit)));
  c.range.title = c.range.getAttribute("aria-label");
}
function showTrend(c, value) {
  const past = trend.window === shownWindow ? trend.values[c.kpi.id] ?? [] : [];
  const points = [...past, value].filter((v) => typeof v === "number");
  c.spark.replaceChildren();
  c.delta.replaceChildren();
  if (points.length < 3) return;
  const low = Math.min(...points), span = Math.max(...points) - low || 1;
  const xy = points.map((v, i) => [i / (points.length - 1) * 100, span === 1 && Math.max(...points) === low ? 17 : 31 - (v - low) / span * 28]);
  const line = xy.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
  c.spark.append(make("svg:path", { class: "area", d: `M0 34L${line}L100 34Z` }), make("svg:path", { d: `M${line}` }));
  const first = typeof past[0] === "number" ? past[0] : null;
  if (value === null || first === null || ["day", "week", "month", "quarter", "year"].includes(shownWindow)) return;
  const change = c.kpi.unit === "ratio" ? (value - first) * 100 : c.kpi.unit === "score" ? value - first : first ? (value - first) / Math.abs(first) * 100 : 0;
  const percent = c.kpi.unit !== "ratio" && c.kpi.unit !== "score";
  let text = number(Math.abs(change), { maximumFractionDigits: 1 });
  if (text === "0") return;
  if (percent && change >= 900) text = `× ${number(value / first, { maximumFractionDigits: 0 })}`;
  else text = `${change > 0 ? "+" : "−"}${text} ${percent ? "%" : t("pts")}`;
  const good = (change > 0) === (c.kpi.direction !== "down");
  c.delta.append(make("span", { class: c.kpi.direction === "none" ? "" : good ? "good" : "bad" }, `${change > 0 ? "▲" : "▼"} ${text}`), ` ${t("over", named("windows", shownWindow))}`);
}
async function loadTrend() {
  const wanted = shownWindow;
  const found = await json(`/api/trend?window=${wanted}`);
  if (found?.values && wanted === shownWindow) { trend = found; showReadings(); }
}

/* ── the table ──────────────────────────────────────────────────────────────────────────────────────────────── */
let tableDue = true, tableBusy = false;
const columns = () => COLUMNS.map((id) => catalogue.kpis.find((kpi) => kpi.id === id)).filter((kpi) => kpi?.dimensions.includes(dimension));
async function loadTable() {
  if (tableBusy || document.hidden) return;
  tableBusy = true;
  tableDue = false;
  try {
    const ids = columns().map((kpi) => kpi.id);
    const wanted = [dimension, shownWindow].join();
    const found = ids.length ? await json(`/api/kpis?by=${dimension}&window=${shownWindow}&kpi=${ids.join()}`) : [];
    if (!Array.isArray(found) || wanted !== [dimension, shownWindow].join()) { tableDue = true; return; }
    const by = new Map();
    for (const reading of found) {
      const name = Object.values(reading.segment)[0] ?? "";
      if (!by.has(name)) by.set(name, {});
      by.get(name)[reading.kpi] = reading;
    }
    // Segments that other windows know of, but this one does not, are left out.
    rows = [...by].map(([id, readings]) => ({ id, name: Object.values(readings)[0].name ?? id, readings })).filter((row) => Object.values(row.readings).some((r) => r.value));
    showTable();
  } finally { tableBusy = false; }
}
function showTable() {
  // Only the columns in which some segment has a value; the widest tables stay readable.
  const shown = columns().filter((kpi) => rows.some((row) => row.readings[kpi.id]?.value != null)).slice(0, 8);
  const table = $("table");
  if (!rows.length || !shown.length) { table.replaceChildren(make("tbody", {}, make("tr", {}, make("th", { scope: "row" }, t("rows", named("dimensions", dimension)))))); return; }
  const column = order.column === "" || shown.some((kpi) => kpi.id === order.column) ? order.column : shown[0].id;
  const value = (row) => row.readings[column]?.value ?? -Infinity;
  const sorted = rows.toSorted((a, b) => (column === "" ? a.name.localeCompare(b.name) : value(a) - value(b) || b.name.localeCompare(a.name)) * (order.down ? -1 : 1));
  const head = (id, label) => {
    const button = make("button", { type: "button" }, label);
    button.addEventListener("click", () => { order = { column: id, down: column === id ? !order.down : id !== "" }; showTable(); $("table").querySelector(`[data-id="${id}"] button`)?.focus(); });
    return make("th", { scope: "col", "data-id": id, "aria-sort": column === id ? (order.down ? "descending" : "ascending") : null }, button);
  };
  const limit = 50;
  const lines = sorted.slice(0, limit).map((row) => make("tr", {}, make("th", { scope: "row", title: row.name === row.id ? row.id : `${row.name} (${row.id})` }, row.name || "—"), ...shown.map((kpi) => {
    const reading = row.readings[kpi.id];
    return reading?.value == null ? make("td", { class: "none", title: reading?.why ?? null }, "—") : make("td", { title: sample(reading, kpi) || null }, whole(reading.value, kpi.unit));
  })));
  if (sorted.length > limit) lines.push(make("tr", {}, make("th", { scope: "row" }, t("more", sorted.length - limit))));
  table.replaceChildren(make("thead", {}, make("tr", {}, head("", named("dimensions", dimension)), ...shown.map((kpi) => head(kpi.id, kpi.label[lang] ?? kpi.id)))), make("tbody", {}, ...lines));
}

/* ── controls ───────────────────────────────────────────────────────────────────────────────────────────────── */
function radios(holder, name, values, group, chosen, change) {
  for (const label of [...holder.querySelectorAll("label")]) label.remove();
  for (const value of values) {
    const input = make("input", { type: "radio", name, value });
    input.checked = value === chosen;
    input.addEventListener("change", () => change(value));
    holder.append(make("label", {}, input, make("span", {}, named(group, value))));
  }
}
function speak() {
  document.documentElement.lang = lang;
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = t(node.dataset.text);
  for (const input of document.querySelectorAll("[name=language]")) input.checked = input.value === lang;
  radios($("windows"), "window", WINDOWS.filter((w) => catalogue.windows.includes(w)), "windows", shownWindow, (value) => {
    shownWindow = value; kept.set("window", value); latest = []; rows = []; tableDue = true; connect(); loadTrend(); loadTable();
  });
  radios($("dimensions"), "dimension", catalogue.dimensions.filter((d) => catalogue.kpis.some((kpi) => COLUMNS.includes(kpi.id) && kpi.dimensions.includes(d))), "dimensions", dimension, (value) => {
    dimension = value; kept.set("dimension", value); rows = []; titled(); loadTable();
  });
  titled();
  $("instance").textContent = catalogue.instance;
  if (catalogue.kpis.length) build();
  forget();
  showReadings();
  showTable();
  tick();
}
function titled() {
  const name = named("dimensions", dimension);
  $("by-title").textContent = t("by", name.toLocaleLowerCase(lang));
}
async function start() {
  for (const input of document.querySelectorAll("[name=language]")) input.addEventListener("change", () => { speakIn(input.value); kept.set("language", lang); speak(); });
  speak();
  let found = null;
  while (!(found = await json("/api/catalogue"))) { say("reconnecting"); await new Promise((done) => setTimeout(done, 2000)); }
  know(found);
  if (!catalogue.windows.includes(shownWindow)) shownWindow = catalogue.windows[0];
  if (!catalogue.dimensions.includes(dimension)) dimension = catalogue.dimensions[0] ?? "source";
  speak();
  follow();
  connect();
  loadTrend();
  loadTable();
  setInterval(tick, 1000);
  setInterval(() => { if (tableDue) loadTable(); }, 3000);
  setInterval(loadTrend, 60000);
}
start();
