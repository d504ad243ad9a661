"use strict";
/* The picture of a variant as SVG. Coordinates of the scene are 0-based and half-open; what is shown is 1-based. */
(() => {
  const WIDTH = 1100, LEFT = 150, RIGHT = 24;
  const BLUE = "#0072B2", VERMILLION = "#D55E00", PURPLE = "#7B3F73", GREY = "#777777", INK = "#1a1a1a";
  const NAMESPACE = "http://www.w3.org/2000/svg";
  let pictures = 0;

  function shape(name, attributes, ...children) {
    const made = document.createElementNS(NAMESPACE, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }
  const round = (value) => Math.round(value * 10) / 10;
  const digits = (value) => String(Number(value.toPrecision(3)));
  const commas = (value) => value.toLocaleString("en");
  const text = (x, y, content, more = {}) =>
    shape("text", { x: round(x), y: round(y), "font-size": 12, fill: INK, ...more }, content);
  const haloed = (x, y, content, more = {}) =>
    text(x, y, content, { stroke: "#fff", "stroke-width": 3, "paint-order": "stroke", "text-anchor": "middle", ...more });
  const hint = (content) => shape("title", {}, content);
  const cut = (content, length) => (content.length > length ? content.slice(0, length - 1) + "…" : content);

  /* How high an arc is above a share of its width, by the Bézier curve that it is. */
  function arcHeight(share) {
    let [low, high] = [0, 1];
    for (let step = 0; step < 20; step += 1) {
      const t = (low + high) / 2;
      if (3 * t * t - 2 * t * t * t < share) low = t; else high = t;
    }
    return 3 * low * (1 - low);
  }

  /* Lanes from top to bottom; each draws into `plot`, which is cut at the edges, or into `labels`, which is not. */
  class Picture {
    constructor(scene, view) {
      this.scene = scene;
      this.view = view;
      this.y = 0;
      this.plot = shape("g", {});
      this.labels = shape("g", {});
      this.perBase = (WIDTH - LEFT - RIGHT) / (view[1] - view[0]);
    }
    x(pos0) { return LEFT + (pos0 - this.view[0]) * this.perBase; }
    center(pos0) { return this.x(pos0 + 0.5); }
    sees(start0, end0) { return start0 < this.view[1] && end0 > this.view[0]; }

    name(y, ...lines) {
      lines.forEach((line, index) => this.labels.append(text(LEFT - 10, y + 14 * index, cut(line, index ? 19 : 20), {
        "text-anchor": "end", fill: index ? GREY : INK, "font-size": index ? 11 : 12 })));
    }

    axis() {
      const span = this.view[1] - this.view[0];
      const raw = span / 6, power = 10 ** Math.floor(Math.log10(raw));
      const step = Math.max(1, [1, 2, 5, 10].find((factor) => factor * power >= raw) * power);
      this.name(42, this.scene.chrom);
      for (let at = Math.ceil((this.view[0] + 1) / step) * step; at <= this.view[1]; at += step) {
        const x = round(this.center(at - 1));
        if (x > WIDTH - RIGHT - 30 || x < LEFT + 30) continue;
        this.labels.append(shape("line", { x1: x, x2: x, y1: 46, y2: 51, stroke: INK }),
          text(x, 42, commas(at), { "text-anchor": "middle", fill: GREY }));
      }
      this.labels.append(shape("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: 51, y2: 51, stroke: INK }));
      this.y = 60;
    }

    junctions() {
      const arcs = this.scene.junctions.filter((one) => this.sees(one.start - 1, one.end0));
      if (!this.scene.junctions.length) return;
      const height = 92, base = this.y + height;
      this.name(this.y + 40, "junctions", "|ln fold change|");
      const largest = Math.max(...this.scene.junctions.map((one) => Number(one.text)));
      arcs.forEach((one, index) => {
        const [a, b] = [this.x(one.start - 1), this.x(one.end0)];
        const top = base - Math.min(height - 22, 26 + 0.25 * (b - a)) + 7 * (index % 3);
        const path = `M${round(a)} ${base} C${round(a)} ${round(top - 12)} ${round(b)} ${round(top - 12)} ${round(b)} ${base}`;
        this.plot.append(shape("path", { d: path, fill: "none", stroke: PURPLE,
          "stroke-width": round(1 + 3 * Number(one.text) / largest) },
          hint(`junction ${commas(one.start)}–${commas(one.end0)}, ${one.gene || ""} ${one.tissue || ""}: ${one.text}`)));
        const middle = (Math.max(a, LEFT + 30) + Math.min(b, WIDTH - RIGHT - 30)) / 2;
        const y = base - (base - top + 12) * arcHeight((middle - a) / (b - a));
        this.plot.append(haloed(middle, y - 5, digits(Number(one.text)), { fill: PURPLE, "font-size": 11 }));
      });
      this.y = base + 8;
    }

    sites() {
      if (!this.scene.predicted) return;
      const half = 52, top = this.y + 14, zero = top + half;
      this.name(zero - 38, "splice sites", "probability");
      this.labels.append(text(LEFT - 10, zero - 4, "reference ▴", { "text-anchor": "end", fill: BLUE, "font-size": 11 }),
        text(LEFT - 10, zero + 14, "alternate ▾", { "text-anchor": "end", fill: VERMILLION, "font-size": 11 }));
      for (const part of [0.5, 1]) {
        for (const y of [zero - part * half, zero + part * half]) {
          this.plot.append(shape("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y, stroke: "#e4e4e4" }));
        }
      }
      this.labels.append(text(WIDTH - RIGHT + 3, top + 4, "1", { fill: GREY, "font-size": 10 }),
        text(WIDTH - RIGHT + 3, zero + half + 4, "1", { fill: GREY, "font-size": 10 }));
      const seen = this.scene.sites.filter((one) => this.sees(one.pos0, one.pos0 + 1));
      const bar = Math.min(14, Math.max(3, this.perBase * 0.8));
      for (const one of seen) {
        const x = round(this.center(one.pos0) - bar / 2);
        const label = `${one.kind} ${commas(one.pos0 + 1)} (${one.strand}): reference ${digits(one.reference)}, alternate ${digits(one.alternate)}`;
        this.plot.append(
          shape("rect", { x, y: round(zero - half * one.reference), width: round(bar), height: round(half * one.reference), fill: BLUE }, hint(label)),
          shape("rect", { x, y: zero, width: round(bar), height: round(half * one.alternate), fill: VERMILLION }, hint(label)));
      }
      const taken = [];
      const bySize = seen.slice().sort((a, b) => Math.abs(b.alternate - b.reference) - Math.abs(a.alternate - a.reference) || a.pos0 - b.pos0);
      for (const one of bySize) {
        const x = this.center(one.pos0);
        if (taken.some((other) => Math.abs(other - x) < 34)) continue;
        taken.push(x);
        const letter = one.kind === "donor" ? "D" : "A";
        const changes = Math.abs(one.alternate - one.reference) >= 0.05;
        const up = zero - half * one.reference - 3, down = zero + half * one.alternate + 12;
        this.plot.append(haloed(x, up, changes ? `${letter} ${one.reference.toFixed(2)}` : letter, { "font-size": 11, fill: BLUE }));
        if (changes) this.plot.append(haloed(x, down, one.alternate.toFixed(2), { "font-size": 11, fill: VERMILLION }));
      }
      this.plot.append(shape("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: zero, y2: zero, stroke: INK }));
      this.beyond(top, 2 * half);
      this.y = zero + half + 20;
    }

    shifts() {
      if (!this.scene.shifts.length) return;
      this.name(this.y + 14, "site changes", "SPLICE_EVENTS");
      const levels = [];
      const seen = this.scene.shifts.filter((one) => this.sees(one.pos0, one.pos0 + 1)).sort((a, b) => a.pos0 - b.pos0);
      for (const one of seen) {
        const gain = !one.text.startsWith("-"), change = `${one.kind} ${gain ? "gain +" : "loss "}`;
        const label = change + digits(Number(one.text));
        const x = this.center(one.pos0), width = 7 * label.length + 16;
        const turned = x + width > WIDTH - RIGHT;
        const [from, to] = turned ? [x - width, x + 8] : [x - 8, x + width];
        let level = 0;
        while (levels[level] !== undefined && levels[level] > from) level += 1;
        levels[level] = to;
        const y = this.y + 4 + 17 * level;
        const mark = gain ? `M${round(x)} ${y}l6 11h-12z` : `M${round(x)} ${y + 11}l6 -11h-12z`;
        this.plot.append(shape("path", { d: mark, fill: gain ? VERMILLION : "#fff", stroke: VERMILLION, "stroke-width": 1.5 },
          hint(`${change}${one.text} at ${commas(one.pos0 + 1)}, ${one.gene}`)),
          haloed(turned ? x - 10 : x + 10, y + 10, label, { "text-anchor": turned ? "end" : "start" }));
      }
      this.y += 10 + 17 * Math.max(1, levels.length) + 6;
    }

    genes() {
      const isSeen = (exons) => this.sees(exons[0][0], exons[exons.length - 1][1]);
      for (const gene of this.scene.genes.filter((one) => one.transcripts.some(isSeen))) {
        gene.transcripts.forEach((exons, index) => {
          if (!this.sees(exons[0][0], exons[exons.length - 1][1])) return;
          const middle = this.y + 9;
          if (index === 0) {
            this.labels.append(text(LEFT - 10, middle + 4, `${cut(gene.name, 18)} ${gene.strand === "-" ? "◂" : "▸"}`,
              { "text-anchor": "end", "font-style": "italic" }));
          }
          const [a, b] = [Math.max(LEFT, this.x(exons[0][0])), Math.min(WIDTH - RIGHT, this.x(exons[exons.length - 1][1]))];
          this.plot.append(shape("line", { x1: round(a), x2: round(b), y1: middle, y2: middle, stroke: GREY }));
          const way = gene.strand === "-" ? 4 : -4;
          for (let x = a + 20; x < b - 10; x += 46) {
            this.plot.append(shape("path", { d: `M${round(x + way)} ${middle - 4}L${round(x)} ${middle}L${round(x + way)} ${middle + 4}`, fill: "none", stroke: GREY }));
          }
          for (const [start, end] of exons) {
            if (!this.sees(start, end)) continue;
            const [left, right] = [Math.max(LEFT - 5, this.x(start)), Math.min(WIDTH - RIGHT + 5, this.x(end))];
            this.plot.append(shape("rect", { x: round(left), y: middle - 7, width: round(Math.max(2, right - left)), height: 14, fill: "#3d4f63" },
              hint(`${gene.name} exon ${commas(start + 1)}–${commas(end)}, ${commas(end - start)} bp`)));
          }
          this.y += 20;
        });
        if (gene.more) {
          this.labels.append(text(LEFT - 10, this.y + 6, `+ ${gene.more} transcript${gene.more > 1 ? "s" : ""}`, { "text-anchor": "end", fill: GREY, "font-size": 10 }));
          this.y += 10;
        }
        this.y += 4;
      }
      this.y += 4;
    }

    profiles() {
      const bin = 64;
      for (const one of this.scene.profiles) {
        const height = 54, base = this.y + height, count = one.reference.length;
        const inView = (index) => this.sees(one.start0 + bin * index, one.start0 + bin * (index + 1));
        const values = [...one.reference.filter((_, i) => inView(i)), ...one.alternate.filter((_, i) => inView(i))];
        const top = Math.max(...values, 0) || 1;
        this.name(this.y + 14, one.output, one.tissue || one.track, `${one.track}`);
        this.labels.append(text(WIDTH - RIGHT - 2, this.y + 8, digits(top), { "text-anchor": "end", fill: GREY, "font-size": 10 }));
        const steps = (signal) => {
          const points = [];
          for (let i = 0; i < count; i += 1) {
            if (!inView(i)) continue;
            const y = round(base - height * signal[i] / top);
            points.push(`${round(this.x(one.start0 + bin * i))} ${y}`, `${round(this.x(one.start0 + bin * (i + 1)))} ${y}`);
          }
          return points;
        };
        const [reference, alternate] = [steps(one.reference), steps(one.alternate)];
        if (reference.length) {
          const ends = [reference[0].split(" ")[0], reference[reference.length - 1].split(" ")[0]];
          this.plot.append(
            shape("path", { d: `M${ends[0]} ${base}L${reference.join("L")}L${ends[1]} ${base}Z`, fill: "#c3dcec", stroke: BLUE, "stroke-width": 1 },
              hint(`${one.output} ${one.tissue}, track ${one.track}: reference`)),
            shape("path", { d: `M${alternate.join("L")}`, fill: "none", stroke: VERMILLION, "stroke-width": 1.8, "stroke-dasharray": "5 2" },
              hint(`${one.output} ${one.tissue}, track ${one.track}: alternate`)));
        }
        this.plot.append(shape("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: base, y2: base, stroke: GREY }));
        this.beyond(this.y, height);
        this.y = base + 10;
      }
      if (this.scene.profiles.length) {
        this.labels.append(shape("rect", { x: LEFT, y: this.y, width: 16, height: 10, fill: "#c3dcec", stroke: BLUE }),
          text(LEFT + 22, this.y + 10, "reference", { fill: GREY, "font-size": 11 }),
          shape("line", { x1: LEFT + 90, x2: LEFT + 112, y1: this.y + 6, y2: this.y + 6, stroke: VERMILLION, "stroke-width": 1.8, "stroke-dasharray": "5 2" }),
          text(LEFT + 118, this.y + 10, `alternate; predicted signal, means of ${bin} bp`, { fill: GREY, "font-size": 11 }));
        this.y += 18;
      }
    }

    /* A veil where nothing was predicted. */
    beyond(y, height) {
      const [start, end] = this.scene.predicted;
      for (const [from, to] of [[this.view[0], start], [end, this.view[1]]]) {
        if (to <= from) continue;
        this.plot.append(shape("rect", { x: round(this.x(from)), y, width: round((to - from) * this.perBase), height, fill: "#eeeeee" }),
          text((this.x(from) + this.x(to)) / 2, y + height / 2 + 4, "not predicted", { "text-anchor": "middle", fill: GREY, "font-size": 11 }));
      }
    }

    variant() {
      const [start, end] = this.scene.variant;
      const width = Math.max(1.5, (end - start) * this.perBase);
      const middle = (this.x(start) + this.x(end)) / 2;
      if (!this.sees(start, end)) return;
      this.plot.prepend(shape("rect", { x: round(middle - width / 2), y: 18, width: round(width), height: this.y - 18,
        fill: INK, "fill-opacity": width > 3 ? 0.15 : 0.6 }, hint(this.scene.name)));
      const anchor = middle < LEFT + 120 ? "start" : middle > WIDTH - RIGHT - 120 ? "end" : "middle";
      this.labels.append(text(middle, 14, this.scene.name, { "text-anchor": anchor, "font-weight": "bold" }));
    }
  }

  window.drawPicture = (scene, view) => {
    const picture = new Picture(scene, view);
    picture.axis();
    picture.junctions();
    picture.sites();
    picture.shifts();
    picture.genes();
    picture.profiles();
    picture.variant();
    const id = `plot-${(pictures += 1)}`;
    const height = Math.ceil(picture.y + 6);
    const changes = scene.shifts.map((one) => `${one.kind} ${!one.text.startsWith("-") ? "gain" : "loss"} ${one.text} at ${one.pos0 + 1}`);
    const label = `Picture of ${scene.name}. ${changes.join("; ") || "No splice site changes by 0.05 or more."}`;
    picture.plot.setAttribute("clip-path", `url(#${id})`);
    return shape("svg", { class: "picture", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": label,
      "font-family": "system-ui, 'Segoe UI', Roboto, 'Liberation Sans', 'DejaVu Sans', sans-serif" },
      shape("clipPath", { id }, shape("rect", { x: LEFT, y: 0, width: WIDTH - LEFT - RIGHT, height })),
      picture.plot, picture.labels);
  };
})();
