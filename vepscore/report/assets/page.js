"use strict";
/* The table of the report: sorting, searching, the keyboard, and panels, which are built when they are first opened. */
(() => {
  const table = document.getElementById("variants");
  const body = table.tBodies[0];
  const rows = Array.from(body.querySelectorAll("tr.variant"));
  const search = document.getElementById("search");
  const collator = new Intl.Collator("en", { numeric: true });
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));

  const panelOf = (row) =>
    row.nextElementSibling && row.nextElementSibling.classList.contains("panel") ? row.nextElementSibling : null;
  const shown = () => rows.filter((row) => !row.hidden);

  async function open(row) {
    if (row.getAttribute("aria-expanded") === "true") return;
    row.setAttribute("aria-expanded", "true");
    const packed = document.getElementById("panel-" + row.dataset.panel).textContent;
    const panel = await window.buildPanel(packed, row.cells.length);
    if (row.getAttribute("aria-expanded") !== "true" || panelOf(row)) return; // closed, or opened again, meanwhile
    panel.hidden = row.hidden;
    row.after(panel);
  }

  function close(row) {
    const old = panelOf(row);
    if (old) old.remove();
    row.setAttribute("aria-expanded", "false");
  }

  const toggle = (row) => (row.getAttribute("aria-expanded") === "true" ? close(row) : open(row));

  function focus(row) {
    for (const other of rows) other.tabIndex = other === row ? 0 : -1;
    row.focus();
    row.scrollIntoView({ block: "nearest" });
  }

  function sort(button) {
    const column = Array.from(table.tHead.rows[0].cells).indexOf(button.closest("th"));
    const head = table.tHead.rows[0].cells[column];
    const isSize = button.dataset.key === "value" || button.dataset.key === "quantile";
    const old = head.getAttribute("aria-sort");
    const way = old === "none" ? (isSize ? "descending" : "ascending") : old === "ascending" ? "descending" : "ascending";
    for (const cell of table.tHead.rows[0].cells) cell.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", way);
    const keys = new Map(rows.map((row) => {
      const cell = row.cells[column];
      const number = cell.dataset.n === undefined || cell.dataset.n === "" ? -Infinity : Number(cell.dataset.n);
      const text = cell.dataset.n === undefined ? cell.textContent : cell.dataset.t || "";
      return [row, { text, number }];
    }));
    const compare = (a, b) => {
      const [x, y] = [keys.get(a), keys.get(b)];
      const order = collator.compare(x.text, y.text) || x.number - y.number;
      return (way === "ascending" ? order : -order) || Number(a.dataset.panel) - Number(b.dataset.panel);
    };
    const panels = new Map(rows.map((row) => [row, panelOf(row)]));
    rows.sort(compare);
    const pieces = document.createDocumentFragment();
    for (const row of rows) pieces.append(row, ...(panels.get(row) ? [panels.get(row)] : []));
    body.append(pieces);
  }

  function filter() {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      row.hidden = !wanted.every((word) => texts.get(row).includes(word));
      const own = panelOf(row);
      if (own) own.hidden = row.hidden;
    }
    const left = shown();
    document.getElementById("none").hidden = left.length > 0;
    document.getElementById("count").textContent = wanted.length ? left.length + " of " + rows.length : "";
    if (left.length && !left.some((row) => row.tabIndex === 0)) {
      for (const row of rows) row.tabIndex = row === left[0] ? 0 : -1;
    }
  }

  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr.variant");
    if (row && window.getSelection().isCollapsed) {
      focus(row);
      toggle(row);
    }
  });
  body.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const inPanel = event.target.closest("tr.panel");
    if (inPanel) {
      if (event.key === "Escape") {
        const row = inPanel.previousElementSibling;
        close(row);
        focus(row);
      }
      return;
    }
    const row = event.target;
    const visible = shown();
    const index = visible.indexOf(row);
    const acts = {
      Enter: () => toggle(row),
      " ": () => toggle(row),
      ArrowRight: () => open(row),
      ArrowLeft: () => close(row),
      Escape: () => close(row),
      ArrowDown: () => focus(visible[Math.min(index + 1, visible.length - 1)]),
      ArrowUp: () => focus(visible[Math.max(index - 1, 0)]),
      Home: () => focus(visible[0]),
      End: () => focus(visible[visible.length - 1]),
    };
    if (index >= 0 && acts[event.key]) {
      event.preventDefault();
      acts[event.key]();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && event.target !== search && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      search.focus();
    }
  });
  search.addEventListener("keydown", (event) => {
    const first = shown()[0];
    if (event.key === "ArrowDown" && first) {
      event.preventDefault();
      focus(first);
    } else if (event.key === "Escape") {
      search.value = "";
      filter();
    }
  });
  search.addEventListener("input", filter);
  for (const button of table.tHead.querySelectorAll("button")) button.addEventListener("click", () => sort(button));
  document.getElementById("open-all").addEventListener("click", () => shown().forEach(open));
  document.getElementById("close-all").addEventListener("click", () => rows.forEach(close));
  document.documentElement.dataset.ready = "true";
})();
