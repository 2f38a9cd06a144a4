"use strict";
(() => {
  const body = document.querySelector("tbody");
  const rows = [...body.rows];
  const search = document.getElementById("search"), status = document.getElementById("status"),
    count = document.getElementById("count");

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = Boolean(status.value && row.dataset.status !== status.value)
        || !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    count.textContent = `${shown} of ${rows.length} models`;
  };
  search.addEventListener("input", filter);
  status.addEventListener("input", filter);

  const heads = [...document.querySelectorAll("thead th")];
  const sort = (column) => {
    const head = heads[column];
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => row.cells[column].dataset.key ?? row.cells[column].textContent.trim();
    const order = (a, b) => key(a).localeCompare(key(b), undefined, { numeric: true });
    rows.sort((a, b) => (down ? -1 : 1) * order(a, b));
    body.append(...rows);
  };
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => sort(column));
  });
  document.querySelector(".filters").hidden = false;
  filter();
})();
