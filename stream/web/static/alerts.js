// The alerts: one line that says how it stands, under it the rules, under each its alerts, each with its explanation.

import { TEXT, catalogue, fill, json, lang, make, moment, named, number, t, whole } from "./words.js";

const $ = (id) => document.getElementById(id);
const RANK = { firing: 0, recovering: 1, pending: 2, resolved: 3 };
const LISTED = 100;
let told = null, known = null, current = [], wanted = "", asking = null;
// What is open, by "rule …" or "alert …", and what has been fetched or done: redrawing must lose nothing.
const open = new Set(), details = new Map(), done = new Map();

/** Draw anew at the next message, whatever it says (the language has changed). */
export function forget() { told = null; }

/** Open the alert that the address names, now and whenever it changes: `#alert=<id>`. */
export function follow() {
  const look = () => { wanted = new URLSearchParams(location.hash.slice(1)).get("alert") ?? ""; if (told) reveal(); };
  addEventListener("hashchange", look);
  look();
}

/** Show the alerts as the stream tells them; null where this process does not know them. */
export function showAlerts(alerts) {
  const key = JSON.stringify([lang, alerts]);
  if (key === told) return;
  const first = known === null;
  told = key;
  current = alerts ?? [];
  const firing = new Set(current.filter((a) => a.state === "firing").map((a) => a.id));
  const fresh = first ? [] : current.filter((a) => firing.has(a.id) && !known.has(a.id));
  if (alerts) known = firing;
  if (fresh.length) $("say").textContent = t("said_alert", fresh.length === 1 ? words(fresh[0]) : t("fire", fresh.length));
  for (const id of [...details.keys()]) if (!current.some((a) => a.id === id)) details.delete(id);
  draw(alerts);
  for (const alert of current) if (open.has(`alert ${alert.id}`)) explain(alert.id);
  if (wanted && alerts) reveal();
}

const words = (alert) => alert.summary ?? alert.title ?? alert.rule;
const grave = (alert) => alert.severity === "critical" && alert.state !== "pending";

function draw(alerts) {
  const focused = document.activeElement?.closest?.("#alert-list details")?.dataset.key, button = document.activeElement?.tagName === "BUTTON";
  const list = $("alert-list");
  if (!alerts) { list.replaceChildren(make("p", { class: "calm" }, t("elsewhere"))); return; }
  if (!alerts.length) { list.replaceChildren(make("p", { class: "calm" }, t("calm"))); return; }
  const rules = new Map();
  for (const alert of alerts) rules.set(alert.rule, [...(rules.get(alert.rule) ?? []), alert]);
  const order = (group) => Math.min(...group.map((a) => RANK[a.state] * 2 + (a.severity === "critical" ? 0 : 1)));
  const groups = [...rules.values()].sort((a, b) => order(a) - order(b) || b.length - a.length);
  list.replaceChildren(fold("all", ["alert-all", alerts.some(grave) ? "critical" : ""], summary(make("b", {}, counted(alerts)), names(groups)), ...groups.map(ruleNode)));
  // The keyboard stays where it was.
  const again = focused && list.querySelector(`details[data-key="${CSS.escape(focused)}"]`);
  if (again) (button ? again.querySelector("button") ?? again.firstChild : again.firstChild).focus({ preventScroll: true });
}

function counted(alerts) {
  const standing = alerts.filter((a) => a.state !== "pending"), graves = alerts.filter(grave).length, hands = standing.filter((a) => a.acknowledged).length;
  const parts = [];
  if (standing.length) parts.push(t("fire", standing.length));
  if (graves) parts.push(t("grave", graves));
  if (hands) parts.push(t("cared", hands));
  if (alerts.length > standing.length) parts.push(t("pending", alerts.length - standing.length));
  return parts.join(" · ");
}
const names = (groups) => make("span", { class: "names" }, groups.map((group) => title(group[0])).join(", "));
/** A rule's name as people say it; the stream's title may be a message's, with a stamp before and a place behind. */
const title = (alert) => (alert.title ?? alert.rule).replace(/^\[[^\]]*\]\s*/, "").split(" · ")[0].split(": ")[0];
const summary = (...children) => make("summary", {}, ...children);

function fold(key, classes, ...children) {
  const node = make("details", { class: classes.filter(Boolean).join(" "), "data-key": key }, ...children);
  node.open = open.has(key);
  node.addEventListener("toggle", () => {
    if (node.open) open.add(key); else open.delete(key);
    if (node.open && key.startsWith("alert ")) explain(key.slice(6));
  });
  return node;
}

