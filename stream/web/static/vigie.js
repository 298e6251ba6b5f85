// The live page: one event stream, one table, nothing from elsewhere. Text goes in as text only, never as HTML.

const TEXT = {
  en: {
    skip: "Skip to the figures", motto: "the watch on your sales", window: "Window", language: "Language", alerts: "Alerts",
    waiting: "Waiting for the first figures…", by: "By {0}", by_hint: "who and where", dimension: "Dimension", metrics: "metrics", health: "health",
    live: "live · updated {0} ago", restoring: "restoring · the last known figures", reconnecting: "reconnecting…", connecting: "connecting…",
    full: "too many pages are open; trying again", calm: "All quiet: no alert.", none: "no value yet", of: "{0} of {1}", partial: "counted from {0} on", n: "n = {0}",
    between: "95 % between {0} and {1}", over: "over {0}", since: "since {0}", fromto: "{0} to now", rows: "No figures by {0} in this window.",
    said_live: "Live again.", said_lost: "Connection lost, reconnecting.", said_alert: "Alert: {0}", segment: "Segment", more: "{0} more not shown",
    windows: { "1h": "1 h", "24h": "24 h", "7d": "7 d", "30d": "30 d", "90d": "90 d", day: "Today", week: "Week", month: "Month", quarter: "Quarter" },
    stages: {
      attention: ["Attention", "they see us"], interest: ["Interest", "they look closer"], desire: ["Desire", "they ask"],
      action: ["Action", "they sign"], pipeline: ["Pipeline", "what is under way"], economics: ["Economics", "what it costs"],
      loyalty: ["Loyalty", "they stay"], people: ["People", "the crew"], foresight: ["Foresight", "the weather ahead"], other: ["More", ""],
    },
    dimensions: { source: "Source", owner: "Owner", team: "Team", stage: "Stage", product: "Product", region: "Region", segment: "Segment", campaign: "Campaign", variant: "Variant" },
    states: { firing: "firing", pending: "pending", recovering: "recovering", resolved: "resolved" },
    severities: { warn: "warning", warning: "warning", critical: "critical" }, units: { d: "d", h: "h", min: "min", s: "s" }, pts: "pts",
  },
  fr: {
    skip: "Aller aux chiffres", motto: "le quart sur vos ventes", window: "Période", language: "Langue", alerts: "Alertes",
    waiting: "En attente des premiers chiffres…", by: "Par {0}", by_hint: "qui et où", dimension: "Dimension", metrics: "métriques", health: "état",
    live: "en direct · il y a {0}", restoring: "restauration · derniers chiffres connus", reconnecting: "reconnexion…", connecting: "connexion…",
    full: "trop de pages ouvertes ; nouvel essai", calm: "Rien à signaler : aucune alerte.", none: "pas encore de valeur", of: "{0} sur {1}", partial: "compté depuis le {0}", n: "n = {0}",
    between: "95 % entre {0} et {1}", over: "sur {0}", since: "depuis le {0}", fromto: "du {0} à maintenant", rows: "Aucun chiffre par {0} sur cette période.",
    said_live: "De nouveau en direct.", said_lost: "Connexion perdue, reconnexion.", said_alert: "Alerte : {0}", segment: "Segment", more: "{0} de plus",
    windows: { "1h": "1 h", "24h": "24 h", "7d": "7 j", "30d": "30 j", "90d": "90 j", day: "Jour", week: "Semaine", month: "Mois", quarter: "Trimestre" },
    stages: {
      attention: ["Attention", "ils nous voient"], interest: ["Intérêt", "ils regardent de près"], desire: ["Désir", "ils demandent"],
      action: ["Action", "ils signent"], pipeline: ["Pipeline", "ce qui est en cours"], economics: ["Économie", "ce que cela coûte"],
      loyalty: ["Fidélité", "ils restent"], people: ["Équipage", "ceux qui vendent"], foresight: ["Horizon", "le temps qu’il fera"], other: ["Divers", ""],
    },
    dimensions: { source: "Source", owner: "Vendeur", team: "Équipe", stage: "Étape", product: "Produit", region: "Région", segment: "Segment", campaign: "Campagne", variant: "Variante" },
    states: { firing: "active", pending: "en attente", recovering: "en rémission", resolved: "résolue" },
    severities: { warn: "attention", warning: "attention", critical: "critique" }, units: { d: "j", h: "h", min: "min", s: "s" }, pts: "pts",
  },
};
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
let lang = asked.get("lang") ?? kept.get("language", navigator.language?.startsWith("fr") ? "fr" : "en");
if (!TEXT[lang]) lang = "en";
let shownWindow = asked.get("window") ?? kept.get("window", "30d");
let dimension = asked.get("by") ?? kept.get("dimension", "source");
let catalogue = { kpis: [], windows: WINDOWS, dimensions: [], currency: "EUR", timezone: "UTC", instance: "" };
let source = null, heard = 0, connection = "connecting", retry = 2000, alertKeys = null, retryTimer = 0;
let trend = { times: [], values: {} }, latest = [], rows = [], order = { column: null, down: true };
const cards = new Map();

const t = (key, ...values) => (TEXT[lang][key] ?? key).replace(/\{(\d)\}/g, (_, i) => values[i]);
const named = (group, key) => TEXT[lang][group]?.[key] ?? key;
function make(tag, attributes = {}, ...children) {
  const node = tag.startsWith("svg:") ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4)) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== undefined) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
// Times are the business's, like the days the windows are cut by.
const moment = (iso, style) => new Date(iso).toLocaleString(lang, { dateStyle: style, timeStyle: "short", timeZone: catalogue.timezone });
const number = (value, options) => new Intl.NumberFormat(lang, options).format(value);

