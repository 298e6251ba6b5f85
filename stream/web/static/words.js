// What the page says, in two languages, and how it writes numbers. Text goes in as text only, never as HTML.

export const TEXT = {
  en: {
    skip: "Skip to the figures", motto: "the watch on your sales", window: "Window", language: "Language", alerts: "Alerts",
    waiting: "Waiting for the first figures…", by: "By {0}", by_hint: "who and where", dimension: "Dimension", metrics: "metrics", health: "health",
    live: "live · updated {0} ago", restoring: "restoring · the last known figures", reconnecting: "reconnecting…", connecting: "connecting…",
    full: "too many pages are open; trying again", calm: "All quiet: no alert.", none: "no value yet", of: "{0} of {1}", partial: "counted from {0} on", n: "n = {0}",
    between: "95 % between {0} and {1}", over: "over {0}", since: "since {0}", fromto: "{0} to now", rows: "No figures by {0} in this window.",
    said_live: "Live again.", said_lost: "Connection lost, reconnecting.", said_alert: "Alert: {0}", segment: "Segment", more: "{0} more not shown",
    fire: { one: "{0} alert", other: "{0} alerts" }, grave: "{0} critical", pending: { one: "{0} may follow", other: "{0} may follow" }, care: "in {0}'s hands", cared: "{0} in hand",
    elsewhere: "The alerts are in another worker's hands, or being read back.", acknowledge: "Acknowledge", acknowledge_all: "Acknowledge all {0}", unacknowledge: "Take it back",
    beyond: "{0} more not listed here", loading: "…", gone: "That alert has ended.", wait: "Sending…", sent: "Sent; it shows here in a moment.",
    facts: { value: "Value", limit: "Limit", before: "Period before", total: "Over everything", target: "Target", moved: "Moved by {0}", behind: "Behind it", ends: "Ends", care: "In hand", told: "Told", held: "Not told", runbook: "What to do", window: "Over" },
    above: "above {0}", below: "below {0}", since_then: "{0}, so {1}", due: "{0} by {1}, {2} due by now", taken: "by {0}, since {1}", others: "{0} others",
    token_title: "Who are you?", token_text: "An operator's token (web.operators in the settings), or this instance's own (vigie up says where it is). It is kept until this tab is closed.", token: "Token", go: "Acknowledge", cancel: "Cancel",
    windows: { "1h": "1 h", "24h": "24 h", "7d": "7 d", "30d": "30 d", "90d": "90 d", day: "Today", week: "Week", month: "Month", quarter: "Quarter", year: "Year" },
    stages: {
      attention: ["Attention", "they see us"], interest: ["Interest", "they look closer"], desire: ["Desire", "they ask"],
      action: ["Action", "they sign"], pipeline: ["Pipeline", "what is under way"], economics: ["Economics", "what it costs"],
      loyalty: ["Loyalty", "they stay"], people: ["People", "the crew"], foresight: ["Foresight", "the weather ahead"], other: ["More", ""],
    },
    dimensions: { source: "Source", owner: "Owner", team: "Team", stage: "Stage", product: "Product", region: "Region", segment: "Segment", campaign: "Campaign", variant: "Variant", category: "Category", market: "Market" },
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
    fire: { one: "{0} alerte", other: "{0} alertes" }, grave: { one: "{0} critique", other: "{0} critiques" }, pending: { one: "{0} possible", other: "{0} possibles" }, care: "prise en charge par {0}", cared: { one: "{0} prise en charge", other: "{0} prises en charge" },
    elsewhere: "Les alertes sont chez un autre processus, ou en cours de lecture.", acknowledge: "Prendre en charge", acknowledge_all: "Prendre en charge les {0}", unacknowledge: "Rendre",
    beyond: "{0} de plus, non listées", loading: "…", gone: "Cette alerte est terminée.", wait: "Envoi…", sent: "Envoyé ; cela s’affiche ici dans un instant.",
    facts: { value: "Valeur", limit: "Seuil", before: "Période précédente", total: "Sur l’ensemble", target: "Objectif", moved: "Selon {0}", behind: "En cause", ends: "Fin", care: "En charge", told: "Prévenus", held: "Non prévenus", runbook: "Que faire", window: "Sur" },
    above: "au-dessus de {0}", below: "au-dessous de {0}", since_then: "{0}, soit {1}", due: "{0} d’ici le {1}, {2} attendus à ce jour", taken: "par {0}, depuis le {1}", others: "{0} autres",
    token_title: "Qui êtes-vous ?", token_text: "Le jeton d’un opérateur (web.operators dans les réglages), ou celui de cette instance (vigie up dit où il est). Il est gardé jusqu’à la fermeture de l’onglet.", token: "Jeton", go: "Prendre en charge", cancel: "Annuler",
    windows: { "1h": "1 h", "24h": "24 h", "7d": "7 j", "30d": "30 j", "90d": "90 j", day: "Jour", week: "Semaine", month: "Mois", quarter: "Trimestre", year: "Année" },
    stages: {
      attention: ["Attention", "ils nous voient"], interest: ["Intérêt", "ils regardent de près"], desire: ["Désir", "ils demandent"],
      action: ["Action", "ils signent"], pipeline: ["Pipeline", "ce qui est en cours"], economics: ["Économie", "ce que cela coûte"],
      loyalty: ["Fidélité", "ils restent"], people: ["Équipage", "ceux qui vendent"], foresight: ["Horizon", "le temps qu’il fera"], other: ["Divers", ""],
    },
    dimensions: { source: "Source", owner: "Vendeur", team: "Équipe", stage: "Étape", product: "Produit", region: "Région", segment: "Segment", campaign: "Campagne", variant: "Variante", category: "Catégorie", market: "Marché" },
    states: { firing: "active", pending: "en attente", recovering: "en rémission", resolved: "résolue" },
    severities: { warn: "attention", warning: "attention", critical: "critique" }, units: { d: "j", h: "h", min: "min", s: "s" }, pts: "pts",
  },
};
export let lang = "en";
export let catalogue = { kpis: [], windows: [], dimensions: [], currency: "EUR", timezone: "UTC", instance: "" };
export function speakIn(language) { lang = TEXT[language] ? language : "en"; }
export function know(found) { catalogue = found; }

