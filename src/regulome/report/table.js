"use strict";
const table = document.getElementById("table"), body = table.tBodies[0], rows = [...body.rows];
const heads = [...table.tHead.rows[0].cells], find = document.getElementById("find");
heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
  const number = head.classList.contains("number"), before = head.getAttribute("aria-sort");
  const down = before ? before === "ascending" : number && column > 0;
  heads.forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = (row) => { const cell = row.cells[column]; return number ? Number(cell.dataset.value) : cell.textContent; };
  const order = number ? (a, b) => key(a) - key(b) : (a, b) => key(a).localeCompare(key(b), "en", { numeric: true });
  rows.sort((a, b) => (down ? -1 : 1) * order(a, b));
  body.append(...rows);
}));
find.addEventListener("input", () => {
  const words = find.value.toLowerCase().split(/\s+/);
  let shown = 0;
  rows.forEach((row) => {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    shown += row.hidden ? 0 : 1;
  });
  document.getElementById("shown").textContent = find.value ? `${shown} of ${rows.length}` : "";
});
