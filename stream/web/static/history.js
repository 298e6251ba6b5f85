// What happened to alerts: who was told, what was done about it, and what stands now.

import { ask as who, place as alertsHere, token } from "./alerts.js";
import { head, loaded, note } from "./parts.js";
import { brief, make, moment, named, own, t, told } from "./words.js";

//: What nobody was told of: it may have become an alert, and did not.
const UNSAID = ["pending", "cancelled", "recovering", "relapsed"];

export function shown(root) {
  const body = make("div"), older = make("button", { type: "button", class: "plain", hidden: true }, t("older"));
  const alerts = make("section", { class: "alerts", "aria-label": named("view", "alerts") }, make("div", { id: "alert-list" }), make("p", { id: "alert-gone", class: "period" }));
  root.append(head(named("view", "alerts"), ""), alerts, head(t("story"), t("history_hint")), body, older);
  alertsHere();
  let before = null, lines = [];
  const titles = new Map();
  const held = () => (token.get() ? { authorization: `Bearer ${token.get()}` } : {});
  const denied = () => {
    const button = make("button", { type: "button", class: "plain" }, t("token"));
    button.addEventListener("click", async () => { const given = await who(""); if (given) { token.set(given); loading.again(); } });
    return button;
  };
  const loading = loaded(body, () => `api/alerts/history?limit=100&type=transition,act,notification${before ? `&before=${before}` : ""}`, (found) => {
    // A message and an act name the incident by its id alone: what that is called is in what was said of it.
    for (const record of found.records) if (record.rule_title ?? record.words) titles.set(record.incident, record);
    lines = [...lines, ...found.records.filter((record) => !UNSAID.includes(record.kind)).map((record) => line(record, titles.get(record.incident)))];
    before = found.next;
    older.hidden = !before;
    body.replaceChildren(lines.length ? make("ol", { class: "line" }, lines) : note(t("no_history"), "calm"));
  }, held, denied);
  older.addEventListener("click", () => loading.again());
  return { stop: loading.stop };
}
function line(record, about) {
  const what = record.type === "act" ? record.act : record.type === "notification" ? (record.outcome === "sent" ? "sent" : "unsent") : record.kind;
  const words = record.words?.title ?? record.rule_title ?? record.message?.title ?? record.title ?? about?.rule_title ?? t("an_alert");
  const place = Object.entries(record.segment ?? about?.segment ?? {}).map(([name, value]) => [` · ${named("dimensions", name)} `, own(value)]);
  const who = record.type === "act" ? t("who", record.by) : [record.receiver, record.outcome === "dead_lettered" ? told(record.reason) : ""].filter(Boolean).join(": ");
  return make("li", { class: record.severity === "critical" && record.kind !== "resolved" ? "is-lost" : record.kind === "resolved" ? "is-won" : "" }, make("time", { datetime: record.at, title: moment(record.at, "medium") }, brief(record.at)),
    make("b", {}, named("happened", what)), make("span", {}, told(words), ...place.flat(), who ? ` · ${who}` : ""));
}
