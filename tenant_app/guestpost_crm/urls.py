"""Every address of the CRM but the API's, which guestpost_crm.integrations.addresses has besides."""

from django.urls import URLPattern, path

from guestpost_crm.accounts import factors, people
from guestpost_crm.accounts import views as accounts
from guestpost_crm.audit import views as audit
from guestpost_crm.gmail import views as gmail
from guestpost_crm.inbox import views as inbox
from guestpost_crm.integrations.urls import urlpatterns as integrations
from guestpost_crm.outreach.urls import urlpatterns as outreach
from guestpost_crm.privacy import views as privacy
from guestpost_crm.support import views as support
from guestpost_crm.usage import views as usage
from guestpost_crm.web import views as web
from guestpost_crm.writing import views as writing

pages: list[URLPattern] = [
    path("", inbox.inbox, name="inbox"),
    path("new-mail", inbox.new_mail, name="new-mail"),
    path("threads/<int:key>", inbox.thread, name="thread"),
    path("threads/<int:key>/reply", inbox.reply, name="reply"),
    path("threads/<int:key>/done", inbox.done, name="thread-done"),
    path("threads/<int:key>/follow-up", inbox.follow_up, name="thread-follow-up"),
    path("messages/<int:key>/body", inbox.body, name="message-body"),
    path("messages/<int:key>/text", inbox.text, name="message-text"),
    path("messages/<int:key>/reply", writing.write, {"kind": writing.REPLY}, name="message-reply"),
    path(
        "messages/<int:key>/reply-all", writing.write, {"kind": writing.REPLY_ALL}, name="message-reply-all"
    ),
    path("messages/<int:key>/forward", writing.write, {"kind": writing.FORWARD}, name="message-forward"),
    path("write", writing.write, name="write"),
    path("messages/<int:key>/raw", inbox.raw, name="message-raw"),
    path("messages/<int:key>/parts/<int:index>", inbox.part, name="message-part"),
    path("outbox", writing.waiting, name="outbox"),
    path("outbox/<uuid:key>", writing.decide, name="outbox-decide"),
    path("outbox/<uuid:key>/take-back", writing.take_back, name="outbox-take-back"),
    path("outbox/<uuid:key>/send-now", writing.send_now, name="outbox-send-now"),
    path("templates", writing.templates, name="templates"),
    path("templates/new", writing.template, name="template-new"),
    path("templates/<int:key>", writing.template, name="template"),
    path("templates/<int:key>/delete", writing.template_delete, name="template-delete"),
    path("templates/<int:key>/text", writing.template_text, name="template-text"),
    path("mailboxes", gmail.mailboxes, name="mailboxes"),
    path("mailboxes/<int:key>/look", gmail.look, name="mailbox-look"),
    path("mailboxes/connect", gmail.connect, name="mailbox-connect"),
    path("mailboxes/<int:key>/disconnect", gmail.disconnect, name="mailbox-disconnect"),
    path("data", privacy.data, name="data"),
    path("data/exports", privacy.request_export, name="export-request"),
    path("data/exports/<slug:name>/archive", privacy.archive, name="export-archive"),
    path("data/exports/<slug:name>/delete", privacy.delete_export, name="export-delete"),
    path("data/contact", privacy.change_contact, name="contact-change"),
    path("data/erasure", privacy.request_erasure, name="erasure-request"),
    path("data/erasure/take-back", privacy.take_erasure_back, name="erasure-take-back"),
    *outreach,
    *integrations,
    path("support", support.requests, name="support"),
    path("support/<int:key>", support.seen, name="support-seen"),
    path("support/<int:key>/decide", support.decide, name="support-decide"),
    path("support/<int:key>/end", support.revoke, name="support-end"),
    path("support/terminals/<int:key>", support.shell, name="support-shell"),
    path("policy", privacy.policy_shown, name="policy"),
    path("audit", audit.log, name="audit"),
    path("usage", usage.shown, name="usage"),
    path("team", people.members, name="team"),
    path("team/invitations", people.invite, name="invite"),
    path("team/invitations/<int:key>/withdraw", people.withdraw, name="invitation-withdraw"),
    path("team/<int:key>", people.change, name="member-change"),
    path("account", people.account, name="account"),
    path("account/sessions/<int:key>/end", people.end_session, name="session-end"),
    path("account/sessions/end", people.end_other_sessions, name="sessions-end"),
    path("sign-in", accounts.sign_in, name="sign-in"),
    path("sign-in/second-factor", factors.second_factor, name="second-factor"),
    path("account/second-factor", factors.set_up, name="second-factor-set-up"),
    path("account/second-factor/remove", factors.remove, name="second-factor-remove"),
    path("team/<int:key>/second-factor/reset", factors.reset, name="second-factor-reset"),
    path("sign-out", accounts.sign_out, name="sign-out"),
    path("oauth/callback", accounts.callback, name="oauth-callback"),
    path("about", web.about, name="about"),
    path("privacy", web.privacy, name="privacy"),
]
urlpatterns = pages

handler400 = "guestpost_crm.web.views.bad_request"
handler403 = "guestpost_crm.web.views.forbidden"
handler404 = "guestpost_crm.web.views.not_found"
handler500 = "guestpost_crm.web.views.failed"
