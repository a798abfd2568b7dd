// The board by mouse and keyboard, "/" to search, sites suggested while typing. Every page works without it.
"use strict";
document.documentElement.classList.add("js");

// Moving a card is sending its own form: what the server refuses is told by the page that comes back.
const board = document.querySelector("[data-board]");
const moves = document.querySelector("[data-moves]");
const stageOf = (tile) => tile.closest(".column").dataset.stage;
const send = (tile, stage) => {
  if (stageOf(tile) === stage || moves.dataset.sent) return;
  const move = document.createElement("input");
  move.type = "hidden";
  move.name = "move";
  move.value = `${tile.dataset.order}.${stageOf(tile)}.${stage}`;
  moves.append(move);
  keepPlace(tile);
  moves.requestSubmit();
};
const keepPlace = (tile) => sessionStorage.setItem("board", JSON.stringify({ left: board.scrollLeft, top: window.scrollY, order: tile.dataset.order }));
if (board) {
  let dragged = null;
  const columns = [...board.querySelectorAll("[data-stage].column")];
  for (const tile of board.querySelectorAll(".tile")) {
    if (!tile.querySelector("button")) continue;
    for (const button of tile.querySelectorAll("button")) button.addEventListener("click", () => keepPlace(tile));
    tile.draggable = true;
    tile.addEventListener("dragstart", (event) => {
      dragged = tile;
      tile.classList.add("dragged");
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", tile.dataset.order);
    });
    tile.addEventListener("dragend", () => {
      dragged = null;
      tile.classList.remove("dragged");
      for (const column of columns) column.classList.remove("over");
    });
    tile.addEventListener("keydown", (event) => {
      if (!event.shiftKey || !/^Arrow(Left|Right)$/.test(event.key)) return;
      const buttons = [...tile.querySelectorAll("button")];
      const button = event.key === "ArrowRight" ? buttons.at(-1) : buttons.length > 1 ? buttons[0] : null;
      if (button) { event.preventDefault(); button.click(); }
    });
  }
  for (const column of columns) {
    column.addEventListener("dragover", (event) => {
      if (!dragged) return;
      event.preventDefault();
      for (const each of columns) each.classList.toggle("over", each === column);
    });
    column.addEventListener("drop", (event) => {
      if (!dragged) return;
      event.preventDefault();
      send(dragged, column.dataset.stage);
    });
  }
  // The page that comes back stands where the old one stood, on the card that was moved.
  const before = JSON.parse(sessionStorage.getItem("board") || "null");
  sessionStorage.removeItem("board");
  if (before) {
    board.scrollLeft = before.left;
    window.scrollTo(0, before.top);
    const tile = board.querySelector(`[data-order="${Number(before.order)}"] a`);
    if (tile) tile.focus({ preventScroll: true });
  }
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || /^(input|textarea|select)$/i.test(event.target.tagName)) return;
  const field = document.querySelector("[data-find]");
  if (field) { event.preventDefault(); field.focus(); field.select(); }
});

// Domains that begin like what is typed.
const known = document.querySelector("datalist[data-known]");
if (known) {
  let waiting = 0;
  for (const field of document.querySelectorAll("input[list=known-sites]")) {
    field.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(async () => {
        if (field.value.length < 2) return;
        try {
          const answer = await fetch(`${known.dataset.known}?q=${encodeURIComponent(field.value)}`);
          if (answer.ok) known.innerHTML = await answer.text();
        } catch { /* the line is down for a moment: typing goes on */ }
      }, 200);
    });
  }
}
