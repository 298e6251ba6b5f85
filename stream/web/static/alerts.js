// The alerts: one line that says how it stands, under it the rules, under each its alerts, each with its explanation.

import { address } from "./place.js";
import { ago, ask as fetched, brief, catalogue, group, json, lang, make, moment, named, number, own, span, t, told as said, whole } from "./words.js";

const $ = (id) => document.getElementById(id);
const RANK = { firing: 0, recovering: 1, pending: 2, resolved: 3 };
const LISTED = 100;
let told = null, known = null, current = [], wanted = "", asking = null, owner = "";
// What is open, by "rule …" or "alert …", and what has been fetched or done: redrawing must lose nothing.
const open = new Set(), details = new Map(), ways = new Map(), done = new Map();

/** The list is drawn anew, into a view that has just been opened; an alert that the address names is opened: `#alert=<id>`. */
export function place() {
  told = null;
  look();
}
function look() { wanted = new URLSearchParams(location.hash.slice(1)).get("alert") ?? ""; if (told) reveal(); }
addEventListener("hashchange", look);

/** Show the alerts as the stream tells them; null where this process does not know them. */
export function showAlerts(alerts) {
  const key = JSON.stringify([lang, owner, alerts, $("alert-list") !== null]);
  if (key === told) return;
  const first = known === null;
  told = key;
  current = alerts ?? [];
  const firing = new Set(current.filter((a) => a.state === "firing").map((a) => a.id));
  const fresh = first ? [] : current.filter((a) => firing.has(a.id) && !known.has(a.id));
  if (alerts) known = firing;
  if (fresh.length) $("say").textContent = t("said_alert", fresh.length === 1 ? words(fresh[0]) : t("fire", fresh.length));
  for (const id of [...details.keys()]) if (!current.some((a) => a.id === id)) details.delete(id);
  if (!$("alert-list")) return;
  draw(alerts);
  for (const alert of current) if (open.has(`alert ${alert.id}`)) explain(alert.id);
  if (wanted && alerts) reveal();
}

const words = (alert) => alert.words?.[lang]?.summary ?? alert.summary ?? alert.title ?? alert.rule;
const grave = (alert) => alert.severity === "critical" && alert.state !== "pending";

function draw(alerts) {
  const focused = document.activeElement?.closest?.("#alert-list details")?.dataset.key, button = document.activeElement?.tagName === "BUTTON";
  const list = $("alert-list");
  if (!alerts) { list.replaceChildren(make("p", { class: "calm" }, t("elsewhere"))); return; }
  if (!alerts.length) { list.replaceChildren(make("p", { class: "calm" }, t("calm"))); return; }
  const owners = [...new Set(alerts.map(ownerOf).filter(Boolean))].sort();
  if (owner && !owners.includes(owner)) owner = "";
  const mine = alerts.filter((one) => !owner || ownerOf(one) === owner), standing = mine.filter((one) => one.state !== "pending"), soon = grouped(mine.filter((one) => one.state === "pending"));
  list.replaceChildren(make("div", { class: "alert-head" }, make("p", { class: standing.length ? null : "calm" }, standing.length ? counted(standing) : t("calm")), owners.length > 1 ? chooser(owners) : ""), ...grouped(standing).map(ruleNode),
    // What has not spoken is nobody's business yet: one line.
    soon.length ? fold("pending", ["pending"], summary(make("b", {}, t("pending", soon.flat().length)), make("span", {}, soon.map((group) => title(group[0])).join(" · "))), ...soon.map(ruleNode)) : "");
  // The keyboard stays where it was.
  const again = focused && list.querySelector(`details[data-key="${CSS.escape(focused)}"]`);
  if (again) (button ? again.querySelector("button") ?? again.firstChild : again.firstChild).focus({ preventScroll: true });
}

