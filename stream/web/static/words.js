// What the page says, in the language that was asked for, and how it writes numbers. Text goes in as text only, never as HTML.

let text = {}, patterns = [];
export let lang = "en";
export let catalogue = { kpis: [], windows: [], dimensions: [], currency: "EUR", timezone: "UTC", instance: "" };
export function know(found) { catalogue = found; }

// Beside this file, under the same version.
const address = (language) => new URL(`words.${encodeURIComponent(language)}.json`, import.meta.url);

/** Take a language's words from the server; English where it has none. Return whether there are words at all. */
export async function speak(language) {
  const found = await json(address(language)) ?? (language === "en" ? null : await json(address("en")));
  if (!found) return false;
  text = found;
  lang = found.code;
  patterns = Object.entries(found.sentences ?? {}).filter(([source]) => /\{\w+\}/.test(source) && !/\{\w+:/.test(source)).map(([source, told]) => {
    const names = [];
    const parts = source.split(/(\{\w+\})/).map((part) => /^\{\w+\}$/.test(part) ? (names.push(part.slice(1, -1)), "([^]+?)") : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    return new Set(names).size === names.length ? [new RegExp(`^${parts.join("")}$`), names, told] : null;
  }).filter(Boolean);
  return true;
}
export const languages = () => text.languages ?? { en: "English" };

export function t(key, ...values) {
  let found = text[key] ?? key;
  if (typeof found === "object") found = found[new Intl.PluralRules(lang).select(values[0])] ?? found.other ?? key;
  return fill(found, ...values.map((value) => typeof value === "number" ? number(value) : value));
}
export const fill = (found, ...values) => found.replace(/\{(\d)\}/g, (_, i) => values[i]);
export const named = (group, key) => text[group]?.[key] ?? key;
export const group = (name) => text[name] ?? {};

/** A sentence that the server wrote in English, in the page's language where that knows it. */
export function told(english) {
  if (!english) return english;
  if (text.sentences?.[english]) return text.sentences[english];
  for (const [pattern, names, said] of patterns) {
    const found = pattern.exec(english);
    if (found) return said.replace(/\{(\w+)\}/g, (_, name) => part(name, found[names.indexOf(name) + 1]));
  }
  return english;
}
function part(name, english) {
  const money = name === "money" && /^(-?[\d,]+) ([A-Z]{3})$/.exec(english);
  if (money) return number(Number(money[1].replaceAll(",", "")), { style: "currency", currency: money[2], maximumFractionDigits: 0 });
  if (/^-?\d{1,3}(,\d{3})+(\.\d+)?$/.test(english)) return number(Number(english.replaceAll(",", "")));
  if (/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(english)) return moment(english, "medium");
  if (name === "day" && /^\d{4}-\d\d-\d\d$/.test(english)) return day(`${english}T12:00:00Z`);
  return told(english);
}

export function make(tag, attributes = {}, ...children) {
  const node = tag.startsWith("svg:") ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4)) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}
/** What people wrote: as it is, in its own direction. */
export const own = (name) => make("bdi", {}, name);

// Times are the business's, like the days the windows are cut by.
const zoned = (options) => ({ timeZone: catalogue.timezone, ...options });
export const moment = (iso, style) => new Date(iso).toLocaleString(lang, zoned({ dateStyle: style, timeStyle: "short" }));
export const day = (iso) => new Date(iso).toLocaleDateString(lang, zoned({ dateStyle: "medium" }));
/** An instant as short as it can be: the time today, the day this year (`date`: the day alone). */
export function brief(iso, date = false) {
  if (date) return new Date(iso).toLocaleDateString(lang, zoned({ day: "numeric", month: "short" }));
  const at = new Date(iso), same = (options) => at.toLocaleDateString(lang, zoned(options)) === new Date().toLocaleDateString(lang, zoned(options));
  if (same({ dateStyle: "short" })) return at.toLocaleTimeString(lang, zoned({ timeStyle: "short" }));
  return at.toLocaleString(lang, zoned({ day: "numeric", month: "short", ...(same({ year: "numeric" }) ? { hour: "2-digit", minute: "2-digit" } : { year: "numeric" }) }));
}
/** How long ago, in the language's own words: "3 days ago". */
export function ago(iso) {
  const seconds = (new Date(iso) - Date.now()) / 1000, abs = Math.abs(seconds);
  const [unit, size] = abs < 90 ? ["second", 1] : abs < 5400 ? ["minute", 60] : abs < 172800 ? ["hour", 3600] : ["day", 86400];
  return new Intl.RelativeTimeFormat(lang, { numeric: "auto" }).format(Math.round(seconds / size), unit);
}
export const number = (value, options) => new Intl.NumberFormat(lang, options).format(value);
export const percent = (value, digits = 0) => number(value, { style: "percent", maximumFractionDigits: digits });
/** A probability, which a simulation never knows to be none or all. */
export const odds = (value) => (value < 0.005 ? `<\u00a0${percent(0.01)}` : value > 0.995 && value < 1 ? `>\u00a0${percent(0.99)}` : percent(value));
export const money = (value, currency = catalogue.currency) => number(value, { style: "currency", currency, notation: Math.abs(value) >= 1e6 ? "compact" : "standard", ...cents(value) });

/** Return [text, unit] of a value in its KPI's unit. */
export function figure(value, unit) {
  switch (unit) {
    case "ratio": return [percent(value, Math.abs(value) < 0.1 ? 2 : Math.abs(value) < 10 ? 1 : 0), ""];
    case "money": return [money(value), ""];
    case "seconds": return duration(value);
    case "days": return duration(value * 86400);
    case "hours": return duration(value * 3600);
    case "times": return [`× ${number(value, { maximumFractionDigits: 1 })}`, ""];
    case "deviations": return [`${number(value, { maximumFractionDigits: 1 })} σ`, ""];
    case "count": return [number(value, { maximumFractionDigits: 0 }), ""];
    default: return [number(value, { maximumFractionDigits: 1 }), unit === "score" ? "" : unit ?? ""];
  }
}
const cents = (value) => ({ minimumFractionDigits: 0, maximumFractionDigits: Math.abs(value) >= 1e6 ? 2 : Math.abs(value) >= 1000 || Number.isInteger(value) ? 0 : 2 });
export function duration(seconds) {
  const u = text.units ?? {}, abs = Math.abs(seconds);
  if (abs < 90) return [number(seconds, { maximumFractionDigits: abs < 10 ? 1 : 0 }), u.s];
  if (abs < 5400) return [number(seconds / 60, { maximumFractionDigits: 1 }), u.min];
  if (abs < 172800) return [number(seconds / 3600, { maximumFractionDigits: 1 }), u.h];
  return [number(seconds / 86400, { maximumFractionDigits: 1 }), u.d];
}
export const span = (seconds) => duration(seconds).join("\u00a0");
export const whole = (value, unit) => figure(value, unit).filter(Boolean).join("\u00a0");
export const label = (kpi) => kpi.label[lang] ?? kpi.label.en ?? kpi.id;
export const definition = (kpi) => kpi.definitions?.[lang] ?? kpi.definition;

/** Return [what the server answered, null where it refused; the status, 0 where nobody answered]. */
export async function ask(path, headers = {}) {
  try {
    const answer = await fetch(path, { headers });
    return [answer.ok ? await answer.json() : null, answer.status];
  } catch { return [null, 0]; }
}
export async function json(path) {
  const [found, status] = await ask(path);
  if (status === 401) location.reload(); // the session has ended: the same address has the form for a token
  return found;
}
