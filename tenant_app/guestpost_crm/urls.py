"""Every address of the CRM."""

from django.urls import path

from guestpost_crm.accounts import people
from guestpost_crm.accounts import views as accounts
from guestpost_crm.audit import views as audit
from guestpost_crm.gmail import views as gmail
from guestpost_crm.inbox import views as inbox
from guestpost_crm.outreach.urls import urlpatterns as outreach
from guestpost_crm.privacy import views as privacy
from guestpost_crm.web import views as web

urlpatterns = [
    path("", inbox.inbox, name="inbox"),
    path("new-mail", inbox.new_mail, name="new-mail"),
    path("threads/<int:key>", inbox.thread, name="thread"),
    path("threads/<int:key>/reply", inbox.reply, name="reply"),
    path("messages/<int:key>/body", inbox.body, name="message-body"),
    path("messages/<int:key>/raw", inbox.raw, name="message-raw"),
    path("messages/<int:key>/parts/<int:index>", inbox.part, name="message-part"),
    path("outbox/<uuid:key>", inbox.decide, name="outbox-decide"),
    path("mailboxes", gmail.mailboxes, name="mailboxes"),
    path("mailboxes/connect", gmail.connect, name="mailbox-connect"),
    path("mailboxes/<int:key>/disconnect", gmail.disconnect, name="mailbox-disconnect"),
    path("data", privacy.data, name="data"),
    path("data/exports", privacy.request_export, name="export-request"),
    path("data/exports/<slug:name>/archive", privacy.archive, name="export-archive"),
    path("data/exports/<slug:name>/delete", privacy.delete_export, name="export-delete"),
    *outreach,
    path("policy", privacy.policy_shown, name="policy"),
    path("audit", audit.log, name="audit"),
    path("team", people.members, name="team"),
    path("team/invitations", people.invite, name="invite"),
    path("team/invitations/<int:key>/withdraw", people.withdraw, name="invitation-withdraw"),
    path("team/<int:key>", people.change, name="member-change"),
    path("account", people.account, name="account"),
    path("account/sessions/<int:key>/end", people.end_session, name="session-end"),
    path("account/sessions/end", people.end_other_sessions, name="sessions-end"),
    path("sign-in", accounts.sign_in, name="sign-in"),
    path("sign-out", accounts.sign_out, name="sign-out"),
    path("oauth/callback", accounts.callback, name="oauth-callback"),
    path("about", web.about, name="about"),
    path("privacy", web.privacy, name="privacy"),
]

handler400 = "guestpost_crm.web.views.bad_request"
handler403 = "guestpost_crm.web.views.forbidden"
handler404 = "guestpost_crm.web.views.not_found"
handler500 = "guestpost_crm.web.views.failed"
