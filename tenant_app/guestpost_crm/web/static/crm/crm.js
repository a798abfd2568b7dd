// Small comforts; every page works without them.
"use strict";

// Tell of new mail without moving what is being read.
const body = document.body;
if (body.dataset.newestAddress) {
  const look = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(body.dataset.newestAddress, { headers: { Accept: "application/json", "X-Background": "1" } });
      if (!answer.ok) return;
      const { newest } = await answer.json();
      if (newest !== body.dataset.newest) {
        if (window.scrollY < 80 && !location.search.includes("after=")) location.reload();
        else document.querySelector(".fresh").hidden = false;
      }
    } catch { /* the line is down for a moment: the next look will tell */ }
  };
  setInterval(look, 4000);
}

// What goes on by itself is looked at again.
if (body.dataset.reload) setInterval(() => { if (!document.hidden) location.reload(); }, Number(body.dataset.reload));

// j and k move through the list, Enter opens, r replies, u goes back.
const rows = [...document.querySelectorAll(".threads a")];
const move = (step) => {
  const next = rows[Math.max(0, Math.min(rows.length - 1, rows.indexOf(document.activeElement) + step))];
  if (next) next.focus();
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(input|textarea|select)$/i.test(event.target.tagName)) return;
  if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "r") {
    const field = document.querySelector("#reply-form textarea");
    if (field) { event.preventDefault(); field.focus(); }
  } else if (event.key === "u") {
    const up = document.querySelector("a[rel=up]");
    if (up) up.click();
  }
});

// One click, one message.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
window.addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});
