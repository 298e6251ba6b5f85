// The live page: one event stream, one view at a time, nothing from elsewhere.

import { showAlerts } from "./alerts.js";
import * as customers from "./customers.js";
import * as deals from "./deals.js";
import * as figures from "./figures.js";
import * as forecast from "./forecast.js";
import * as history from "./history.js";
import { VIEWS, address, choose, follow, home, kept, place, windows } from "./place.js";
import * as segments from "./segments.js";
import * as trials from "./trials.js";
import { catalogue, duration, group, json, know, lang, languages, make, moment, named, speak, t, told } from "./words.js";

const SHOWN = {
  now: figures.now, funnel: figures.funnel, figures: figures.all, kpi: figures.explained, pipeline: deals.pipeline, deals: deals.list, leads: deals.leads,
  deal: (root) => deals.story(root, "deal"), lead: (root) => deals.story(root, "lead"), team: (root) => segments.shown(root, ["owner", "team"]),
  sources: (root) => segments.shown(root, ["source", "campaign", "product", "region", "segment", "variant"]), alerts: history.shown,
  customers: customers.customers, customer: customers.customer, forecast: forecast.shown, tests: trials.shown,
};
const $ = (id) => document.getElementById(id);
let source = null, heard = 0, connection = "connecting", retry = 2000, retryTimer = 0, current = null, trendTimer = 0;
//: What came before the words were there: the figures are asked for at once.
let early = null, awake = false;
//: What the views are shown: the readings of the window, how they were, the alerts.
const known = { readings: [], trend: { times: [], values: {} }, alerts: undefined };

/* ── connection ─────────────────────────────────────────────────────────────────────────────────────────────── */
function connect() {
  clearTimeout(retryTimer);
  source?.close();
  source = new EventSource(`api/stream?window=${encodeURIComponent(place.window)}`);
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
  const text = connection === "live" ? t("live", duration(age).join("\u00a0")) : t(connection);
  if ($("connection").textContent !== text) $("connection").textContent = text;
}
function receive(message, full) {
  if (!awake) { early = [message, full]; return; }
  heard = Date.now();
  retry = 2000;
  $("warnings").textContent = (message.warnings ?? []).map(told).join(" · ");
  say(message.state === "live" || message.state === undefined ? "live" : ["restoring", "starting"].includes(message.state) ? "restoring" : "stale");
  if ("alerts" in message) { known.alerts = message.alerts; showAlerts(known.alerts); }
  if (!full || message.window !== place.window) return;
  known.readings = message.readings;
  const from = known.readings[0]?.from;
  $("period").textContent = from ? t("fromto", moment(from, "medium")) : "";
  current?.receive?.(known);
}
async function loadTrend() {
  clearTimeout(trendTimer);
  const wanted = place.window;
  const found = await json(`api/trend?window=${wanted}`);
  if (found?.values && wanted === place.window) { known.trend = found; if (known.readings.length) current?.receive?.(known); }
  trendTimer = setTimeout(loadTrend, found ? 60000 : 5000);
}

/* ── the frame around the views ─────────────────────────────────────────────────────────────────────────────── */
function frame() {
  document.documentElement.lang = lang;
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = t(node.dataset.text);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(node.dataset.label));
  document.body.classList.toggle("embed", "embed" in place);
  $("views").replaceChildren(...VIEWS.map((view) => make("a", { href: address(view), "aria-current": home() === view ? "page" : null }, named("view", view))));
  const at = $("views").querySelector("[aria-current]");
  if (at) $("views").scrollLeft = at.offsetLeft - 40;
  $("windows").replaceChildren($("windows").firstElementChild, ...windows().map((name) => {
    const box = make("input", { type: "radio", name: "window", value: name });
    box.checked = name === place.window;
    box.addEventListener("change", () => { kept.set("window", name); choose({ window: name }, true); });
    return make("label", {}, box, make("span", {}, named("windows", name)));
  }));
  const compare = $("compare").firstElementChild;
  compare.checked = place.compare !== "none";
  compare.onchange = () => choose({ compare: compare.checked ? "" : "none" }, true);
  $("language").replaceChildren(...Object.entries(languages()).map(([code, name]) => make("option", { value: code, lang: code, selected: code === lang }, name)));
  $("language").onchange = (event) => { kept.set("language", event.target.value); choose({ lang: event.target.value }, true); };
  $("instance").textContent = `Vigie · ${catalogue.instance}`;
}
function open(quiet) {
  current?.stop?.();
  const root = $("view");
  root.className = `view-${place.view}`;
  root.replaceChildren();
  try { current = SHOWN[place.view](root) ?? {}; } catch (error) { current = {}; broken(root); throw error; }
  const title = `${named("view", place.view)}${place.id ? ` ${place.id.slice(0, 60)}` : ""}`;
  document.title = `${title} · Vigie`;
  if (known.readings.length) current.receive?.(known);
  if (known.alerts !== undefined) showAlerts(known.alerts);
  if (quiet === false) { $("say").textContent = t("said_view", title); root.focus({ preventScroll: true }); scrollTo(0, 0); }
}
const broken = (root) => {
  const button = make("button", { type: "button", class: "plain" }, t("reload"));
  button.addEventListener("click", () => location.reload());
  root.replaceChildren(make("div", { class: "empty", role: "alert" }, make("p", {}, t("broken")), button));
};
async function moved(quiet) {
  const focused = document.activeElement?.name === "window" || document.activeElement?.id === "language" || document.activeElement?.name === "compare" ? document.activeElement : null;
  const shown = known.window;
  if ((place.lang ?? lang) !== lang) await speak(place.lang);
  if (shown !== place.window) { known.window = place.window; known.readings = []; known.trend = { times: [], values: {} }; connect(); loadTrend(); }
  frame();
  open(quiet);
  if (focused) document.querySelector(focused.id ? `#${focused.id}` : `[name=${focused.name}]${focused.type === "radio" ? ":checked" : ""}`)?.focus();
}

async function start() {
  const asked = place.lang ?? kept.get("language", "");
  if (!source) connect();
  // The reader's own language where there is one, else the company's.
  const [words, found] = await Promise.all([speak(asked || navigator.language?.split("-")[0] || "en"), json("api/catalogue")]);
  if (!words || !found) { setTimeout(start, 2000); say("reconnecting"); return; }
  know(found);
  if (!asked && !(navigator.language ?? "").startsWith(lang) && found.language && found.language !== lang) await speak(found.language);
  known.window = place.window;
  frame();
  open(null);
  follow(moved);
  awake = true;
  if (early) receive(...early);
  loadTrend();
  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) tick(); });
  document.body.dataset.ready = "yes";
}
addEventListener("error", () => { if (!group("view").now) return; if (!$("view").childElementCount) broken($("view")); });
start();
