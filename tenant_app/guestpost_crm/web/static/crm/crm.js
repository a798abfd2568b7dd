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

// Where we are is in sight, however narrow the strip; a menu closes by Escape and by a click elsewhere.
const here = document.querySelector(".strip [aria-current]");
if (here) here.parentElement.scrollLeft = here.offsetLeft - (here.parentElement.clientWidth - here.offsetWidth) / 2;
const closeMenus = (but) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (menu !== but) menu.open = false;
};
document.addEventListener("click", (event) => closeMenus(event.target.closest("details.menu")));
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.activeElement.closest("details.menu[open]");
  if (menu) menu.querySelector("summary").focus();
  if (event.key === "Escape") closeMenus(null);
});
