// Mail by keyboard, times as the person's clock has them, templates inserted. Every page works without it.
"use strict";

const mailKeys = (() => { try { return localStorage.getItem("keys") !== "off"; } catch { return true; } })();
const typing = (target) => /^(input|textarea|select)$/i.test(target.tagName) || target.isContentEditable;
const shown = (name) => document.querySelector(`[data-key="${name}"]`);
const list = [...document.querySelectorAll(".threads a")];
const stops = list.length ? list : [...document.querySelectorAll("article.message")];
const step = (by) => {
  const here = stops.indexOf(document.activeElement.closest(".threads a, article.message"));
  const next = stops[Math.max(0, Math.min(stops.length - 1, here < 0 ? (by > 0 ? 0 : stops.length - 1) : here + by))];
  if (next) { next.focus(); next.scrollIntoView({ block: "nearest" }); }
};
const views = { i: "inbox", n: "unanswered", w: "waiting", d: "follow-up" };
const help = document.querySelector("dialog.keys");
let going = 0;

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.form && event.target.form.id === "reply-form") {
    event.preventDefault();
    event.target.form.requestSubmit(event.target.form.querySelector("button.primary"));
    return;
  }
  if (!mailKeys || event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || (help && help.open)) return;
  const key = event.key;
  if (going > Date.now() - 1500 && views[key]) { location.assign(`/?view=${views[key]}`); return; }
  going = 0;
  const act = {
    j: () => step(1), k: () => step(-1), g: () => { going = Date.now(); },
    o: () => { const here = document.activeElement.closest(".threads a"); if (here) here.click(); },
    u: () => { const up = document.querySelector("a[rel=up]"); if (up) up.click(); },
    r: () => { const field = document.querySelector("#reply-form textarea"); if (field) { field.focus(); field.scrollIntoView({ block: "center" }); } },
    "/": () => { const field = document.querySelector("[data-find]"); if (field) { field.focus(); field.select(); } else location.assign("/"); },
    "?": () => { if (help) help.showModal(); },
    h: () => { const field = shown("h"); if (field) field.focus(); },
  }[key] || (shown(key) && (() => shown(key).click()));
  if (act && !event.defaultPrevented) { event.preventDefault(); act(); }
});
if (help) {
  const opener = document.querySelector("[data-keys]");
  if (opener) opener.addEventListener("click", () => help.showModal());
  const off = help.querySelector("[data-keys-off]");
  off.checked = !mailKeys;
  off.addEventListener("change", () => { try { localStorage.setItem("keys", off.checked ? "off" : "on"); } catch { /* it holds for this page */ } location.reload(); });
}

// Times by the person's own clock; the server says them in UTC.
const today = new Date().toDateString();
for (const time of document.querySelectorAll("time[data-local]")) {
  const at = new Date(time.dateTime);
  const options = time.dataset.local === "full" ? { dateStyle: "medium", timeStyle: "short" }
    : at.toDateString() === today ? { timeStyle: "short" }
    : at.getFullYear() === new Date().getFullYear() ? { day: "numeric", month: "short" } : { month: "short", year: "numeric" };
  time.title = at.toLocaleString();
  time.textContent = at.toLocaleString(document.documentElement.lang || undefined, options);
}
for (const field of document.querySelectorAll("input[name=zone]")) field.value ||= Intl.DateTimeFormat().resolvedOptions().timeZone || "";
for (const field of document.querySelectorAll("select[data-submit]")) field.addEventListener("change", () => field.form.requestSubmit());

// Too many files are told before they are sent: a form that the server does not read can't be shown again.
for (const field of document.querySelectorAll("input[type=file][data-most]")) {
  field.addEventListener("change", () => {
    const size = [...field.files].reduce((sum, file) => sum + file.size, 0);
    field.setCustomValidity(size > Number(field.dataset.most) ? field.dataset.tooLarge : "");
    field.reportValidity();
  });
}

// A template goes where the cursor is; chosen files stay chosen.
for (const field of document.querySelectorAll("#reply-form select[name=template]")) {
  field.addEventListener("change", async () => {
    if (!field.value) return;
    const form = field.form;
    const query = new URLSearchParams({ answers: form.elements.answers.value, to: form.elements.to.value });
    try {
      const answer = await fetch(`/templates/${field.value}/text?${query}`, { headers: { Accept: "application/json" } });
      if (!answer.ok) return;
      const { subject, body: text } = await answer.json();
      const area = form.elements.body;
      area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
      if (form.elements.subject && !form.elements.subject.value) form.elements.subject.value = subject;
      area.focus();
    } catch { /* the line is down for a moment: choosing it again tries again */ }
  });
}
