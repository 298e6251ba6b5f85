"""How does a lead live: from its creation to a deal, a refusal or oblivion?"""

from hashlib import blake2b
from math import exp

from models.simulator.cast import CONTACT_CHANNELS, DISQUALIFIED, LeadSource
from models.simulator.deals import live_deal
from models.simulator.rhythm import MINUTE, SECOND
from models.simulator.scene import Scene

UNANSWERED_DAYS = 3.0
"""How long a lead that nobody answers stays on the list."""


def chance(logit: float) -> float:
    """The probability of a logit."""
    return 1 / (1 + exp(-logit))


def live_lead(
    scene: Scene, at: int, source: LeadSource, campaign: str, lead: str | None = None, *, asked_for_demo: bool = False
) -> None:
    """Draw a lead's whole life. Its chance grows with source, score, fit and with how soon it is answered."""
    random = scene.random
    lead = lead or scene.new_id("L")
    segment, product, rep = scene.segment(), scene.product(), scene.rep()
    variant = "B" if random.random() < 0.5 else "A"
    fit = random.gauss(0.0, 1.0)
    score = min(max(round(45 + 16 * fit + 9 * source.quality + 14 * asked_for_demo + random.gauss(0, 9)), 0), 100)
    digest = blake2b(lead.encode(), digest_size=8).hexdigest()
    scene.put(
        at,
        "lead.created",
        lead,
        {
            "source": source.name,
            "campaign": campaign,
            "product": product.name,
            "region": rep.region,
            "segment": segment.name,
            "owner": rep.name,
            "team": rep.team,
            "score": score,
            "email_hash": digest,
            "variant": variant,
        },
    )
    _mails(scene, at, lead, campaign)

    if random.random() < 0.06:
        # Nobody ever answers; who tidies the list takes it for dead after some days.
        scene.put(scene.later(at, UNANSWERED_DAYS), "lead.disqualified", lead, {"reason": DISQUALIFIED[0]})
        return
    hours = scene.spread(1.6 * rep.pace * (0.4 if asked_for_demo else 1.0), 0.9)
    contacted = scene.at_work(scene.later(at, hours / 24))
    contact = {"channel": random.choice(CONTACT_CHANNELS), "preparation_seconds": int(scene.spread(420 * rep.pace, 0.5))}
    if scene.details and contacted % 3 == 0 and contacted - at > 2 * MINUTE:
        scene.put(contacted - MINUTE, "lead.contact_attempted", lead, {"channel": contact["channel"]})
    scene.put(contacted, "lead.contacted", lead, contact)

    # An answer within two hours is worth one unit of logit more than one after two days.
    logit = 0.9 * fit + 0.8 * source.quality + 0.3 * rep.skill + 0.6 * asked_for_demo + segment.quality
    logit += 0.35 * (variant == "B") - min(hours / 30, 1.6)
    qualified = scene.at_work(scene.later(contacted, scene.spread(0.8, 0.7)))
    if random.random() > chance(logit + 0.9):
        if random.random() < 0.7:
            reason = {"reason": random.choice(DISQUALIFIED)}
            scene.put(scene.at_work(scene.later(qualified, scene.spread(4.0))), "lead.disqualified", lead, reason)
        return
    scene.put(qualified, "lead.qualified", lead, {"level": "mql"})
    if random.random() < 0.5:
        better = {"score": min(score + random.randrange(3, 15), 100)}
        scene.put(qualified + 20 * SECOND, "lead.updated", lead, better)
    if random.random() > chance(logit + 0.7):
        if random.random() < 0.5:
            reason = {"reason": random.choice(DISQUALIFIED)}
            scene.put(scene.at_work(scene.later(qualified, scene.spread(9.0))), "lead.disqualified", lead, reason)
        return
    accepted = scene.at_work(scene.later(qualified, scene.spread(2.4, 0.6)))
    bant = {name: random.random() < chance(logit + 0.4) for name in ("budget", "authority", "need", "timing")}
    scene.put(accepted, "lead.updated", lead, {"bant": bant})
    scene.put(accepted + SECOND, "lead.qualified", lead, {"level": "sql"})
    if random.random() > chance(logit + 1.0):
        return
    converted = scene.at_work(scene.later(accepted, scene.spread(1.8, 0.6)))
    deal, account = scene.new_id("D"), scene.new_id("A")
    scene.put(converted, "lead.converted", lead, {"deal_id": deal, "account_id": account})
    live_deal(
        scene,
        converted + SECOND,
        deal=deal,
        account=account,
        product=product,
        segment=segment,
        rep=rep,
        source=source,
        campaign=campaign,
        lead=lead,
        lead_at=at,
        variant=variant,
        warmth=0.4 * fit + 0.15 * sum(bant.values()) - 0.3,
    )


def _mails(scene: Scene, at: int, lead: str, campaign: str) -> None:
    """Three mails over two weeks, opened and followed by some."""
    random = scene.random
    sent = at
    for number in range(3):
        sent = scene.at_work(scene.later(sent, 0.02 if number == 0 else scene.spread(5.0, 0.3)))
        message = {"message_id": scene.new_id("M"), "lead_id": lead, "campaign": campaign, "channel": "email"}
        scene.put(sent, "email.sent", lead, message)
        if random.random() < 0.02:
            scene.put(sent + 5 * SECOND, "email.bounced", lead, message)
            return
        if scene.details and number == 2:  # some providers open what they deliver
            scene.put(sent + 2 * SECOND, "email.opened", lead, {**message, "machine": True})
        if random.random() < 0.42:
            opened = scene.later(sent, scene.spread(0.2, 1.0))
            scene.put(opened, "email.opened", lead, message)
            if random.random() < 0.2:
                scene.put(opened + 12 * SECOND, "email.clicked", lead, message)
