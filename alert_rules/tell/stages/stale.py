"""Has a sender gone silent that this alert's figures depend on? "No sales" is not "no webhook"."""

from alert_rules.records.facts import AlertFacts
from alert_rules.tell.stages.suppression import Suppression
from alert_rules.words.inert import inert


class Stale:
    """The alerts on silent senders that fire, with the topics of events that each sender feeds."""

    def __init__(self) -> None:
        self._silent: dict[str, tuple[frozenset[str], str, str]] = {}  # by incident: topics, sender, since when

    def __bool__(self) -> bool:
        """Whether any sender is silent."""
        return bool(self._silent)

    def stand(self, incident: str, alert: AlertFacts) -> None:
        """Hear that an alert fires."""
        sender = (alert.segment or {}).get("sender")
        facts = (alert.against or {}).get("entity") or {}
        if sender is not None and alert.condition == "entity":
            feeds = frozenset(filter(None, str(facts.get("feeds") or "").split(", ")))
            self._silent[incident] = feeds, sender, str(facts.get("last") or alert.since)

    def end(self, incident: str) -> None:
        """Hear that an alert does not fire any more."""
        self._silent.pop(incident, None)

    def suppression(self, alert: AlertFacts) -> Suppression | None:
        """Return why an alert is inhibited, None where none of its figures depends on a silent sender."""
        depends = alert.depends or ()
        for incident, (feeds, sender, last) in self._silent.items():
            common = sorted(feeds.intersection(depends))
            if common:
                words = f"{inert(sender)}, which feeds {', '.join(common)}, has been silent since {last}"
                return Suppression("inhibit", f"{words}: incident {incident}")
        return None