function ruleNode(group) {
  const alerts = group.toSorted((a, b) => (a.acknowledged ? 1 : 0) - (b.acknowledged ? 1 : 0) || RANK[a.state] - RANK[b.state]), free = alerts.filter((a) => a.state === "firing" && !a.acknowledged);
  const node = fold(`rule ${group[0].rule}`, ["rule", group.some(grave) ? "critical" : ""], summary(make("b", {}, title(group[0])), make("span", {}, counted(group))), ...alerts.slice(0, LISTED).map(alertNode));
  if (alerts.length > LISTED) node.append(make("p", { class: "beyond" }, t("beyond", alerts.length - LISTED)));
  if (free.length > 1) node.insertBefore(act(t("acknowledge_all", free.length), "ack", free.map((a) => a.id), `rule ${group[0].rule}`), node.children[1]);
  return node;
}

function alertNode(alert) {
  const severity = alert.severity ?? "warn", when = alert.since ?? alert.at, ack = alert.acknowledged;
  const line = summary(make("b", {}, `${named("severities", severity)} · ${ack ? t("care", ack.by) : named("states", alert.state)}`), make("span", {}, words(alert)));
  if (when) line.append(make("time", { datetime: when }, t("since", moment(when, "short"))));
  const node = fold(`alert ${alert.id}`, ["alert", severity === "critical" ? "critical" : "", ack || alert.state !== "firing" ? "settled" : ""], line, make("div", { class: "why" }));
  fill_in(node, alert);
  return node;
}

/* ── an alert's explanation ─────────────────────────────────────────────────────────────────────────────────── */
async function explain(id) {
  const [found] = (await json(`/api/alerts?incident=${encodeURIComponent(id)}`)) ?? [];
  if (!found) return;
  details.set(id, found);
  const node = document.querySelector(`details[data-key="${CSS.escape(`alert ${id}`)}"]`), alert = current.find((a) => a.id === id);
  if (node && alert) fill_in(node, alert);
}
function fill_in(node, alert) {
  const full = details.get(alert.id), facts = make("dl", {}), label = TEXT[lang].facts, why = full?.explanation ?? {};
  const say = (name, ...content) => facts.append(make("dt", {}, name), make("dd", {}, ...content));
  const unit = full?.unit, value = (v, u = unit) => v === null || v === undefined ? "—" : u === "money" && full.currency && full.currency !== catalogue.currency ? `${number(v, { maximumFractionDigits: 0 })} ${full.currency}` : whole(v, u);
  const moved = (v) => `${v < 0 ? "−" : "+"}${unit === "ratio" ? `${number(Math.abs(v) * 100, { maximumFractionDigits: 1 })} ${t("pts")}` : value(Math.abs(v))}`;
  const day = (iso) => new Date(iso).toLocaleDateString(lang, { dateStyle: "medium", timeZone: catalogue.timezone });
  const ack = alert.acknowledged;
  if (ack) say(label.care, fill(TEXT[lang].taken, ack.by, moment(ack.at, "short")));
  if (full) {
    if (full.value !== null && full.value !== undefined) say(label.value, value(full.value) + (full.sample ? ` (${t("n", number(full.sample))})` : ""));
    if (full.threshold !== null && full.threshold !== undefined && full.direction) say(label.limit, fill(TEXT[lang][full.direction] ?? "{0}", value(full.threshold, full.threshold_unit)));
    if (full.window) say(label.window, named("windows", full.window));
    if (why.previous) say(label.before, why.previous.value === null ? why.previous.why ?? "—" : "change" in why ? fill(TEXT[lang].since_then, value(why.previous.value), moved(why.change)) : value(why.previous.value));
    if (why.total) say(label.total, value(why.total.value));
    if (typeof why.target?.value === "number") say(label.target, fill(TEXT[lang].due, value(why.target.value), why.target.to ? day(why.target.to) : "—", value(why.target.due)));
    for (const one of why.moved_by ?? []) say(fill(label.moved, named("dimensions", one.dimension).toLocaleLowerCase(lang)), one.segments.map((part) => `${"others" in part ? fill(TEXT[lang].others, part.others) : part.name ?? part.segment} ${moved(part.effect)}`).join("; "));
    if (why.behind?.length) say(label.behind, make("ol", {}, ...why.behind.map(behind)));
    if (why.resolves) say(label.ends, why.resolves);
    if (full.told?.length) say(label.told, full.told.join(", "));
    for (const one of full.held ?? []) say(label.held, one.reason ?? one.stage);
    if (full.runbook) say(label.runbook, /^https?:/.test(full.runbook) ? link(full.runbook, full.runbook) : full.runbook);
  }
  const box = node.querySelector(".why");
  box.replaceChildren(full || ack ? facts : make("p", {}, t("loading")));
  if (alert.state !== "resolved") box.append(act(ack ? t("unacknowledge") : t("acknowledge"), ack ? "unack" : "ack", [alert.id], `alert ${alert.id}`));
}
function behind(one) {
  const text = [one.name ? `${one.name} (${one.id})` : one.id, one.what, one.said].filter(Boolean).join(", ");
  return make("li", {}, one.url && /^https?:/.test(one.url) ? link(one.url, text) : text);
}
const link = (href, text) => make("a", { href, rel: "noreferrer", target: "_blank" }, text);

