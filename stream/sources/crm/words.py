"""What do the words of a CRM's fixed lists mean, whatever their language, case and accents?

English, French, German, Spanish, Portuguese, Italian and Dutch. A label is known as a whole or not at all: "Won back" is no win.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Literal

Outcome = Literal["open", "won", "lost", "deleted"]

_SUFFIX = re.compile(r"\s*\(([^()]*)\)\s*$")
#: What may stand beside a word that says how a deal ended: "Fermé - gagné", "Abgeschlossen (gewonnen)", "Negócio ganho".
_BESIDE = frozenset(
    "closed close deal deals opportunity opportunities and in status "
    "ferme fermee fermes fermees cloture cloturee clos close conclu conclue affaire affaires transaction vente opportunite et en "
    "geschlossen abgeschlossen abschluss geschaft auftrag und verkaufschance "
    "cerrado cerrada cierre negocio trato venta oportunidad y en "
    "fechado fechada fechamento negocio venda oportunidade e em "
    "chiuso chiusa affare trattativa vendita opportunita e in "
    "gesloten afgesloten verkoopkans en".split()
)
_WORDS: Mapping[Outcome, str] = {
    "won": "won gagne gagnee gagnes gagnees gewonnen ganado ganada ganados ganadas ganho ganha ganhos ganhas vinto vinta",
    "lost": "lost perdu perdue perdus perdues verloren perdido perdida perdidos perdidas perso persa",
    "open": "open ouvert ouverte cours offen bearbeitung abierto abierta curso aberto aberta andamento aperto aperta corso "
    "openstaand behandeling",
    "deleted": "deleted supprime supprimee geloscht eliminado eliminada excluido excluida eliminato eliminata verwijderd",
}
_OUTCOMES: Mapping[str, Outcome] = {word: outcome for outcome, words in _WORDS.items() for word in words.split()}
_YES = frozenset("true yes y 1 vrai oui wahr ja verdadero si verdadeiro sim vero waar x".split())
_NO = frozenset("false no n 0 faux non falsch nein falso nao onwaar nee".split())


def plain(text: str) -> str:
    """Return a label in lower case, without accents, its punctuation as single spaces."""
    signs = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(sign if sign.isalnum() else " " for sign in signs if not unicodedata.combining(sign)).split())


def without_suffix(label: str) -> tuple[str, str | None]:
    """Return a label without what stands in parentheses at its end ("Closed won (Sales Pipeline)"), and that."""
    found = _SUFFIX.search(label)
    return (label, None) if found is None else (label[: found.start()], found[1])


def outcome(label: str) -> Outcome | None:
    """Return how a deal ended, or that it is open or deleted, by a label; None where the words do not say."""
    words = plain(label).split()
    said = {_OUTCOMES[word] for word in words if word in _OUTCOMES}
    if len(said) == 1 and all(word in _OUTCOMES or word in _BESIDE for word in words):
        return said.pop()
    return None


def flag(value: object) -> bool | None:
    """Return whether a flag of JSON or a yes-or-no cell says yes; None for what says neither. Empty and absent are no."""
    if value is None or isinstance(value, bool):
        return value is True
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int):
        return None
    word = plain(str(value))
    return True if word in _YES else False if word in _NO or not str(value).strip() else None


# -- steps of leads ---------------------------------------------------------------------------------------------------

_SALES = frozenset("sales vente ventes vertrieb vertriebs ventas vendas vendite verkoop commercial commerciale comercial".split())
_QUALIFIED = re.compile(r"qualif|calificad|cualificad|gekwalificeerd")
_STAGES = {
    "subscriber": "subscriber abonne abonnent suscriptor assinante iscritto abonnee",
    "lead": "lead prospect",
    "opportunity": "opportunity opportunite verkaufschance oportunidad oportunidade opportunita verkoopkans kans",
    "customer": "customer client kunde cliente klant",
    "evangelist": "evangelist evangeliste ambassadeur evangelista",
    "other": "other autre andere sonstiges otro outro altro anders",
}
_LIFECYCLE = {word: stage for stage, words in _STAGES.items() for word in words.split()}


def lifecycle(label: str) -> str | None:
    """Return the id of HubSpot's own life-cycle stage with this label; None for another one."""
    words = plain(label)
    if words.replace(" ", "") in ("marketingqualifiedlead", "salesqualifiedlead", *_STAGES):
        return words.replace(" ", "")
    if _QUALIFIED.search(words):
        if "marketing" in words:
            return "marketingqualifiedlead"
        return "salesqualifiedlead" if _SALES & set(words.split()) else None
    return _LIFECYCLE.get(words)


#: HubSpot's own lead statuses, by their labels.
_STATUSES = {
    "NEW": "new/nouveau/neu/nuevo/novo/nuovo/nieuw",
    "OPEN": "open/ouvert/offen/abierto/aberto/aperto",
    "IN_PROGRESS": "in progress/en cours/in bearbeitung/en curso/en progreso/em andamento/em progresso/in corso/in behandeling",
    "OPEN_DEAL": "open deal/transaction ouverte/affaire ouverte/offener deal/negocio abierto/negocio aberto/trattativa aperta",
    "UNQUALIFIED": (
        "unqualified/non qualifie/nicht qualifiziert/unqualifiziert/no calificado/no cualificado/sin calificar/nao qualificado/"
        "desqualificado/non qualificato/niet gekwalificeerd"
    ),
    "ATTEMPTED_TO_CONTACT": (
        "attempted to contact/tentative de contact/kontaktversuch/intento de contacto/tentativa de contato/tentativo di contatto"
    ),
    "CONNECTED": "connected/contacted/connecte/contacte/verbunden/kontaktiert/conectado/contactado/contatado/connesso/contattato"
    "/verbonden/gecontacteerd",
    "BAD_TIMING": "bad timing/mauvais moment/schlechter zeitpunkt/mal momento/momento ruim/momento sbagliato",
}
_LEAD_STATUSES = {label: id for id, labels in _STATUSES.items() for label in labels.split("/")}


def lead_status(label: str) -> str | None:
    """Return the id of HubSpot's own lead status with this label; None for another one."""
    return _LEAD_STATUSES.get(plain(label))
