// The backprop graph, step by step: forward through the ops, then back along every arrow.
/* global pageData, makePlayer, layered, h, svg, calm, number */
"use strict";

(function steps() {
  const { boxes, arrows, calls, closed: initially, steps: all, folded } = pageData();
  const closed = new Set(initially);
  const picture = document.getElementById("picture");
  const details = document.getElementById("details");
  const LINE = 17;
  const PAD = 10;
  const HEAD = 24;
  const KEY = 42;
  let drawn = null;
  let player = null;

  // ---- what has been shown by each step

  const ranForward = new Map(); // box -> number of the step in which it ran
  const backOf = new Map(); // arrow -> number of the step in which its gradient came back
  all.forEach((step, i) => {
    if (step.phase === "forward") ranForward.set(step.box, i);
    if (step.phase === "backward") backOf.set(step.arrow, i);
  });
  const seed = all.findIndex((step) => step.phase === "seed");

  function gradientAt(place, now) {
    const box = boxes[place];
    if (typeof box.gradient === "string") return box.kind === "constant" ? null : { lines: [box.gradient] };
    if (box.kind === "loss") return seed >= 0 && now >= seed ? box.gradient : null;
    const sent = all.slice(0, now + 1).filter((step) => step.phase === "backward" && step.target === place);
    if (!sent.length) return seed < 0 || !all.some((step) => step.target === place) ? box.gradient : null;
    const latest = sent[sent.length - 1];
    return latest.done ? box.gradient : { lines: [`${latest.sum[0]} (so far)`], nonfinite: latest.nonfinite };
  }

  // ---- which boxes are visible

  function above(call) {
    const found = [];
    for (let c = call; c !== null; c = calls[c].parent) found.unshift(c);
    return found;
  }

  // The key of a box, or of the outermost closed module around it.
  function standIn(place) {
    const shut = above(boxes[place].call).find((call) => closed.has(call));
    return shut === undefined ? `b${place}` : `c${shut}`;
  }

  const pen = document.createElement("canvas").getContext("2d");
  function widthOf(text, bold) {
    pen.font = `${bold ? "bold " : ""}12.5px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif`;
    return pen.measureText(text).width;
  }

  function cut(text, most) {
    return text.length > most ? `${text.slice(0, most - 1)}…` : text;
  }

  // ---- small matrices: a table of numbers in colour

  const CELL = 54;

  function cellsOf(summary) {
    return summary && summary.cells ? summary.cells : null;
  }

  // Colours differ by sign, and are stronger for larger numbers of the matrix; null is not finite.
  function cellLooks(x, largest) {
    if (typeof x !== "number") return { class: "cell bad" };
    return { class: `cell ${x < 0 ? "minus" : "plus"}`, "fill-opacity": (0.55 * Math.abs(x)) / (largest || 1) };
  }

  function largestOf(cells) {
    return Math.max(0, ...cells.flat().filter((x) => typeof x === "number").map(Math.abs));
  }

  function textOf(x) {
    if (typeof x !== "number") return x;
    const size = Math.abs(x);
    if (size !== 0 && (size >= 1e4 || size < 1e-3)) return x.toExponential(0).replace("-", "−");
    return String(Number(x.toPrecision(size < 0.01 ? 2 : 3))).replace("-", "−");
  }

  function drawCells(cells, x, y) {
    const largest = largestOf(cells);
    const paper = svg("rect", { x, y, width: CELL * cells[0].length - 2, height: LINE * cells.length - 2, class: "cell" });
    return [paper, ...cells.flatMap((row, i) => row.flatMap((value, j) => [
      svg("rect", { x: x + j * CELL, y: y + i * LINE, width: CELL - 2, height: LINE - 2, ...cellLooks(value, largest) }),
      svg("text", { x: x + (j + 1) * CELL - 6, y: y + i * LINE + 12, "text-anchor": "end", class: "number" }, textOf(value)),
    ]))];
  }

  function rowsOf(box) {
    const gradient = typeof box.gradient === "string" ? [box.gradient] : box.gradient.lines;
    const rows = box.notes.map((text) => ["", text]);
    if (box.kind === "folded") return rows;
    if (box.kind === "constant" && !box.word.includes("x") && box.value) return [["value", box.value.lines[0]]];
    for (const [key, summary, lines] of [
      ["value", box.value, box.value ? box.value.lines : ["not kept"]], ["grad", box.gradient, gradient],
    ]) {
      if (summary === "not tracked") continue;
      const cells = cellsOf(summary);
      if (cells) cells.forEach((row, i) => rows.push([i ? "" : key, "", row.length * CELL]));
      else lines.forEach((text, i) => rows.push([i ? "" : key, text]));
    }
    const bad = (box.value?.nonfinite || 0) + (box.gradient.nonfinite || 0);
    if (bad) rows.push(["", "non-finite: 0000"]);
    return rows;
  }

  function sizeOf(box) {
    const rows = rowsOf(box);
    const lines = rows.map(([key, text, wide]) => (wide || widthOf(cut(text, 46))) + (key || box.kind !== "folded" ? KEY : 0));
    const title = widthOf(cut(box.title, 40), true) + widthOf(`  ${box.word}`);
    const wide = Math.max(title, ...lines, 60) + 2 * PAD + (box.kind === "folded" ? 0 : widthOf(" (so far)"));
    return { width: Math.ceil(wide), height: (rows.length + 1) * LINE + PAD + (box.kind === "loss" ? 5 : 0) };
  }

  // ---- layout, from the inside out

  function block(call, items, parts) {
    const own = items.filter((item) => item.home === call);
    const inner = parts.get(call) || [];
    for (const sub of inner) {
      const made = block(sub, items, parts);
      own.push({ key: `f${sub}`, call: sub, frame: made, width: made.width, height: made.height });
    }
    const membersOf = (item) => (item.frame ? [item.key, ...item.frame.keys] : [item.key]);
    const home = new Map(own.flatMap((item) => membersOf(item).map((key) => [key, item])));
    const inside = links().map((link) => ({ link, from: home.get(link.from), to: home.get(link.to) }))
      .filter(({ from, to }) => to && from !== to);
    const joined = inside.filter(({ from }) => from);
    // An arrow from outside gets its own lane between the boxes of the rows that it passes, not behind them.
    const fed = new Set(joined.map(({ to }) => to));
    const lanes = call === null ? [] : inside.filter(({ from, to }) => !from && fed.has(to)).map(({ link, to }) => {
      const from = { key: `lane ${link.id}`, lane: link.id, width: 18, height: 0 };
      return { link, from, to };
    });
    const rowmates = own.filter((item) => joined.some(({ from, to }) => from === item && fed.has(to)));
    const middle = own.indexOf(rowmates[Math.floor(rowmates.length / 2)]);
    own.splice(Math.max(0, middle), 0, ...lanes.map(({ from }) => from));
    const place = new Map(own.map((item, i) => [item, i]));
    const ways = [...joined, ...lanes];
    const pairs = ways.map(({ from, to }) => [place.get(from), place.get(to)]);
    const result = layered(own, pairs);
    const margin = call === null ? 4 : 14;
    const top = call === null ? 4 : HEAD + 6;
    const title = call === null ? 0 : widthOf(calls[call].title) + 40;
    const width = Math.max(result.width + 2 * margin, title);
    for (const item of own) {
      item.x += (width - result.width) / 2;
      item.y += top;
    }
    const routes = new Map();
    ways.forEach(({ link }, i) => {
      const shift = (point) => ({ x: point.x + (width - result.width) / 2, y: point.y + top });
      routes.set(link.id, result.routes[i].map(shift));
    });
    for (const { from } of lanes) {
      const [x, shift] = [from.x + from.width / 2, top];
      routes.get(from.lane).unshift({ x, y: from.top + shift }, { x, y: from.bottom + shift });
    }
    return {
      width, height: result.height + top + margin, keys: [...home.keys()], items: own.filter((item) => !item.lane), routes,
    };
  }

  let cachedLinks = null;
  function links() {
    if (cachedLinks) return cachedLinks;
    const found = new Map();
    arrows.forEach((arrow, i) => {
      let from = standIn(arrow.start);
      const to = standIn(arrow.end);
      if (from === to) return;
      if (arrow.cut) from = `s${arrow.start}>${to}`; // a copy of the box, beside what it feeds
      const both = from[0] === "b" && to[0] === "b";
      const id = both ? `a${i}` : `${from}>${to}`;
      if (!found.has(id)) found.set(id, { id, from, to, arrows: [], copy: arrow.cut ? arrow.start : null });
      found.get(id).arrows.push(i);
    });
    cachedLinks = [...found.values()];
    return cachedLinks;
  }

  // Positions of all items and points of all links, in picture coordinates.
  function flatten(made, dx, dy, out) {
    for (const [id, points] of made.routes) {
      const moved = points.map((p) => ({ x: p.x + dx, y: p.y + dy }));
      out.routes.set(id, [...(out.routes.get(id) || []), ...moved].sort((a, b) => a.y - b.y));
    }
    for (const item of made.items) {
      const spot = { x: item.x + dx, y: item.y + dy, width: item.width, height: item.height, item };
      if (item.frame) {
        out.frames.push({ call: item.call, ...spot });
        flatten(item.frame, spot.x, spot.y, out);
      } else out.spots.set(item.key, spot);
    }
    return out;
  }

  // ---- drawing

  function draw() {
    cachedLinks = null;
    const items = [];
    const parts = new Map();
    const seen = new Set();
    boxes.forEach((box, i) => {
      const key = standIn(i);
      if (seen.has(key)) return;
      seen.add(key);
      if (key[0] === "b") items.push({ key, place: i, home: box.call, ...sizeOf(box) });
      else {
        const call = Number(key.slice(1));
        const width = widthOf(calls[call].title, true) + 2 * PAD + 24;
        items.push({ key, call, home: calls[call].parent, width, height: 36 });
      }
      const around = above(key[0] === "b" ? box.call : calls[Number(key.slice(1))].parent);
      around.forEach((call) => {
        const list = parts.get(calls[call].parent) || [];
        if (!list.includes(call)) parts.set(calls[call].parent, [...list, call]);
      });
    });
    const homes = new Map(items.map((item) => [item.key, item.home]));
    for (const { from, to, copy } of links()) {
      if (copy === null || homes.has(from)) continue;
      homes.set(from, homes.get(to));
      items.push({ key: from, copy, home: homes.get(to), width: widthOf(boxes[copy].copied) + PAD, height: LINE + 4 });
    }
    const made = block(null, items, parts);
    const where = flatten(made, 0, 0, { spots: new Map(), frames: [], routes: new Map() });
    const root = svg("svg", {
      viewBox: `0 0 ${made.width + 8} ${made.height + 8}`,
      role: "group",
      "aria-label": "Boxes are tensors, solid arrows the forward pass, dashed arrows the gradients",
    });
    const shown = { boxes: new Map(), forward: new Map(), back: new Map(), size: [made.width + 8, made.height + 8] };
    root.append(marker("tip", "var(--ink)"), marker("tipback", "var(--vermillion)"));
    for (const frame of where.frames) root.append(frameOf(frame));
    for (const link of links()) {
      const path = route(where.spots.get(link.from), where.spots.get(link.to), where.routes.get(link.id) || []);
      const forward = svg("path", { d: path(0), class: "forward", "marker-end": "url(#tip)" });
      root.append(forward);
      for (const i of link.arrows) shown.forward.set(i, forward);
      const known = link.arrows.filter((i) => arrows[i].width !== undefined);
      if (known.length) {
        const width = Math.max(...known.map((i) => arrows[i].width));
        const bad = known.some((i) => arrows[i].bad);
        const back = svg("path", {
          d: path(7), class: `back${bad ? " bad" : ""}`, "stroke-width": width, "marker-start": "url(#tipback)",
        });
        root.append(back);
        for (const i of known) shown.back.set(i, back);
      }
    }
    for (const [key, spot] of where.spots) {
      const node = key[0] === "b" ? boxOf(spot) : key[0] === "s" ? copyOf(spot) : closedOf(spot);
      root.append(node.root);
      shown.boxes.set(key, node);
    }
    picture.replaceChildren(root);
    if (folded) picture.append(h("p", { class: "hint" }, folded));
    drawn = { ...shown, root, where };
    fit();
  }

  function fit() {
    const [width, height] = drawn.size;
    const room = picture.clientWidth - 22;
    const scale = Math.min(1, Math.max(room / width, 0.62));
    drawn.root.setAttribute("width", Math.round(width * scale));
    drawn.root.setAttribute("height", Math.round(height * scale));
    drawn.scale = scale;
  }

  function marker(id, colour) {
    const shape = svg("path", { d: "M0,0 L8,4 L0,8 z", fill: colour });
    return svg("marker", {
      id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse",
      orient: "auto-start-reverse",
    }, shape);
  }

  // A curve from the bottom of one box through the points to the top of another; `aside` moves it to the right.
  function route(from, to, points) {
    return (aside) => {
      const start = { x: from.x + from.width / 2, y: from.y + from.height };
      const end = { x: to.x + to.width / 2, y: to.y };
      const lean = (to.x + to.width / 2 - start.x) / 2;
      start.x += Math.max(-from.width / 3, Math.min(from.width / 3, lean * 0.5));
      end.x += Math.max(-to.width / 3, Math.min(to.width / 3, -lean * 0.5));
      let text = "";
      let before = null;
      for (const p of [start, ...points, end]) {
        const x = p.x + aside;
        if (before === null) text = `M${x.toFixed(1)},${p.y.toFixed(1)}`;
        else {
          const bend = (p.y - before.y) / 2;
          text += ` C${before.x.toFixed(1)},${(before.y + bend).toFixed(1)} ${x.toFixed(1)},${(p.y - bend).toFixed(1)}`;
          text += ` ${x.toFixed(1)},${p.y.toFixed(1)}`;
        }
        before = { x, y: p.y };
      }
      return text;
    };
  }

  function pressable(node, act) {
    node.addEventListener("click", act);
    node.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      act();
    });
  }

  function fold(call, shut) {
    opened.delete(call);
    if (shut) closed.add(call);
    else closed.delete(call);
    draw();
    show(player.step);
    const again = picture.querySelector(`[data-call="${call}"]`);
    if (again) again.focus({ preventScroll: true });
  }

  function frameOf(frame) {
    const title = calls[frame.call].title;
    const made = svg("g", {
      class: "frame", tabindex: 0, role: "button", "aria-expanded": "true", "data-call": frame.call,
      "aria-label": `module ${title}, open; press to close`,
    });
    made.append(
      svg("rect", { x: frame.x, y: frame.y, width: frame.width, height: frame.height, rx: 10 }),
      svg("rect", { class: "bar", x: frame.x, y: frame.y, width: frame.width, height: HEAD }),
      svg("text", { x: frame.x + 10, y: frame.y + 16 }, `▾ ${title}`),
    );
    pressable(made, () => fold(frame.call, true));
    return made;
  }

  function closedOf(spot) {
    const { call } = spot.item;
    const { title } = calls[call];
    const root = svg("g", {
      class: "box folded closed", tabindex: 0, role: "button", "aria-expanded": "false", "data-call": call,
      "aria-label": `module ${title}, closed; press to open`,
    });
    root.append(
      svg("rect", { x: spot.x, y: spot.y, width: spot.width, height: spot.height, rx: 8 }),
      svg("text", { class: "title", x: spot.x + PAD, y: spot.y + 23 }, `▸ ${title}`),
    );
    pressable(root, () => fold(call, false));
    return { root, update: (now) => root.classList.toggle("later", !members(call).some((i) => seenAt(i, now))) };
  }

  function copyOf(spot) {
    const { copy } = spot.item;
    const base = spot.y + spot.height;
    const root = svg("g", { class: "copy", "data-copy": copy, role: "img", "aria-label": `copy of ${boxes[copy].copied}` });
    root.append(
      svg("text", { class: "word", x: spot.x + PAD / 2, y: base - 5 }, boxes[copy].copied),
      svg("line", { x1: spot.x, y1: base, x2: spot.x + spot.width, y2: base }),
    );
    root.addEventListener("mouseenter", () => describe(copy));
    return { root, update: (now) => root.classList.toggle("later", !seenAt(copy, now)) };
  }

  function members(call) {
    return boxes.map((_, i) => i).filter((i) => above(boxes[i].call).includes(call));
  }

  function seenAt(place, now) {
    return !ranForward.has(place) || ranForward.get(place) <= now;
  }

  function boxOf(spot) {
    const place = spot.item.place;
    const box = boxes[place];
    const root = svg("g", { class: `box ${box.kind}`, tabindex: 0, role: "img", "data-box": place });
    const round = box.kind === "op" ? 10 : 1;
    root.append(svg("rect", { x: spot.x, y: spot.y, width: spot.width, height: spot.height, rx: round }));
    if (box.kind === "loss") {
      const inner = { x: spot.x + 3, y: spot.y + 3, width: spot.width - 6, height: spot.height - 6 };
      root.append(svg("rect", inner));
    }
    const lines = svg("g", {});
    root.append(lines);
    const update = (now) => {
      const seen = seenAt(place, now);
      root.classList.toggle("later", !seen);
      const rows = [];
      const tables = [];
      const told = (key, summary, kind) => {
        const cells = cellsOf(summary);
        if (!cells) summary.lines.forEach((text, i) => rows.push([i ? "" : key, text, kind]));
        else {
          tables.push([cells, rows.length]);
          cells.forEach((row, i) => rows.push([i ? "" : key, "", kind, row.map(textOf).join(" ")]));
        }
      };
      if (box.kind === "folded") box.notes.forEach((text) => rows.push(["", text, ""]));
      else {
        const value = seen ? (box.value || { lines: ["not kept"] }) : { lines: ["…"] };
        told("value", value, "");
        if (value.nonfinite) rows.push(["", `non-finite: ${value.nonfinite}`, "bad"]);
        const gradient = box.gradient === "not tracked" ? null : gradientAt(place, now);
        if (gradient) {
          const word = box.accumulated ? ".grad" : "grad";
          told(word, gradient, "gradient");
          if (gradient.nonfinite) rows.push(["", `non-finite: ${gradient.nonfinite}`, "bad"]);
        }
      }
      const heading = svg("text", { x: spot.x + PAD, y: spot.y + LINE + 2 });
      heading.append(svg("tspan", { class: "title" }, cut(box.title, 40)));
      if (box.title !== box.word) heading.append(svg("tspan", { class: "word", dx: 8 }, box.word.replace(/^(\w+) \1/, "$1")));
      const texts = rows.map(([key, text, kind], i) => {
        const y = spot.y + (i + 2) * LINE + 2;
        const made = svg("text", { y });
        const indent = box.kind === "folded" ? 0 : KEY;
        if (key) made.append(svg("tspan", { class: "key", x: spot.x + PAD }, key));
        made.append(svg("tspan", { class: kind, x: spot.x + PAD + indent }, cut(text, 46)));
        return made;
      });
      const cells = tables.flatMap(([table, row]) => drawCells(table, spot.x + PAD + KEY, spot.y + (row + 1) * LINE + 7));
      lines.replaceChildren(heading, ...texts, ...cells);
      const said = rows.map(([key, text, , numbers]) => `${key} ${numbers || text}`.trim()).join("; ");
      root.setAttribute("aria-label", `${box.title} ${box.word}: ${said}`);
    };
    const tell = () => describe(place);
    root.addEventListener("mouseenter", tell);
    root.addEventListener("focus", tell);
    return { root, update };
  }

  // ---- details of a box

  function bars(histogram, kind) {
    const { low, high, counts } = histogram;
    const most = Math.max(...counts, 1);
    const chart = svg("svg", {
      width: 232, height: 84, class: `bars ${kind}`, role: "img",
      "aria-label": `histogram from ${number(low)} to ${number(high)}`,
    });
    counts.forEach((count, i) => {
      const height = count ? Math.max(1.5, (60 * count) / most) : 0;
      chart.append(svg("rect", { x: 4 + i * 14, y: 64 - height, width: 12, height }));
    });
    chart.append(
      svg("text", { x: 4, y: 79 }, number(low)),
      svg("text", { x: 228, y: 79, "text-anchor": "end" }, number(high)),
    );
    return chart;
  }

  function part(name, summary, kind) {
    if (!summary) return null;
    if (typeof summary === "string") return h("div", {}, h("strong", {}, name), h("p", {}, summary));
    const lines = summary.lines.map((line) => h("p", {}, line));
    const bad = summary.nonfinite ? h("p", {}, `${summary.nonfinite} non-finite`) : null;
    const chart = summary.histogram && summary.histogram.counts.length ? bars(summary.histogram, kind) : null;
    return h("div", {}, h("strong", {}, name), ...lines, bad, chart);
  }

  function describe(place) {
    const box = boxes[place];
    const gradient = typeof box.gradient === "string" ? box.gradient : gradientAt(place, player.step) && box.gradient;
    const heading = h("p", {}, h("strong", {}, box.title), ` ${box.word} ${box.dtype}`);
    const line = box.line ? h("p", {}, h("code", {}, box.line)) : null;
    const value = seenAt(place, player.step) ? part("value", box.value || "not kept", "value") : null;
    details.replaceChildren(heading, ...(line ? [line] : []), h("div", { class: "row" }, value,
      part("gradient", gradient, "gradient")));
  }

  // ---- a step

  // Open the modules around the boxes of a step, and close those that an earlier step opened.
  const opened = new Set();
  let lastShown = null;
  function openFor(step) {
    const around = new Set([step.box, step.target].filter((place) => place !== undefined)
      .flatMap((place) => above(boxes[place].call)));
    const shut = [...around].filter((call) => closed.has(call));
    const left = [...opened].filter((call) => !around.has(call));
    if (!shut.length && !left.length) return;
    left.forEach((call) => { opened.delete(call); closed.add(call); });
    shut.forEach((call) => { opened.add(call); closed.delete(call); });
    draw();
  }

  function show(now) {
    const step = all[now];
    if (now !== lastShown && (lastShown !== null || now > 0)) openFor(step); // at first, modules are as they were drawn
    lastShown = now;
    for (const [, node] of drawn.boxes) {
      node.update(now);
      node.root.classList.remove("now");
    }
    const here = [step.box, step.target].filter((place) => place !== undefined).map(standIn);
    for (const key of here) drawn.boxes.get(key)?.root.classList.add("now");
    const strongest = new Map();
    drawn.forward.forEach((path, i) => {
      const past = ranForward.has(arrows[i].end) && ranForward.get(arrows[i].end) <= now;
      const active = step.phase === "forward" && arrows[i].end === step.box;
      strongest.set(path, Math.max(strongest.get(path) || 0, active ? 2 : past ? 1 : 0));
    });
    for (const [path, level] of strongest) {
      path.classList.toggle("past", level >= 1);
      path.classList.toggle("now", level === 2);
    }
    const back = new Map();
    drawn.back.forEach((path, i) => {
      const level = !backOf.has(i) || backOf.get(i) > now ? 0 : backOf.get(i) === now ? 2 : 1;
      back.set(path, Math.max(back.get(path) || 0, level));
    });
    for (const [path, level] of back) {
      path.classList.toggle("past", level >= 1);
      path.classList.toggle("now", level === 2);
      path.classList.toggle("moving", level === 2 && !calm());
    }
    document.getElementById("sentence").textContent = step.text;
    const rows = step.rows.map(([name, text]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, text)));
    document.getElementById("numbers").replaceChildren(h("table", {}, h("tbody", {}, ...rows)));
    bring(here[here.length - 1]);
  }

  // Scroll the picture, but not the page, to show the box.
  function bring(key) {
    const spot = drawn.where.spots.get(key);
    if (!spot) return;
    const [x, y] = [(spot.x + spot.width / 2) * drawn.scale, (spot.y + spot.height / 2) * drawn.scale];
    const near = (at, from, size) => at > from + size * 0.2 && at < from + size * 0.8;
    const inside = near(y, picture.scrollTop, picture.clientHeight) && near(x, picture.scrollLeft, picture.clientWidth);
    if (inside) return;
    picture.scrollTo({
      left: x - picture.clientWidth / 2, top: y - picture.clientHeight / 2, behavior: calm() ? "auto" : "smooth",
    });
  }

  draw();
  window.addEventListener("resize", fit);
  player = makePlayer(document.getElementById("player"), {
    count: all.length, show, hash: "step", name: "step",
    label: (i) => `step ${i + 1} of ${all.length}, ${all[i].phase === "forward" ? "forward" : "backward"}`,
  });
})();
