"use strict";
/* The table of the report: sorting, searching, the keyboard, and panels that are built when they are opened. */
(() => {
  const table = document.getElementById("variants");
  const body = table.tBodies[0];
  const rows = Array.from(body.querySelectorAll("tr.variant"));
  const words = JSON.parse(document.getElementById("words").textContent);
  const search = document.getElementById("search");
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));

  /* An element with attributes, and children that are elements or text; text is never read as markup. */
  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  }

  const panelOf = (row) =>
    row.nextElementSibling && row.nextElementSibling.classList.contains("panel") ? row.nextElementSibling : null;
  const shown = () => rows.filter((row) => !row.hidden);

  function open(row) {
    if (panelOf(row)) return;
    const data = JSON.parse(document.getElementById("panel-" + row.dataset.panel).textContent);
    const cell = element("td", { colspan: row.cells.length, role: "gridcell" }, ...panel(data));
    row.after(element("tr", { class: "panel", role: "row", "aria-level": "2" }, cell));
    row.setAttribute("aria-expanded", "true");
  }

  function close(row) {
    const old = panelOf(row);
    if (old) old.remove();
    row.setAttribute("aria-expanded", "false");
  }

  const toggle = (row) => (panelOf(row) ? close(row) : open(row));

  function focus(row) {
    for (const other of rows) other.tabIndex = other === row ? 0 : -1;
    row.focus();
    row.scrollIntoView({ block: "nearest" });
  }

  /* What is said of one variant. */
  function panel(data) {
    const scene = data.scene;
    const parts = [];
    if (data.event) {
      const where = data.event_gene ? element("i", {}, data.event_gene) : "";
      parts.push(element("p", { class: "event" }, where, where ? ": " : "", data.event));
    }
    parts.push(...picturePart(scene));
    for (const note of scene.notes) parts.push(element("p", { class: "note" }, "In the picture " + note + "."));
    parts.push(element("h3", {}, "Effects"), effectsTable(data));
    const place = "Record " + data.record + ", ALT " + (data.alt_index + 1) + " of the input, both counted from " +
      "0 and 1. REF " + data.ref + ", ALT " + data.alt + ".";
    parts.push(element("p", { class: "note" }, place));
    return parts;
  }

  /* The picture, and buttons that move in it. */
  function picturePart(scene) {
    let view = scene.focus.slice();
    const holder = element("div");
    const place = element("span", { class: "place", "aria-live": "polite" });
    function draw() {
      holder.replaceChildren(window.drawPicture(scene, view));
      place.textContent = scene.chrom + ":" + (view[0] + 1).toLocaleString("en") + "–" +
        view[1].toLocaleString("en") + ", " + (view[1] - view[0]).toLocaleString("en") + " bp";
    }
    function look(start, width) {
      const [low, high] = scene.extent;
      width = Math.round(Math.min(high - low, Math.max(60, width)));
      start = Math.round(Math.min(high - width, Math.max(low, start)));
      view = [start, start + width];
      draw();
    }
    function zoom(factor) {
      const width = (view[1] - view[0]) * factor;
      look((view[0] + view[1] - width) / 2, width);
    }
    const shift = (share) => look(view[0] + share * (view[1] - view[0]), view[1] - view[0]);
    const near = (width) => look((scene.variant[0] + scene.variant[1] - width) / 2, width);
    const button = (text, label, act) => {
      const made = element("button", { type: "button", "aria-label": label, title: label }, text);
      made.addEventListener("click", act);
      return made;
    };
    const buttons = element("div", { class: "zoom", role: "group", "aria-label": "View of the picture" },
      button("+", "zoom in", () => zoom(0.5)),
      button("−", "zoom out", () => zoom(2)),
      button("◂", "move left", () => shift(-0.4)),
      button("▸", "move right", () => shift(0.4)),
      button("Variant", "200 bp around the variant", () => near(200)),
      button("Event", "the variant and what it changes", () => look(scene.focus[0], scene.focus[1] - scene.focus[0])),
      button("All", "all that was predicted", () => look(scene.extent[0], scene.extent[1] - scene.extent[0])),
      place);
    draw();
    return [buttons, holder];
  }

  function effectsTable(data) {
    const columns = ["Scorer", "Score", "Quantile", "Track", "Tissue", "Gene", "Place", "Row"];
    const used = {
      Quantile: data.effects.some((one) => one.quantile), Row: data.effects.some((one) => one.row !== undefined),
    };
    const kept = columns.filter((name) => used[name] !== false);
    const head = element("tr", {}, ...kept.map((name) => {
      const numeric = ["Score", "Quantile", "Row"].includes(name);
      return element("th", numeric ? { scope: "col", class: "number" } : { scope: "col" }, name);
    }));
    const lines = data.effects.map((one, index) => {
      const isNext = index > 0 && data.effects[index - 1].scorer === one.scorer;
      const cells = {
        Scorer: isNext ? element("td") : element("td", { class: "scorer" }, one.scorer,
          element("span", { class: "what" }, words[one.scorer] || "")),
        Score: element("td", { class: "number" }, signed(one, words)),
        Quantile: element("td", { class: "number" }, one.quantile || ""),
        Track: element("td", {}, one.track || "", one.strand && !one.track.endsWith(one.strand)
          ? " (" + one.strand + ")" : ""),
        Tissue: element("td", {}, one.tissue || "", one.term ? " " : "",
          one.term ? element("span", { class: "quiet" }, one.term) : ""),
        Gene: element("td", {}, element("i", {}, one.gene || ""), " ",
          element("span", { class: "quiet" }, one.gene_id && one.gene_id !== one.gene ? one.gene_id : "")),
        Place: element("td", {}, placeOf(one)),
        Row: element("td", { class: "number" }, one.row === undefined ? "" : String(one.row)),
      };
      return element("tr", { class: isNext ? "next" : "group" }, ...kept.map((name) => cells[name]));
    });
    const rest = Object.entries(data.more).map(([scorer, count]) => count + " more of " + scorer);
    const table = element("table", { class: "effects" }, element("thead", {}, head), element("tbody", {}, ...lines));
    return element("div", {}, table, element("p", { class: "note" },
      "Of each scorer and tissue the score largest in size. ",
      rest.length ? "Weaker tissues are not shown: " + rest.join(", ") + "." : ""));
  }

  const signed = (one) => one.text;

  function placeOf(one) {
    if (one.site1 !== undefined) return one.site1.toLocaleString("en");
    if (one.start0 !== undefined) {
      return "intron " + (one.start0 + 1).toLocaleString("en") + "–" + one.end0.toLocaleString("en");
    }
    return "";
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
      const order = x.text.localeCompare(y.text, "en", { numeric: true }) || x.number - y.number;
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
