// Objectives of teams and people: the main one with its indicators and guard, and how the periods before ended.

import { address } from "./place.js";
import { loaded, stretch } from "./parts.js";
import { day, lang, make, odds, own, percent, t, named, told, whole } from "./words.js";

const GOOD = { reached: "good", on_track: "good", behind: "bad", missed: "bad", guarded: "bad" };
const label = (one) => one.label?.[lang] ?? one.label?.en ?? one.kpi;

export function goals(root) {
  return loaded(root, () => "api/objectives?past=3", (found) => {
    root.hidden = !found.objectives.length;
    root.replaceChildren(make("h3", {}, named("view", "objectives")), make("div", { class: "goals" }, found.objectives.map(goal)));
    stretch(root);
    for (const mark of root.querySelectorAll("[data-left]")) mark.style.left = `${mark.dataset.left}%`;
  });
}
function goal(one) {
  const { main } = one, done = Math.min(1, Math.max(0, main.progress ?? 0)), due = main.pace && main.progress ? Math.min(1, main.progress / main.pace) : null;
  const has = main.kind === "text" ? own(main.text) : [make("a", { href: address("kpi", { id: main.kpi }) }, label(main)), " ", typeof main.value === "number" ? whole(main.value, main.unit) : "—", " / ", whole(main.target, main.unit)];
  return make("article", { class: "goal" }, make("header", {}, make("h4", {}, own(one.name)), make("span", { class: `status ${GOOD[one.state] ?? ""}` }, named("goal_states", one.state))),
    make("p", { class: "note" }, own(one.who ?? ""), ` · ${day(`${one.from}T12:00:00Z`)} – ${day(`${one.until}T12:00:00Z`)}`), make("p", {}, has),
    make("div", { class: "course", role: "img", "aria-label": percent(done) }, make("i", { "data-share": done * 100 }), due === null ? null : make("em", { "data-left": due * 100 })),
    make("p", { class: "note" }, make("span", {}, percent(main.progress ?? 0)), typeof main.chance === "number" ? make("span", {}, t("objective_chance", odds(main.chance))) : null, main.why ? make("span", {}, told(main.why)) : null),
    make("ul", {}, (one.indicators ?? []).map(indicator)),
    one.past?.length ? make("p", { class: "note" }, `${t("goal_past")} `, one.past.map((old) => make("span", { class: GOOD[old.state] ?? "", title: day(`${old.from}T12:00:00Z`) }, named("goal_states", old.state)))) : null);
}
function indicator(one) {
  const value = typeof one.value === "number" ? whole(one.value, one.unit) : "—", limit = one.kind === "guard" ? (one.at_most !== null && one.at_most !== undefined ? t("at_most", whole(one.at_most, one.unit)) : t("at_least", whole(one.at_least, one.unit))) : typeof one.target === "number" ? `/ ${whole(one.target, one.unit)}` : "";
  return make("li", { class: one.broken ? "bad" : "" }, make("a", { href: address("kpi", { id: one.kpi }) }, label(one)), " ", make("b", {}, value), ` ${limit}`, one.broken ? ` · ${t("broken_guard")}` : "");
}
