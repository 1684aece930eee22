// The network: a picture on every node of what it responds to, and arrows as wide as their weights.
/* global h, svg, number, calm, paintPlane, bySign, byClass */
"use strict";

const NODE = 42; // pixels
const HEAD = 58; // room for the names of layers
const ROW = 76; // pixels between two nodes of a layer

function nodeName(data, sizes, column, i) {
  if (column === 0) return data.inputs[i];
  return column === sizes.length - 1 ? data.outputs[i] : `hidden ${column}, node ${i + 1}`;
}

// `select(what)` is called for a click, with {column, i} for a node and {column, i, from} for an arrow into it;
// `resize(hidden)` for a click on the buttons that add and remove nodes.
function makeNetwork(root, { select, resize, mostNodes, grid }) {
  const lines = svg("svg", { class: "lines", role: "group", "aria-label": "arrows" });
  const stage = h("div", { class: "stage" }, lines);
  const scroller = h("div", { class: "scroller", role: "group", "aria-label": "The network: arrow keys move between nodes and arrows, Enter chooses" }, stage);
  const wide = h("p", { class: "hint" }, "The network scrolls sideways.");
  root.append(wide, scroller);
  let sizes = [];
  let data = null;
  let cells = []; // columns of what can be chosen: nodes, the arrows to the next layer, nodes, ...
  let at = [0, 0];
  let chosen = null;

  function named(column) {
    return column === 0 || column === sizes.length - 1;
  }

  function curve(a, b) {
    const middle = (a.x + b.x) / 2;
    const [from, to] = [a.x + NODE / 2, b.x - NODE / 2];
    return `M${from},${a.y} C${middle},${a.y} ${middle},${b.y} ${to},${b.y}`;
  }

  function layout() {
    const columns = sizes.length;
    const edge = NODE / 2 + 22;
    const width = Math.max(scroller.clientWidth, edge * 2 + (columns - 1) * 78);
    const most = Math.max(...sizes, 4);
    const row = Math.min(ROW, Math.max(58, 400 / most));
    const height = HEAD + most * row + 6;
    wide.hidden = width <= scroller.clientWidth;
    stage.style.width = `${width}px`;
    stage.style.height = `${height}px`;
    lines.setAttribute("width", width);
    lines.setAttribute("height", height);
    return sizes.map((count, c) => Array.from({ length: count }, (_, i) => ({
      x: edge + ((width - 2 * edge) * c) / Math.max(1, columns - 1),
      y: HEAD + (height - HEAD) / 2 + (i - (count - 1) / 2) * (named(c) ? ROW : row) - 6,
    })));
  }

  function header(column, x) {
    const last = column === sizes.length - 1;
    const box = h("div", { class: "layer-head" });
    box.style.left = `${x}px`;
    if (column === 0 || last) {
      box.append(h("span", { class: "layer-name" }, last ? "output" : "input"));
      return box;
    }
    const change = (by) => {
      const hidden = sizes.slice(1, -1);
      hidden[column - 1] += by;
      resize(hidden);
    };
    const button = (text, by, label, off) => {
      const made = h("button", { type: "button", class: "small", "aria-label": label }, text);
      made.disabled = off;
      made.addEventListener("click", () => change(by));
      return made;
    };
    const count = sizes[column];
    box.append(
      h("span", { class: "layer-name" }, `hidden ${column}`),
      h("span", { class: "layer-size" },
        button("−", -1, `one node fewer in hidden layer ${column}`, count <= 1),
        h("output", { "aria-label": `nodes in hidden layer ${column}` }, String(count)),
        button("+", 1, `one node more in hidden layer ${column}`, count >= mostNodes)),
    );
    return box;
  }

  function build() {
    const places = layout();
    lines.replaceChildren();
    stage.replaceChildren(lines);
    cells = [];
    sizes.forEach((count, column) => {
      stage.append(header(column, places[column][0].x));
      if (column > 0) {
        cells.push(places[column].flatMap((b, i) => places[column - 1].map((a, from) => arrow(column, i, from, curve(a, b)))));
      }
      cells.push(places[column].map((place, i) => node(column, i, place)));
    });
    focusable(Math.min(at[0], cells.length - 1), 0, false);
  }

  function node(column, i, place) {
    const canvas = h("canvas", { width: grid, height: grid });
    const value = h("span", { class: "value" });
    const element = h("button", { type: "button", class: column === sizes.length - 1 ? "node last" : "node", tabindex: -1, "data-node": `${column}.${i}` },
      named(column) ? h("span", { class: "name" }, nodeName(data, sizes, column, i)) : null, canvas, value);
    element.style.setProperty("--column", column);
    element.style.left = `${place.x}px`;
    element.style.top = `${place.y}px`;
    const what = { column, i };
    element.addEventListener("click", () => choose(what, element));
    stage.append(element);
    return { element, canvas, value, what };
  }

  function arrow(column, i, from, d) {
    const line = svg("path", { class: "line", d });
    const flow = svg("path", { class: "flow", d });
    const element = svg("g", { class: "arrow", role: "button", tabindex: -1, "data-arrow": `${column}.${i}.${from}` },
      svg("path", { class: "hit", d }), line, flow);
    const what = { column, i, from };
    element.style.setProperty("--later", sizes.length - 1 - column);
    element.addEventListener("click", () => choose(what, element));
    lines.append(element);
    return { element, line, flow, what };
  }

  // ---- choosing, with the mouse or with keys

  function same(a, b) {
    return Boolean(a && b) && a.column === b.column && a.i === b.i && a.from === b.from;
  }

  function choose(what, element) {
    cells.forEach((column, c) => column.forEach((cell, i) => {
      if (cell.element === element) focusable(c, i, false);
    }));
    select(what);
  }

  function focusable(column, i, move) {
    for (const cell of cells.flat()) cell.element.setAttribute("tabindex", -1);
    at = [column, Math.min(i, cells[column].length - 1)];
    const { element, what } = cells[at[0]][at[1]];
    element.setAttribute("tabindex", 0);
    if (move) {
      element.focus();
      select(what);
    }
  }

  scroller.addEventListener("keydown", (event) => {
    const [column, i] = at;
    const share = cells[column].length > 1 ? i / (cells[column].length - 1) : 0;
    const beside = (to) => focusable(to, Math.round(share * (cells[to].length - 1)), true);
    if (!event.target.closest(".node, .arrow") || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "ArrowDown") focusable(column, (i + 1) % cells[column].length, true);
    else if (event.key === "ArrowUp") focusable(column, (i + cells[column].length - 1) % cells[column].length, true);
    else if (event.key === "ArrowRight") beside(Math.min(column + 1, cells.length - 1));
    else if (event.key === "ArrowLeft") beside(Math.max(column - 1, 0));
    else if (event.key === "Home") focusable(0, 0, true);
    else if (event.key === "End") focusable(cells.length - 1, 0, true);
    else if (event.key === "Enter" || event.key === " ") select(cells[column][i].what);
    else return;
    event.preventDefault();
  });

  // ---- showing the numbers

  function largest(layers, part) {
    const all = layers.flatMap((layer) => part(layer)).flat().filter((v) => v !== null);
    return Math.max(1e-9, ...all.map(Math.abs));
  }

  function show(frame) {
    const backward = frame.stage === "backward";
    const widest = largest(frame.weights, (layer) => layer.weight);
    const steepest = backward ? largest(frame.weights, (layer) => layer.moved.gradient[0]) : 1;
    stage.dataset.stage = frame.stage;
    for (const { element, line, flow, what } of cells.filter((_, c) => c % 2 === 1).flat()) {
      const layer = frame.weights[what.column - 1];
      const weight = layer.weight[what.i][what.from];
      const size = weight === null ? 1 : Math.abs(weight) / widest;
      line.setAttribute("stroke-width", (0.6 + 4.4 * size).toFixed(2));
      line.style.opacity = (0.3 + 0.7 * size).toFixed(2);
      element.classList.toggle("negative", weight !== null && weight < 0);
      element.classList.toggle("bad", weight === null);
      element.classList.toggle("chosen", same(what, chosen));
      const gradient = backward ? layer.moved.gradient[0][what.i][what.from] : null;
      flow.setAttribute("stroke-width", backward ? (0.8 + 4 * Math.abs(gradient ?? 0) / steepest).toFixed(2) : "1.5");
      flow.classList.toggle("moving", (backward || frame.stage === "forward") && !calm());
      const names = `${nodeName(data, sizes, what.column - 1, what.from)} to ${nodeName(data, sizes, what.column, what.i)}`;
      const said = weight === null ? "not finite" : number(weight);
      element.setAttribute("aria-label", `weight from ${names}: ${said}${gradient === null ? "" : `, gradient ${number(gradient)}`}`);
    }
    const output = sizes.length - 1;
    for (const { element, canvas, value, what } of cells.filter((_, c) => c % 2 === 0).flat()) {
      const column = frame.columns[what.column];
      const scale = column.scales[what.i];
      const colour = what.column === output && data.classes ? byClass(what.i) : bySign(scale);
      paintPlane(canvas, column.planes[what.i], scale, grid, colour);
      const v = column.values[what.i];
      const slope = column.slopes ? column.slopes[what.i] : null;
      value.textContent = v === null ? "NaN" : number(Number(v.toPrecision(3)));
      element.classList.toggle("chosen", same(what, chosen));
      const name = nodeName(data, sizes, what.column, what.i);
      element.setAttribute("aria-label", `${name}: ${value.textContent}${slope === null ? "" : `, gradient of its sum ${number(slope)}`}`);
    }
  }

  return {
    show,
    choose: (what) => { chosen = what; },
    rebuild: build,
    build: (newData, hidden) => {
      const changed = newData !== data || String(hidden) !== String(sizes.slice(1, -1));
      data = newData;
      sizes = [data.inputs.length, ...hidden, data.outputs.length];
      if (changed) build();
      return changed;
    },
  };
}