/* ── what an operator does about it ─────────────────────────────────────────────────────────────────────────── */
const token = { get: () => sessionStorage.getItem("vigie.token") ?? "", set: (value) => value ? sessionStorage.setItem("vigie.token", value) : sessionStorage.removeItem("vigie.token") };
function act(label, what, ids, key) {
  const button = make("button", { type: "button" }, label), said = make("span", { role: "status" }, done.get(key) ?? "");
  const say = (text) => { done.set(key, text); for (const node of document.querySelectorAll(`[data-act="${CSS.escape(key)}"] span`)) node.textContent = text; };
  button.addEventListener("click", async () => {
    say(t("wait"));
    for (const id of ids) {
      const refused = await send(what, id);
      if (refused !== "") { say(refused ?? ""); return; }
    }
    say(t("sent"));
    setTimeout(() => say(""), 4000);
  });
  return make("p", { class: "act", "data-act": key }, button, said);
}
/** Return "" once it is done, what the server said where it refused, null where the reader gave up. */
async function send(what, id) {
  let why = "";
  while (true) {
    const held = token.get() || await ask(why);
    if (!held) return null;
    try {
      const answer = await fetch(`/api/alerts/${encodeURIComponent(id)}/${what}`, { method: "POST", headers: { authorization: `Bearer ${held}` } });
      if (answer.ok) { token.set(held); return ""; }
      const error = (await answer.json().catch(() => ({}))).error ?? `${answer.status}`;
      if (answer.status !== 401) return error;
      token.set("");
      why = error;
    } catch (error) { return String(error); }
  }
}
/** Ask for a token; one question at a time. */
function ask(why) {
  asking ??= new Promise((settle) => {
    const field = make("input", { type: "password", id: "token", autocomplete: "off", required: "", "aria-describedby": "token-text" });
    const go = make("button", { type: "submit" }, t("go")), no = make("button", { type: "button" }, t("cancel"));
    const form = make("form", { method: "dialog" }, make("h2", { id: "token-title" }, t("token_title")), make("p", { id: "token-text" }, t("token_text")), ...(why ? [make("p", { role: "alert", class: "bad" }, why)] : []), make("label", { for: "token" }, t("token")), field, make("p", { class: "act" }, go, no));
    const dialog = make("dialog", { "aria-labelledby": "token-title" }, form);
    let given = "";
    form.addEventListener("submit", (event) => { event.preventDefault(); given = field.value.trim(); dialog.close(); });
    no.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => { dialog.remove(); asking = null; settle(given); });
    document.body.append(dialog);
    dialog.showModal();
  });
  return asking;
}

/* ── a link that leads to an alert ──────────────────────────────────────────────────────────────────────────── */
function reveal() {
  const alert = current.find((a) => a.id === wanted), id = wanted;
  if (!id) return;
  wanted = "";
  if (!alert) { $("say").textContent = t("gone"); $("alert-gone").textContent = t("gone"); return; }
  $("alert-gone").textContent = "";
  for (const key of ["all", `rule ${alert.rule}`, `alert ${id}`]) {
    open.add(key);
    const node = document.querySelector(`details[data-key="${CSS.escape(key)}"]`);
    if (node) node.open = true;
  }
  const node = document.querySelector(`details[data-key="${CSS.escape(`alert ${id}`)}"]`);
  node?.scrollIntoView({ block: "center" });
  node?.firstChild.focus({ preventScroll: true });
}
