"""Everything else that lands in a desk's mailbox: newsletters, bounces, other languages, odd structures."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import format_datetime

from guestpost_demo.mailbox.files import PNG, pdf
from guestpost_demo.mailbox.model import POLICY, DemoMessage, compose, message_id

LANGUAGES = (
    ("Gastbeitrag auf gartenblick.example", "utf-8", "Jörg Müller <joerg@gartenblick.example>",
     "Guten Tag Frau Reyes,\n\ngern veröffentlichen wir Ihren Beitrag. Der Preis beträgt 180 € zzgl. MwSt.,\n"
     "die Veröffentlichung dauert etwa fünf Tage.\n\nMit freundlichen Grüßen\nJörg Müller\n"),
    ("Article invité : nos tarifs", "iso-8859-1", "Élodie Garçon <elodie@voyagedoux.example>",
     "Bonjour Anna,\n\nmerci pour votre proposition. Nous publions un article invité par semaine, à 150 EUR.\n"
     "Le lien est conservé au moins deux ans.\n\nBien à vous,\nÉlodie\n"),
    ("Colaboración en nuestro blog", "iso-8859-15", "Íñigo Peña <inigo@cocinafacil.example>",
     "Hola, Anna:\n\nAceptamos artículos de invitados. ¿Cuántas palabras tendría? Cobramos 95 € por enlace.\n\n"
     "Un saludo,\nÍñigo\n"),
    ("Wpis gościnny: oferta", "iso-8859-2", "Paweł Żak <pawel@biegacz.example>",
     "Dzień dobry,\n\nprzyjmujemy wpisy gościnne. Cena to 320 zł, publikacja w ciągu tygodnia.\n\nPozdrawiam,\nPaweł\n"),
    ("Konuk yazar başvurusu", "iso-8859-9", "Şule Yıldız <sule@yazilim.example>",
     "Merhaba Anna Hanım,\n\nyazınızı yayımlamak isteriz. Ücret 110 USD, bağlantı kalıcıdır.\n\nSaygılarımla,\nŞule\n"),
    ("寄稿記事の料金について", "iso-2022-jp", "森はな <hana@shashin.example>",
     "Anna様\n\nお問い合わせありがとうございます。寄稿記事の掲載料は一本二万円です。\n\n森はな\n"),
    ("عرض نشر مقال ضيف", "utf-8", "ليلى حداد <layla@safar.example>",
     "مرحبا آنا،\n\nنعم، ننشر مقالات الضيوف. السعر ١٣٠ دولارا، والنشر خلال ثلاثة أيام.\n\nتحياتي،\nليلى\n"),
    ("客座文章报价", "gb18030", "刘晨 <chen@kaifa.example>",
     "Anna 您好：\n\n我们接受客座文章，每篇 900 元，三天内发布，链接长期保留。\n\n刘晨\n"),
    ("Гостевая статья: условия", "koi8-r", "Иван Петров <ivan@moreplav.example>",
     "Здравствуйте, Анна!\n\nМы публикуем гостевые статьи. Стоимость - 100 долларов, срок - неделя.\n\nИван\n"),
)  # fmt: skip
_NEWS = (
    "Five outreach lines that still work", "Core update: what moved", "Pricing survey: the median post is 160 USD",
    "Anchors, honestly", "How editors read your pitch", "The follow-up nobody regrets",
)  # fmt: skip


def languages(chance: random.Random, owner: str, now: dt.datetime) -> Iterator[DemoMessage]:
    """Mail in nine languages and as many charsets."""
    for round_number in range(3):
        for number, (subject, charset, sender, text) in enumerate(LANGUAGES):
            date = now - dt.timedelta(days=5 + 40 * round_number + number, minutes=chance.randrange(600))
            domain = sender.rpartition("@")[2].rstrip(">")
            message = compose(
                sender=sender, to=owner, subject=subject, date=date, text=text, charset=charset,
                identifier=message_id(chance, domain),
            )  # fmt: skip
            yield DemoMessage(
                message.as_bytes(), date, ("INBOX", "UNREAD") if number % 3 else ("INBOX",), ("Clients",)
            )


def newsletters(chance: random.Random, owner: str, now: dt.datetime) -> Iterator[DemoMessage]:
    """HTML with pictures from elsewhere, and a way to unsubscribe."""
    for week in range(26):
        date = now - dt.timedelta(days=7 * week + 1, minutes=chance.randrange(300))
        title = _NEWS[week % len(_NEWS)]
        html = (
            f'<html><body style="background-color:#f3f4f6"><table width="600" align="center"><tr><td>'
            f'<img src="https://images.linkletter.example/{week}.png" width="600" alt="">'
            f"<h1>{title}</h1><p>This week: <b>numbers</b>, three templates and one honest failure.</p>"
            f'<p><a href="https://linkletter.example/issues/{week}">Read it in your browser</a></p>'
            f'<img src="https://track.linkletter.example/open/{week}.gif" width="1" height="1"></td></tr></table>'
        )
        message = compose(
            sender="The Link Letter <editor@linkletter.example>",
            to=owner,
            subject=f"{title} (issue {120 - week})",
            date=date,
            identifier=message_id(chance, "linkletter.example"),
            text=f"{title}\n\nRead it at https://linkletter.example/issues/{week}\n",
            html=html,
            headers=[
                ("List-Id", "The Link Letter <news.linkletter.example>"),
                ("List-Unsubscribe", "<https://linkletter.example/u/1>, <mailto:leave@linkletter.example>"),
            ],
        )
        yield DemoMessage(message.as_bytes(), date, ("INBOX", "CATEGORY_PROMOTIONS"))


def bounces(chance: random.Random, owner: str, now: dt.datetime) -> Iterator[DemoMessage]:
    """Delivery status notifications (RFC 3464)."""
    for number in range(8):
        date = now - dt.timedelta(days=11 * number + 2)
        lost = f"editor{number}@closed-{number}.example"
        boundary = f"bounce-{chance.getrandbits(40):010x}"
        raw = (
            f"From: Mail Delivery Subsystem <mailer-daemon@acme.example>\r\nTo: {owner}\r\n"
            f"Subject: Delivery Status Notification (Failure)\r\nDate: {format_datetime(date)}\r\n"
            f"Message-ID: {message_id(chance, 'acme.example')}\r\nMIME-Version: 1.0\r\n"
            f'Content-Type: multipart/report; report-type=delivery-status; boundary="{boundary}"\r\n\r\n'
            f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
            f"Your message to {lost} could not be delivered: the address was not found.\r\n"
            f"--{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n"
            f"Reporting-MTA: dns; acme.example\r\n\r\nFinal-Recipient: rfc822; {lost}\r\nAction: failed\r\n"
            f"Status: 5.1.1\r\n\r\n--{boundary}\r\nContent-Type: message/rfc822\r\n\r\n"
            f"From: {owner}\r\nTo: {lost}\r\nSubject: A guest post for you\r\n\r\nHello?\r\n\r\n--{boundary}--\r\n"
        )
        yield DemoMessage(raw.encode(), date, ("INBOX", "CATEGORY_UPDATES"))


def odd(chance: random.Random, owner: str, now: dt.datetime) -> Iterator[DemoMessage]:
    """Auto replies, invitations, forwarded and signed mail, pictures inside, spam."""
    for number in range(10):
        date = now - dt.timedelta(days=9 * number + 3)
        yield DemoMessage(_auto_reply(chance, owner, date, number).as_bytes(), date, ("INBOX",))
        yield DemoMessage(_with_logo(chance, owner, date, number).as_bytes(), date, ("INBOX", "UNREAD"))
        yield DemoMessage(_invoice(chance, owner, date, number).as_bytes(), date, ("INBOX",), ("Invoices",))
    date = now - dt.timedelta(days=4)
    yield DemoMessage(_invitation(chance, owner, date).as_bytes(), date, ("INBOX",))
    yield DemoMessage(_forwarded(chance, owner, date).as_bytes(), date, ("INBOX",))
    yield DemoMessage(_signed(chance, owner, date), date, ("INBOX",))
    for number in range(12):
        date = now - dt.timedelta(days=5 * number, hours=5)
        spam = compose(
            sender=f"Rank Booster <offers{number}@cheap-links.example>",
            to=owner,
            subject=f"{500 + 50 * number} backlinks for 9 USD!!! Limited",
            date=date,
            identifier=message_id(chance, "cheap-links.example"),
            text="DEAR WEBMASTER, number one in 24 hours guaranteed. Answer now.\n",
        )
        yield DemoMessage(spam.as_bytes(), date, ("SPAM",) if number % 3 else ("TRASH",))


def _auto_reply(chance: random.Random, owner: str, date: dt.datetime, number: int) -> EmailMessage:
    return compose(
        sender=f"Editor {number} <desk{number}@magazine.example>",
        to=owner,
        subject="Automatic reply: A guest post for you",
        date=date,
        identifier=message_id(chance, "magazine.example"),
        text=f"I am away until {date + dt.timedelta(days=7):%d %B} and will answer then.\n",
        headers=[("Auto-Submitted", "auto-replied"), ("Precedence", "bulk")],
    )


def _with_logo(chance: random.Random, owner: str, date: dt.datetime, number: int) -> EmailMessage:
    message = compose(
        sender=f"Studio {number} <hello@studio{number}.example>",
        to=owner,
        subject=f"Our media kit, version {number + 1}",
        date=date,
        identifier=message_id(chance, f"studio{number}.example"),
        text="Our media kit: see the HTML part.\n",
        html='<p><img src="cid:logo" alt="logo"> Prices begin at <b>120 USD</b>.</p>',
    )
    alternative = message.get_payload()[1]  # type: ignore[index]
    alternative.add_related(PNG, "image", "png", cid="<logo>")  # type: ignore[union-attr]
    return message


def _invoice(chance: random.Random, owner: str, date: dt.datetime, number: int) -> EmailMessage:
    message = compose(
        sender="Billing <billing@shopgrowth.example>",
        to=owner,
        subject=f"Invoice SG-{2100 + number}",
        date=date,
        identifier=message_id(chance, "shopgrowth.example"),
        text=f"Please find invoice SG-{2100 + number} over {140 + 10 * number} USD attached.\n",
    )
    lines = [f"Invoice SG-{2100 + number}", f"Amount: {140 + 10 * number} USD", "Thank you."]
    message.add_attachment(
        pdf(lines), maintype="application", subtype="pdf", filename=f"SG-{2100 + number}.pdf"
    )
    return message


def _invitation(chance: random.Random, owner: str, date: dt.datetime) -> EmailMessage:
    message = compose(
        sender="Grace Liu <grace@kitchentable.example>",
        to=owner,
        subject="Invitation: call about the spring series",
        date=date,
        identifier=message_id(chance, "kitchentable.example"),
        text="Shall we talk on Tuesday at ten?\n",
    )
    calendar = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:1@kitchentable.example\r\n"
        f"DTSTART:{date:%Y%m%d}T100000Z\r\nSUMMARY:Spring series\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    message.add_attachment(calendar, subtype="calendar", filename="invite.ics")
    return message


def _forwarded(chance: random.Random, owner: str, date: dt.datetime) -> EmailMessage:
    inner = compose(
        sender="Old Client <client@retired.example>",
        to="sales@acme.example",
        subject="Do you still place posts?",
        date=date - dt.timedelta(days=2),
        identifier=message_id(chance, "retired.example"),
        text="We would like ten more this year.\n",
    )
    message = compose(
        sender="Carla Diaz <carla@acme.example>",
        to=owner,
        subject="Fwd: Do you still place posts?",
        date=date,
        identifier=message_id(chance, "acme.example"),
        text="One for you, Anna.\n",
    )
    message.add_attachment(inner)
    return message


def _signed(chance: random.Random, owner: str, date: dt.datetime) -> bytes:
    text = EmailMessage(policy=POLICY)
    text.set_content("This contract is signed.\n")
    boundary = "signed-part"
    return (
        f"From: Legal <legal@moneywise.example>\r\nTo: {owner}\r\nSubject: Contract for the series\r\n"
        f"Date: {format_datetime(date)}\r\nMessage-ID: {message_id(chance, 'moneywise.example')}\r\n"
        f'MIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol="application/pkcs7-signature"; '
        f'micalg=sha-256; boundary="{boundary}"\r\n\r\n--{boundary}\r\n'
    ).encode() + text.as_bytes() + (
        f"\r\n--{boundary}\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\n"
        "Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=smime.p7s\r\n\r\n"
        f"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\r\n--{boundary}--\r\n"
    ).encode()  # fmt: skip
