"use strict";
/* The panel of one variant, from the data that vepscore/report/page.py packs. */
(() => {
  const shared = JSON.parse(document.getElementById("shared").textContent);
  const FIELDS = ["scorer", "text", "quantile", "track", "strand", "tissue", "term", "gene", "gene_id", "row", "start",
    "end0"];
  const NUMBERED = new Set(["scorer", "track", "strand", "tissue", "term", "gene", "gene_id"]);
  const VIEWS = [["Event", "the variant and what it changes"], ["All", "all that was predicted"]];

  /* An element with attributes, and children that are elements or text. Text is never parsed as markup. */
  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  }

  async function unpack(packed) {
    const bytes = Uint8Array.from(atob(packed), (char) => char.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  }

  function unpackEffect(packed) {
    const effect = {};
    FIELDS.forEach((field, index) => {
      const value = packed[index] || 0;
      effect[field] = NUMBERED.has(field) ? shared.names[value] : value;
    });
    return effect;
  }

  /* A promise of the table row with a variant's panel. */
  window.buildPanel = async (packed, columns) => {
    let content;
    try {
      content = parts(await unpack(packed));
    } catch (error) {
      content = [element("p", { class: "warning" }, `This browser cannot show the panel: ${error.message}`)];
    }
    const cell = element("td", { colspan: columns, role: "gridcell" }, ...content);
    return element("tr", { class: "panel", role: "row", "aria-level": "2" }, cell);
  };

  function parts(data) {
    const made = [];
    if (data.event) {
      const where = data.event_gene ? element("i", {}, data.event_gene) : "";
      made.push(element("p", { class: "event" }, where, where ? ": " : "", data.event));
    }
    made.push(...picturePart(data.pictures));
    if (data.has_tracks && shared.settings.length) {
      made.push(element("p", { class: "note" }, "The bars and curves were predicted for the picture, with other " +
        `settings than the scores, and may differ from them (${shared.settings.join("; ")}). Site changes and arcs ` +
        "are scores."));
    }
    made.push(element("h3", {}, "Effects"), ...effectsPart(data));
    made.push(element("p", { class: "note" }, `Record ${data.record} of the input, counted from 0, ALT ` +
      `${data.alt_index + 1}: REF ${data.ref}, ALT ${data.alt}.`));
    return made;
  }

  /* The picture, and a button for each view. The SVG was written, and its texts escaped, by vepscore/io/drawing.py. */
  function picturePart(pictures) {
    const holder = element("div");
    const buttons = VIEWS.map(([text, label]) => element("button", { type: "button", title: label }, text));
    function show(index) {
      const parsed = new DOMParser().parseFromString(pictures[index], "text/html");
      holder.replaceChildren(document.adoptNode(parsed.body.firstElementChild));
      buttons.forEach((button, other) => button.setAttribute("aria-pressed", String(other === index)));
    }
    buttons.forEach((button, index) => button.addEventListener("click", () => show(index)));
    show(0);
    return [element("div", { class: "choice", role: "group", "aria-label": "View of the picture" }, ...buttons), holder];
  }

  /* The strongest row of each scorer, and on request those of its strongest tissues. */
  function effectsPart(data) {
    const effects = data.effects.map(unpackEffect);
    effects.sort((a, b) => shared.order.indexOf(a.scorer) - shared.order.indexOf(b.scorer));
    const firsts = effects.filter((one, index) => index === 0 || effects[index - 1].scorer !== one.scorer ||
      isSite(one));
    const holder = element("div", {}, effectsTable(firsts));
    if (firsts.length === effects.length) return [holder];
    const button = element("button", { type: "button", "aria-pressed": "false" }, "All tissues");
    button.addEventListener("click", () => {
      const isPressed = button.getAttribute("aria-pressed") === "true";
      button.setAttribute("aria-pressed", String(!isPressed));
      holder.replaceChildren(effectsTable(isPressed ? firsts : effects), ...(isPressed ? [] : [weaker(data.more)]));
    });
    return [element("div", { class: "choice" }, button, element("span", { class: "note" },
      "The largest score of each scorer, or of each of its tissues.")), holder];
  }

  function weaker(more) {
    const rest = Object.entries(more).map(([scorer, count]) => `${count} of ${scorer}`);
    return element("p", { class: "note" }, rest.length ? `Weaker tissues are not shown: ${rest.join(", ")}.` : "");
  }

  function effectsTable(effects) {
    const columns = [
      ["Scorer", "scorer", (one) => [one.scorer, element("span", { class: "what" }, shared.words[one.scorer] || "")]],
      ["Score", "number", (one) => [one.text]],
      ["Quantile", "number", (one) => [one.quantile || ""]],
      ["Position", "number", (one) => [positionOf(one)]],
      ["Gene", "", (one) => [element("i", {}, one.gene), one.gene_id && one.gene_id !== one.gene
        ? element("span", { class: "quiet" }, " " + one.gene_id) : ""]],
      ["Track", "", (one) => [one.track, one.strand && one.strand !== "." && !one.track.endsWith(one.strand)
        ? ` (${one.strand})` : ""]],
      ["Tissue", "", (one) => [one.tissue, element("span", { class: "quiet" }, one.term ? " " + one.term : "")]],
      ["Row", "number", (one) => [one.row ? String(one.row - 1) : ""]],
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

  const isSite = (one) => one.start > 0 && one.start === one.end0;

  function positionOf(one) {
    if (!one.start || isSite(one)) return one.start ? one.start.toLocaleString("en") : "";
    return `${one.start.toLocaleString("en")}–${one.end0.toLocaleString("en")}`;
  }
})();