/** Alerts by their rules, the gravest first. */
function grouped(alerts) {
  const rules = new Map(), order = (group) => Math.min(...group.map((a) => RANK[a.state] * 2 + (a.severity === "critical" ? 0 : 1)));
  for (const alert of alerts) rules.set(alert.rule, [...(rules.get(alert.rule) ?? []), alert]);
  return [...rules.values()].sort((a, b) => order(a) - order(b) || b.length - a.length);
}
function counted(alerts) {
  const standing = alerts.filter((a) => a.state !== "pending"), graves = alerts.filter(grave).length, hands = standing.filter((a) => a.acknowledged).length;
  const parts = [];
  if (standing.length) parts.push(t("fire", standing.length));
  if (graves) parts.push(t("grave", graves));
  if (hands) parts.push(t("cared", hands));
  const held = alerts.filter((a) => a.held?.length).length;
  if (held) parts.push(t("held_count", held));
  if (alerts.length > standing.length) parts.push(t("pending", alerts.length - standing.length));
  return parts.join(" · ");
}
const ownerOf = (alert) => alert.segment?.owner ?? alert.owner;
/** Whose alerts are shown. */
function chooser(owners) {
  const select = make("select", { id: "alert-owner" }, make("option", { value: "" }, t("everybody")), owners.map((one) => make("option", { value: one, selected: one === owner }, one)));
  select.addEventListener("change", () => { owner = select.value; showAlerts(current); $("alert-owner")?.focus(); });
  return make("label", {}, make("span", {}, t("only_owner")), select);
}
/** A rule's name as people say it; the stream's title may be a message's, with a stamp before and a place behind. */
const title = (alert) => alert.words?.[lang]?.title || said((alert.title ?? alert.rule).replace(/^\[[^\]]*\]\s*/, "").split(" · ")[0].split(": ")[0]);
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
  const since = group.map((a) => a.since ?? a.at).filter(Boolean).sort()[0], people = new Set(group.map(ownerOf).filter(Boolean)).size;
  const how = [counted(group), group.length > 1 && since ? t("oldest", span((Date.now() - new Date(since)) / 1000)) : "", people > 1 ? t("owners", people) : ""].filter(Boolean).join(" · ");
  const node = fold(`${group[0].state === "pending" ? "soon" : "rule"} ${group[0].rule}`, ["rule", group.some(grave) ? "critical" : ""], summary(make("b", {}, title(group[0])), make("span", {}, group.length === 1 ? words(group[0]) : how)), ...alerts.slice(0, LISTED).map(alertNode));
  if (alerts.length > LISTED) node.append(make("p", { class: "beyond" }, t("beyond", alerts.length - LISTED)));
  const all = act([[t("silence_all"), "silence", [`rule=${group[0].rule}`]], ...(free.length > 1 ? [[t("acknowledge_all", free.length), "ack", free.map((a) => a.id)]] : [])].reverse(), `rule ${group[0].rule}`);
  if (group.length > 1) node.insertBefore(all, node.children[1]);
  return node;
}

function alertNode(alert) {
  const severity = alert.severity ?? "warn", when = alert.since ?? alert.at, ack = alert.acknowledged;
  const line = summary(make("b", {}, `${named("severities", severity)} · ${ack ? t("care", ack.by) : named("states", alert.state)}`), make("span", {}, words(alert)));
  if (when) line.append(make("time", { datetime: when, title: moment(when, "medium") }, ago(when)));
  const node = fold(`alert ${alert.id}`, ["alert", severity === "critical" ? "critical" : "", ack || alert.state !== "firing" ? "settled" : ""], line, make("div", { class: "why" }));
  fill_in(node, alert);
  return node;
}