export function t(key, ...values) {
  let text = TEXT[lang][key] ?? key;
  if (typeof text === "object") text = text[new Intl.PluralRules(lang).select(values[0])] ?? text.other;
  return fill(text, ...values);
}
export const fill = (text, ...values) => text.replace(/\{(\d)\}/g, (_, i) => values[i]);
export const named = (group, key) => TEXT[lang][group]?.[key] ?? key;
export function make(tag, attributes = {}, ...children) {
  const node = tag.startsWith("svg:") ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4)) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== undefined) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
// Times are the business's, like the days the windows are cut by.
export const moment = (iso, style) => new Date(iso).toLocaleString(lang, { dateStyle: style, timeStyle: "short", timeZone: catalogue.timezone });
export const number = (value, options) => new Intl.NumberFormat(lang, options).format(value);

/** Return [text, unit] of a value in its KPI's unit. */
export function figure(value, unit) {
  switch (unit) {
    case "ratio": return [number(value, { style: "percent", maximumFractionDigits: Math.abs(value) < 0.1 ? 2 : 1 }), ""];
    case "money": return [number(value, { style: "currency", currency: catalogue.currency, notation: Math.abs(value) >= 1e6 ? "compact" : "standard", ...cents(value) }), ""];
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
  const u = TEXT[lang].units, abs = Math.abs(seconds);
  if (abs < 90) return [number(seconds, { maximumFractionDigits: abs < 10 ? 1 : 0 }), u.s];
  if (abs < 5400) return [number(seconds / 60, { maximumFractionDigits: 1 }), u.min];
  if (abs < 172800) return [number(seconds / 3600, { maximumFractionDigits: 1 }), u.h];
  return [number(seconds / 86400, { maximumFractionDigits: 1 }), u.d];
}
export async function json(path) {
  try {
    const answer = await fetch(path);
    if (answer.status === 401) location.reload(); // the session has ended: the same address has the form for a token
    return answer.ok ? await answer.json() : null;
  } catch { return null; }
}
export const whole = (value, unit) => figure(value, unit).filter(Boolean).join(" ");