/** Return [text, unit] of a value in its KPI's unit. */
function figure(value, unit) {
  switch (unit) {
    case "ratio": return [number(value, { style: "percent", maximumFractionDigits: Math.abs(value) < 0.1 ? 2 : 1 }), ""];
    case "money": return [number(value, { style: "currency", currency: catalogue.currency, notation: Math.abs(value) >= 1e6 ? "compact" : "standard", ...cents(value) }), ""];
    case "seconds": return duration(value);
    case "count": return [number(value, { maximumFractionDigits: 0 }), ""];
    default: return [number(value, { maximumFractionDigits: 1 }), unit === "score" ? "" : unit ?? ""];
  }
}
const cents = (value) => ({ minimumFractionDigits: 0, maximumFractionDigits: Math.abs(value) >= 1e6 ? 2 : Math.abs(value) >= 1000 || Number.isInteger(value) ? 0 : 2 });
function duration(seconds) {
  const u = TEXT[lang].units, abs = Math.abs(seconds);
  if (abs < 90) return [number(seconds, { maximumFractionDigits: abs < 10 ? 1 : 0 }), u.s];
  if (abs < 5400) return [number(seconds / 60, { maximumFractionDigits: 1 }), u.min];
  if (abs < 172800) return [number(seconds / 3600, { maximumFractionDigits: 1 }), u.h];
  return [number(seconds / 86400, { maximumFractionDigits: 1 }), u.d];
}
const whole = (value, unit) => figure(value, unit).filter(Boolean).join(" ");

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
  showAlerts(message.alerts ?? []);
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
  const node = make("article", { class: "card", title: kpi.definition },
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
    c.sample.textContent = missing ? reading.why ?? t("none") : sample(reading, kpi);
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
function showRange(c, reading, missing) {
  const has = !missing && typeof reading.low === "number" && typeof reading.high === "number";
  c.range.hidden = !has;
  if (!has) return;
  const [low, high] = c.kpi.unit === "ratio" ? [0, 1] : [-100, 100];
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
  if (value === null || first === null || ["day", "week", "month", "quarter"].includes(shownWindow)) return;
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

/* ── alerts ─────────────────────────────────────────────────────────────────────────────────────────────────── */
function showAlerts(alerts) {
  const key = JSON.stringify([lang, alerts]);
  if (key === alertKeys?.key) return;
  const known = alertKeys?.ids;
  const ids = new Set(alerts.filter((a) => a.state === "firing").map((a) => a.id ?? `${a.rule} ${JSON.stringify(a.segment)}`));
  alertKeys = { key, ids };
  $("alert-list").replaceChildren(...(alerts.length ? alerts.map(alertNode) : [make("p", { class: "calm" }, t("calm"))]));
  if (known) for (const alert of alerts) if (alert.state === "firing" && !known.has(alert.id ?? `${alert.rule} ${JSON.stringify(alert.segment)}`)) $("say").textContent = t("said_alert", alert.summary ?? alert.title ?? alert.rule);
}
function alertNode(alert) {
  const severity = alert.severity ?? "warn", when = alert.since ?? alert.at;
  const node = make("article", { class: `alert ${severity === "critical" ? "critical" : ""} ${alert.state === "resolved" ? "settled" : ""}` },
    make("b", {}, `${named("severities", severity)} · ${named("states", alert.state)}`), make("span", {}, alert.summary ?? alert.title ?? alert.rule));
  if (when) node.append(make("time", { datetime: when }, t("since", moment(when, "short"))));
  return node;
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
    rows = [...by].map(([name, readings]) => ({ name, readings })).filter((row) => Object.values(row.readings).some((r) => r.value));
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
  const lines = sorted.slice(0, limit).map((row) => make("tr", {}, make("th", { scope: "row", title: row.name }, row.name || "—"), ...shown.map((kpi) => {
    const reading = row.readings[kpi.id];
    return reading?.value == null ? make("td", { class: "none", title: reading?.why ?? null }, "—") : make("td", { title: sample(reading, kpi) || null }, whole(reading.value, kpi.unit));
  })));
  if (sorted.length > limit) lines.push(make("tr", {}, make("th", { scope: "row" }, t("more", sorted.length - limit))));
  table.replaceChildren(make("thead", {}, make("tr", {}, head("", named("dimensions", dimension)), ...shown.map((kpi) => head(kpi.id, kpi.label[lang] ?? kpi.id)))), make("tbody", {}, ...lines));
}

/* ── controls ───────────────────────────────────────────────────────────────────────────────────────────────── */
async function json(path) {
  try { const answer = await fetch(path); return answer.ok ? await answer.json() : null; } catch { return null; }
}
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
  alertKeys = null;
  showReadings();
  showTable();
  tick();
}
function titled() {
  const name = named("dimensions", dimension);
  $("by-title").textContent = t("by", name.toLocaleLowerCase(lang));
}
async function start() {
  for (const input of document.querySelectorAll("[name=language]")) input.addEventListener("change", () => { lang = input.value; kept.set("language", lang); speak(); });
  speak();
  let found = null;
  while (!(found = await json("/api/catalogue"))) { say("reconnecting"); await new Promise((done) => setTimeout(done, 2000)); }
  catalogue = found;
  if (!catalogue.windows.includes(shownWindow)) shownWindow = catalogue.windows[0];
  if (!catalogue.dimensions.includes(dimension)) dimension = catalogue.dimensions[0] ?? "source";
  speak();
  connect();
  loadTrend();
  loadTable();
  setInterval(tick, 1000);
  setInterval(() => { if (tableDue) loadTable(); }, 3000);
  setInterval(loadTrend, 60000);
}
start();