/* ── an alert's explanation ─────────────────────────────────────────────────────────────────────────────────── */
async function explain(id) {
  const [found] = (await json(`api/alerts?incident=${encodeURIComponent(id)}`)) ?? [];
  if (!found) return;
  details.set(id, found);
  // Who was told, by which route, and what held others back: who may not read that sees the names of who was told.
  const [way] = await fetched(`api/alerts/history?type=decision,notification&limit=50&incident=${encodeURIComponent(id)}`, token.get() ? { authorization: `Bearer ${token.get()}` } : {});
  ways.set(id, way?.records ?? []);
  const node = document.querySelector(`details[data-key="${CSS.escape(`alert ${id}`)}"]`), alert = current.find((a) => a.id === id);
  if (node && alert) fill_in(node, alert);
}
function fill_in(node, alert) {
  const full = details.get(alert.id), facts = make("dl", {}), label = group("facts"), why = full?.explanation ?? {};
  const say = (name, ...content) => facts.append(make("dt", {}, name), make("dd", {}, ...content));
  const unit = full?.unit, value = (v, u = unit) => v === null || v === undefined ? "—" : u === "money" && full.currency && full.currency !== catalogue.currency ? `${number(v, { maximumFractionDigits: 0 })} ${full.currency}` : whole(v, u);
  const moved = (v) => `${v < 0 ? "−" : "+"}${unit === "ratio" ? `${number(Math.abs(v) * 100, { maximumFractionDigits: 1 })} ${t("pts")}` : value(Math.abs(v))}`;
  const day = (iso) => new Date(iso).toLocaleDateString(lang, { dateStyle: "medium", timeZone: catalogue.timezone });
  const ack = alert.acknowledged;
  if (ack) say(label.care, t("taken", ack.by, ago(ack.at)));
  if (full) {
    if (full.value !== null && full.value !== undefined) say(label.value, value(full.value) + (full.sample ? ` (${t("n", number(full.sample))})` : ""));
    if (full.threshold !== null && full.threshold !== undefined && full.direction) say(label.limit, t(full.direction, value(full.threshold, full.threshold_unit)));
    if (full.window) say(label.window, named("windows", full.window));
    if (why.previous) say(label.before, why.previous.value === null ? said(why.previous.why) ?? "—" : "change" in why ? t("since_then", value(why.previous.value), moved(why.change)) : value(why.previous.value));
    if (why.total) say(label.total, value(why.total.value));
    if (typeof why.target?.value === "number") say(label.target, t("due", value(why.target.value), why.target.to ? day(why.target.to) : "—", value(why.target.due)));
    for (const one of why.moved_by ?? []) say(label.moved.replace("{0}", named("dimensions", one.dimension).toLocaleLowerCase(lang)), one.segments.map((part) => `${"others" in part ? t("others", part.others) : part.name ?? part.segment} ${moved(part.effect)}`).join("; "));
    if (why.behind?.length) say(label.behind, make("ol", {}, ...why.behind.map(behind)));
    if (why.resolves) say(label.ends, said(why.resolves));
    const way = ways.get(alert.id) ?? [];
    if (way.length) say(label.route, make("ol", {}, way.toReversed().map(step)));
    else if (full.told?.length) say(label.told, full.told.join(", "));
    if (!way.length) for (const one of full.held ?? []) say(label.held, said(one.reason ?? one.stage));
    const page = /^docs\/runbooks\/([a-z0-9-]+)\.md$/.exec(full.runbook ?? "")?.[1];
    if (full.runbook) say(label.runbook, page ? link(`runbooks/${page}`, title(alert)) : /^https?:/.test(full.runbook) ? link(full.runbook, full.runbook) : full.runbook);
  }
  const box = node.querySelector(".why");
  box.replaceChildren(full || ack ? facts : make("p", {}, t("loading")));
  const kind = ["deal", "lead"].find((name) => alert.segment?.[name]);
  if (kind) box.append(make("p", {}, make("a", { href: address(kind, { id: alert.segment[kind] }) }, `${t(kind)} `, own(alert.segment[kind]))));
  if (full?.kpi) box.append(make("p", {}, make("a", { href: address("kpi", { id: full.kpi }) }, t("definition"))));
  if (alert.state !== "resolved") box.append(act([[ack ? t("unacknowledge") : t("acknowledge"), ack ? "unack" : "ack", [alert.id]], [t("silence"), "silence", [`incident=${alert.id}`]]], `alert ${alert.id}`));
}
/** What was decided about it, or became of a message: when, who was told by which route, or why not. */
function step(one) {
  const route = one.route && one.route !== "{}" ? ` · ${t("by_route", one.route)}` : "";
  const what = one.type === "notification" ? (one.outcome === "sent" ? t("arrived", one.receiver) : t("not_arrived", one.receiver, said(one.reason) ?? ""))
    : one.outcome === "notified" ? t("told_to", (one.receivers ?? []).join(", ")) : t("held_because", said(one.reason));
  return make("li", {}, make("time", { datetime: one.at, title: moment(one.at, "medium") }, brief(one.at)), ` ${what}${route}`);
}
function behind(one) {
  const name = one.name ? `${one.name} (${one.id})` : one.id, more = [said(one.what), said(one.said)].filter(Boolean).join(", ");
  const kind = one.entity === "lead" ? "lead" : "deal";
  return make("li", {}, make("a", { href: address(kind, { id: one.id }) }, own(name)), more ? `, ${more}` : "", one.url && /^https?:/.test(one.url) ? [" ", link(one.url, "CRM ↗")] : "");
}
const link = (href, text) => make("a", { href, rel: "noreferrer", target: "_blank" }, text);

