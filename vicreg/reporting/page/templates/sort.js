
"use strict";
// Every column heading becomes a button that sorts its table; without this script tables are as they are.
for (const table of document.querySelectorAll("table:not(.pictures)")) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  if (original.length < 2) continue;
  table.querySelectorAll("thead th").forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sort(table, original, heading, column));
  });
}

// A table that does not fit says so in its caption.
const watch = new ResizeObserver((entries) => {
  for (const { target } of entries) target.classList.toggle("cut", target.scrollWidth > target.clientWidth + 1);
});
document.querySelectorAll(".scroll").forEach((region) => watch.observe(region));

function sort(table, original, heading, column) {
  const numeric = heading.classList.contains("n");
  const order = numeric ? ["descending", "ascending", null] : ["ascending", "descending", null];
  const now = heading.getAttribute("aria-sort");
  const next = order[(order.indexOf(now) + 1) % 3];
  table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
  if (next) heading.setAttribute("aria-sort", next);
  const rows = next ? [...original].sort((a, b) => compare(a, b, column, numeric, next === "descending")) : original;
  table.tBodies[0].append(...rows);
}

function compare(a, b, column, numeric, descending) {
  const [x, y] = [a, b].map(({ cells }) => (numeric ? cells[column].dataset.sort : cells[column].textContent.toLowerCase()));
  if (!x || !y) return (x ? 0 : 1) - (y ? 0 : 1); // what is empty comes last
  const difference = numeric ? Number(x) - Number(y) : x.localeCompare(y);
  return descending ? -difference : difference;
}
