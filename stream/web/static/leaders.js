// Who leads, and by how much: the places of the leaderboard, with how many they have gained or lost since the period before.

import { place } from "./place.js";
import { loaded, stretch } from "./parts.js";
import { make, named, number, own, t, whole } from "./words.js";

//: Places are of calendar periods: a window that rolls has no end at which somebody has won.
const WINDOW = { "24h": "day", "7d": "week", "30d": "month", month: "month" };

export function leaders(root, by) {
  return loaded(root, () => `api/leaderboard?by=${by}&window=${WINDOW[place.window] ?? "month"}`, (found) => {
    const most = Math.max(1, ...found.places.map((one) => Math.abs(one.value)));
    root.hidden = !found.places.some((one) => one.value);
    root.replaceChildren(make("h3", {}, t("leaders", named("leaders_over", found.window))), make("ol", { class: "leaders" }, found.places.filter((one) => one.value).map((one) => make("li", {},
      make("b", {}, number(one.rank)), make("span", { class: "who", title: one.who }, own(one.name)), make("span", { class: "bar" }, make("i", { "data-share": one.value / most * 100 })), make("span", { class: "number" }, whole(one.value, found.unit)),
      make("span", { class: one.moved > 0 ? "good" : one.moved < 0 ? "bad" : "" }, one.moved ? `${one.moved > 0 ? "▲" : "▼"} ${number(Math.abs(one.moved))}` : "", make("span", { class: "hidden" }, one.moved ? t(one.moved > 0 ? "rose" : "fell", Math.abs(one.moved)) : "")), one.shared ? make("span", { class: "note" }, t("shared")) : ""))));
    stretch(root);
  });
}
