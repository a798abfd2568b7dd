"""The other side: people, sites, niches, and what they tend to write."""

from __future__ import annotations

import random

from guestpost_demo.mailbox.model import Contact

_NAMES = (
    "Mira Holt", "Tom Ashby", "Priya Nair", "Luca Ferri", "Jonas Weber", "Amelia Stone", "Diego Ramos",
    "Sofia Lind", "Marek Nowak", "Elif Kaya", "Hana Mori", "Omar Haddad", "Chloe Martin", "Nils Berg",
    "Ruth Okafor", "Ivan Petrov", "Grace Liu", "Peter Kovacs", "Laura Conti", "Ben Turner", "Ana Silva",
    "Kate Murray", "Rafael Costa", "Ingrid Dahl", "Samir Khan", "Julia Roth", "Owen Price", "Nadia Benali",
)  # fmt: skip
_SITES = (
    ("gardening.example", "home and garden"), ("slowtravel.example", "travel"), ("saaspress.example", "SaaS"),
    ("moneywise.example", "personal finance"), ("runnersdaily.example", "running"), ("petnotes.example", "pets"),
    ("kitchentable.example", "food"), ("devletter.example", "programming"), ("hrbrief.example", "HR"),
    ("cyclinghub.example", "cycling"), ("mumstories.example", "parenting"), ("greenbuild.example", "architecture"),
    ("photowalks.example", "photography"), ("shopgrowth.example", "e-commerce"), ("cleanskin.example", "beauty"),
    ("sailingtimes.example", "sailing"), ("remotework.example", "remote work"), ("evweekly.example", "cars"),
)  # fmt: skip

PITCHES = (
    "I came across {site} while looking for thoughtful writing on {niche}. Do you accept guest posts?",
    "we are preparing a piece on {niche} with original numbers. Would {site} be open to publishing it?",
    "your readers seem to care about {niche} as much as ours. What are your terms for a contributed article?",
    "do you still take contributions on {site}? We have three ideas that would fit {niche}.",
)
IDEAS = (
    "what 200 answers told us", "a checklist that fits on one page", "mistakes that cost us a year",
    "how small teams do it", "the numbers nobody shows", "a beginner's map", "what changed this year",
)  # fmt: skip
OFFERS = (
    "Yes, we do. A do-follow link is {price} USD, marked as contributed, live within {days} days.",
    "We take one guest post a week. {price} USD, one link, 1,000 words at least; turnaround {days} days.",
    "Our rate is {price} USD for a permanent post in {niche}. No casino, no CBD, no loans, please.",
    "It is {price} USD a post, or {bundle} USD for three. DR 58, about 40,000 readers a month.",
)
COUNTERS = (
    "Thank you. Our budget for this one is {offer} USD. Would that work with one link in the second paragraph?",
    "That is a little above what we planned. Could you do {offer} USD if we send two posts this quarter?",
    "We like the site. Can we agree on {offer} USD, paid on the day that it is live?",
)
ANSWERS = (
    "{middle} USD and we have a deal. Please send the draft as a document.",
    "I can meet you at {middle} USD, valid until the end of the month.",
    "For two posts, {middle} USD each is fine. Send me the first draft when it is ready.",
)
AGREED = (
    "Agreed, {middle} USD. The draft is attached; the target is https://acme.example/guides and the anchor "
    "is “{anchor}”.",
    "Done at {middle} USD. Here is the draft. Please keep the link as it is: “{anchor}”.",
)
LIVE = (
    "It is live: https://{site}/contributed/{slug}. The invoice is attached.",
    "Published this morning at https://{site}/{slug}. Invoice for {middle} USD is in the attachment.",
)
CLOSING = (
    "Looks good, thank you. The payment went out today.",
    "Checked: link, anchor and index are fine. Paid a moment ago.",
    "Thank you! Could you change the picture to the one in our first mail? Paid already.",
)
ANCHORS = ("guest post pricing", "link building guide", "outreach templates", "editorial calendar")


def contacts(chance: random.Random) -> list[Contact]:
    """Everybody the desk writes with; some share a site."""
    found = []
    for number, name in enumerate(_NAMES):
        site, niche = _SITES[number % len(_SITES)]
        address = f"{name.split()[0].lower()}@{site}"
        found.append(Contact(name, address, site, niche, chance.randrange(60, 420, 10)))
    return found
