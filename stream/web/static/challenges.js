// Challenges: who leads, how long it goes on, how its guards stand, and why one was annulled.

import { address } from "./place.js";
import { loaded, stretch } from "./parts.js";
import { day, lang, make, named, number, own, t, told, whole } from "./words.js";

const label = (one) => one.label?.[lang] ?? one.label?.en ?? one.kpi, noon = (text) => day(`${text}T12:00:00Z`);

export function challenges(root) {
  return loaded(root, () => "api/challenges", (found) => {
    root.hidden = !found.challenges.length;
    root.replaceChildren(make("h3", {}, t("challenges")), make("div", { class: "goals" }, found.challenges.map(challenge)));
    stretch(root);
  });
}
function challenge(one) {
  const over = one.annulled, pulled = one.pulled?.suspected ? one.pulled.deals : 0;
  return make("article", { class: "goal" }, make("header", {}, make("h4", {}, own(one.name)), make("span", { class: `status ${over ? "bad" : one.state === "running" ? "good" : ""}` }, named("challenge_states", one.state))),
    make("p", { class: "note" }, make("a", { href: address("kpi", { id: one.kpi }) }, label(one)), ` · ${noon(one.from)} – ${noon(one.until)}`),
    one.state === "running" ? make("div", { class: "course", "aria-hidden": "true" }, make("i", { "data-share": one.elapsed * 100 })) : null,
    over ? make("p", { class: "bad" }, t("annulled_why", label(over), whole(over.value, over.unit), whole(over.limit, over.unit), noon(over.on))) : null,
    // An annulled one has no winner.
    over || !one.places.length ? null : make("ol", { class: "leaders" }, one.places.map((who) => make("li", {}, make("b", {}, number(who.rank)), make("span", { class: "who", title: who.who }, own(who.name)), make("span", { class: "number" }, typeof who.value === "number" ? whole(who.value, one.unit) : "—"), who.shared ? make("span", { class: "note" }, t("shared")) : ""))),
    one.why ? make("p", { class: "note" }, told(one.why)) : null,
    make("ul", {}, one.guards.map(guard)), pulled ? make("p", { class: "note bad" }, t("pulled_in", pulled)) : null);
}
function guard(one) {
  const limit = one.at_most !== null ? t("at_most", whole(one.at_most, one.unit)) : t("at_least", whole(one.at_least, one.unit));
  return make("li", { class: one.broken ? "bad" : "" }, `${t("guard")} `, make("a", { href: address("kpi", { id: one.kpi }) }, label(one)), " ", make("b", {}, typeof one.value === "number" ? whole(one.value, one.unit) : "—"), ` ${limit}`, one.broken ? ` · ${t("broken_guard")}` : "");
}
