"use strict";
/* The panel of one variant, from the JSON that vepscore/report/packing.py has made. */
(() => {
  const shared = JSON.parse(document.getElementById("shared").textContent);
  const CLASSES = ["donor+", "acceptor+", "donor-", "acceptor-"];
  const FIELDS = ["scorer", "text", "quantile", "track", "strand", "tissue", "term", "gene", "gene_id", "row", "site1",
    "start", "end0"];
  const NUMBERED = new Set(["scorer", "track", "strand", "tissue", "term", "gene", "gene_id"]);

  /* An element with attributes, and children that are elements or text; text is never read as markup. */
  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  }

  function unpackEffect(packed) {
    const effect = {};
    FIELDS.forEach((field, index) => {
      const value = packed[index] || 0;
      effect[field] = NUMBERED.has(field) ? shared.names[value] : value;
    });
    return effect;
  }

  function unpackScene(scene) {
    scene.junctions = scene.junctions.map(unpackEffect);
    scene.sites = scene.sites.map(([kind, from, reference, alternate]) => ({
      kind: CLASSES[kind].slice(0, -1), strand: CLASSES[kind].slice(-1), pos0: scene.extent[0] + from,
      reference: reference / 1000, alternate: alternate / 1000,
    }));
    for (const one of scene.profiles) {
      for (const allele of ["reference", "alternate"]) one[allele] = one[allele].map((part) => part / 1000 * one.top);
    }
    return scene;
  }

  /* The row of the table that a variant's panel is; all text comes from the data, and none is read as markup. */
  window.buildPanel = (data, columns) => {
    const cell = element("td", { colspan: columns, role: "gridcell" }, ...parts(data));
    return element("tr", { class: "panel", role: "row", "aria-level": "2" }, cell);
  };

  function parts(data) {
    const scene = unpackScene(data.scene);
    const made = [];
    if (data.event) {
      const where = data.event_gene ? element("i", {}, data.event_gene) : "";
      made.push(element("p", { class: "event" }, where, where ? ": " : "", data.event));
    }
    made.push(...picturePart(scene));
    if (scene.predicted && shared.settings.length) {
      made.push(element("p", { class: "note" }, "Bars and curves were predicted for the picture, and otherwise than the " +
        `scores, from which they may differ (${shared.settings.join("; ")}). Site changes and arcs are scores.`));
    }
    for (const note of scene.notes) made.push(element("p", { class: "note" }, "In the picture " + note + "."));
    made.push(element("h3", {}, "Effects"), ...effectsPart(data));
    made.push(element("p", { class: "note" }, `Record ${data.record} of the input, counted from 0, and its ALT ` +
      `${data.alt_index + 1}: REF ${data.ref}, ALT ${data.alt}.`));
    return made;
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

  /* The strongest row of each scorer, or those of its strongest tissues as well. */
  function effectsPart(data) {
    const effects = data.effects.map(unpackEffect);
    effects.sort((a, b) => shared.order.indexOf(a.scorer) - shared.order.indexOf(b.scorer));
    const firsts = effects.filter((one, index) => index === 0 || effects[index - 1].scorer !== one.scorer ||
      one.site1);
    const holder = element("div", {}, effectsTable(firsts));
    if (firsts.length === effects.length) return [holder];
    const button = element("button", { type: "button", "aria-pressed": "false" }, "All tissues");
    button.addEventListener("click", () => {
      const isPressed = button.getAttribute("aria-pressed") === "true";
      button.setAttribute("aria-pressed", String(!isPressed));
      holder.replaceChildren(effectsTable(isPressed ? firsts : effects), ...(isPressed ? [] : [weaker(data.more)]));
    });
    return [element("div", { class: "zoom" }, button, element("span", { class: "note" },
      "Of each scorer the score largest in size; or that of each tissue.")), holder];
  }

  function weaker(more) {
    const rest = Object.entries(more).map(([scorer, count]) => `${count} of ${scorer}`);
    return element("p", { class: "note" }, rest.length ? `Weaker tissues are left out: ${rest.join(", ")}.` : "");
  }

  function effectsTable(effects) {
    const columns = [
      ["Scorer", "scorer", (one) => [one.scorer, element("span", { class: "what" }, shared.words[one.scorer] || "")]],
      ["Score", "number", (one) => [one.text]],
      ["Quantile", "number", (one) => [one.quantile || ""]],
      ["Place", "number", (one) => [placeOf(one)]],
      ["Gene", "", (one) => [element("i", {}, one.gene), one.gene_id && one.gene_id !== one.gene
        ? element("span", { class: "quiet" }, " " + one.gene_id) : ""]],
      ["Track", "", (one) => [one.track, one.strand && one.strand !== "." && !one.track.endsWith(one.strand)
        ? ` (${one.strand})` : ""]],
      ["Tissue", "", (one) => [one.tissue, element("span", { class: "quiet" }, one.term ? " " + one.term : "")]],
      ["RankedAllele", "number", (one) => [one.row ? String(one.row - 1) : ""]],
    ];
    const used = columns.filter(([, , read]) => effects.some((one) =>
      read(one).some((part) => (typeof part === "string" ? part : part.textContent) !== "")));
    const head = element("tr", {}, ...used.map(([name, kind]) => element("th", { scope: "col", class: kind }, name)));
    const lines = effects.map((one, index) => {
      const isNext = index > 0 && effects[index - 1].scorer === one.scorer;
      return element("tr", { class: isNext ? "next" : "group" }, ...used.map(([name, kind, read]) =>
        element("td", { class: kind }, ...(isNext && name === "Scorer" ? [] : read(one)))));
    });
    return element("table", { class: "effects" }, element("thead", {}, head), element("tbody", {}, ...lines));
  }

  function placeOf(one) {
    if (one.site1) return one.site1.toLocaleString("en");
    return one.start ? `${one.start.toLocaleString("en")}–${one.end0.toLocaleString("en")}` : "";
  }
})();