/* ── what an operator does about it ─────────────────────────────────────────────────────────────────────────── */
export const token = { get: () => sessionStorage.getItem("vigie.token") ?? "", set: (value) => value ? sessionStorage.setItem("vigie.token", value) : sessionStorage.removeItem("vigie.token") };
/** Buttons [[label, what is done, to which]] and beside them what became of it. */
function act(buttons, key) {
  const note = make("span", { role: "status" }, done.get(key) ?? "");
  const say = (text) => { done.set(key, text); for (const node of document.querySelectorAll(`[data-act="${CSS.escape(key)}"] span`)) node.textContent = text; };
  return make("p", { class: "act", "data-act": key }, buttons.map(([label, what, ids]) => {
    const button = make("button", { type: "button", "data-what": what }, label);
    button.addEventListener("click", async () => {
      say(t("wait"));
      for (const id of ids) {
        const refused = await send(what, id);
        if (refused !== "") { say(refused ?? ""); return; }
      }
      say(t("sent"));
      setTimeout(() => say(""), 4000);
    });
    return button;
  }), note);
}
/** Return "" once it is done, what the server said where it refused, null where the reader gave up. */
async function send(what, id) {
  let why = "", asked = false;
  while (true) {
    // Whoever has logged in needs no token here.
    const held = token.get() || (asked ? await ask(why) : "");
    if (!held && asked) return null;
    asked = true;
    try {
      const headers = held ? { authorization: `Bearer ${held}` } : { "x-vigie": "page" };
      const answer = what === "silence"
        ? await fetch("api/silences", { method: "POST", headers: { ...headers, "content-type": "application/json" }, body: JSON.stringify({ matchers: [id], duration: "1h" }) })
        : await fetch(`api/alerts/${encodeURIComponent(id)}/${what}`, { method: "POST", headers });
      if (answer.ok) { if (held) token.set(held); return ""; }
      const error = said((await answer.json().catch(() => ({}))).error) ?? `${answer.status}`;
      if (answer.status !== 401) return error;
      token.set("");
      why = held ? error : "";
    } catch { return t("unreachable"); }
  }
}
/** Ask for a token; one question at a time. */
export function ask(why) {
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
  for (const key of alert.state === "pending" ? ["pending", `soon ${alert.rule}`, `alert ${id}`] : [`rule ${alert.rule}`, `alert ${id}`]) {
    open.add(key);
    const node = document.querySelector(`details[data-key="${CSS.escape(key)}"]`);
    if (node) node.open = true;
  }
  const node = document.querySelector(`details[data-key="${CSS.escape(`alert ${id}`)}"]`);
  node?.scrollIntoView({ block: "center" });
  node?.firstChild.focus({ preventScroll: true });
}
