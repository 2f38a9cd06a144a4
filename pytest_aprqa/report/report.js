"use strict";
(() => {
  const items = [...document.querySelectorAll("details.item")];
  const field = (id) => document.getElementById(id);
  const search = field("search"), outcome = field("outcome"), category = field("category"),
    cell = field("cell"), count = field("count");

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const item of items) {
      const text = item.textContent.toLowerCase();
      const fits = (!outcome.value || item.dataset.outcome === outcome.value)
        && (!category.value || item.dataset.category === category.value)
        && (!cell.value || item.dataset.cell === cell.value)
        && words.every((word) => text.includes(word));
      item.hidden = !fits;
      shown += fits;
    }
    count.textContent = `${shown} of ${items.length} checks`;
  };
  for (const control of [search, outcome, category, cell]) {
    control.addEventListener("input", filter);
  }
  field("reset").addEventListener("click", () => {
    for (const control of [search, outcome, category, cell]) control.value = "";
    filter();
  });
  field("toggle").addEventListener("click", () => {
    const visible = items.filter((item) => !item.hidden);
    const open = !visible.every((item) => item.open);
    for (const item of visible) item.open = open;
  });

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = items.filter((item) => !item.open);
    for (const item of closed) item.open = true;
  });
  addEventListener("afterprint", () => {
    for (const item of closed) item.open = false;
  });
  document.querySelector(".filters").hidden = false;
  filter();
})();
