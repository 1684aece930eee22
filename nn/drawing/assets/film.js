// The film of a training run: one slider over epochs updates the curves, the network, the samples and the texts.
/* global pageData, makePlayer, h, svg, number */
"use strict";

(function film() {
  const { film: run } = pageData();
  if (!run) return;
  const find = (id) => document.getElementById(id);
  const BLUE = "#0072B2";
  const VERMILLION = "#D55E00";
  const LINES = ["var(--blue)", "var(--vermillion)", "var(--green)", "var(--grey)"];
  const DASHES = ["", "6 4", "2 3", "8 3 2 3"];

  // ---- samples: the image, and a bar for each probability

  const samples = !find("film-samples") ? [] : run.samples.map((sample, i) => {
    const bars = h("div", { class: "bars" });
    const image = sample.image ? h("img", { src: sample.image, alt: `sample ${i + 1}` }) : null;
    const label = sample.label === undefined ? null
      : h("p", { class: "label" }, `label: ${[sample.label].flat().map((k) => (run.probabilities && run.classes[k]) || k).join(", ")}`);
    find("film-samples").append(h("div", { class: "sample" }, h("div", {}, image, label), bars));
    const names = run.outputs[0][i].map((_, k) => run.classes[k] || `output ${k}`);
    return names.map((name, k) => {
      const right = run.probabilities && (sample.label === k || (names.length === 2 && sample.label === k));
      const fill = h("div", {});
      const value = h("span", { class: "value" });
      const kind = right ? " right" : "";
      bars.append(h("span", { class: `name${kind}` }, name)); // the label; a tick would read as "predicted correctly"
      bars.append(h("div", { class: `track${kind}` }, fill), value);
      return { fill, value, wanted: Array.isArray(sample.label) ? sample.label[k] : null };
    });
  });

  function showSamples(epoch) {
    samples.forEach((rows, i) => rows.forEach((row, k) => {
      const p = run.outputs[epoch][i][k];
      if (run.probabilities) {
        row.fill.style.width = `${100 * (p ?? 0)}%`;
        row.value.textContent = p === null ? "NaN" : p.toFixed(2);
      } else {
        row.fill.parentNode.style.visibility = "hidden";
        row.value.textContent = `${p === null ? "NaN" : number(p)}${row.wanted === null ? "" : ` → ${number(row.wanted)}`}`;
      }
    }));
  }

  // ---- decision boundaries: the plane of the samples, coloured by class, and the samples on it

  const SIZE = 340;
  const LEFT = 62;
  const plane = find("film-boundary") ? run.boundary : null;
  const area = svg("image", { x: LEFT, y: 8, width: SIZE, height: SIZE, preserveAspectRatio: "none" });

  function colourOf(label) {
    return plane.colours[label % plane.colours.length];
  }

  // A sample's mark; classes differ by shape and colour.
  function mark(x, y, label) {
    const shapes = ["M-4,0 A4,4 0 1 0 4,0 A4,4 0 1 0 -4,0", "M-4,-4 H4 V4 H-4 z", "M0,-5 L5,4 H-5 z", "M0,-5 L5,0 L0,5 L-5,0 z"];
    return svg("path", { d: shapes[label % 4], transform: `translate(${x},${y})`, fill: colourOf(label), class: "mark" });
  }

  if (plane) {
    const [[x1, y1], [x2, y2]] = [plane.low, plane.high];
    const bottom = 8 + SIZE;
    const chart = svg("svg", {
      class: "curve", viewBox: `0 0 ${SIZE + LEFT + 14} ${SIZE + 34}`, width: SIZE + LEFT + 14, height: SIZE + 34, role: "img",
      "aria-label": "the class that the network gives to each place of the plane, and training samples",
    }, area);
    for (const [x, y, label] of plane.points) {
      chart.append(mark(LEFT + (SIZE * (x - x1)) / (x2 - x1), bottom - (SIZE * (y - y1)) / (y2 - y1), label));
    }
    chart.append(
      svg("text", { x: LEFT, y: bottom + 16 }, number(x1)),
      svg("text", { x: LEFT + SIZE, y: bottom + 16, "text-anchor": "end" }, number(x2)),
      svg("text", { x: LEFT - 6, y: bottom, "text-anchor": "end" }, number(y1)),
      svg("text", { x: LEFT - 6, y: 18, "text-anchor": "end" }, number(y2)),
    );
    const labels = [...new Set(plane.points.map(([, , label]) => label))].sort((a, b) => a - b);
    const legend = h("p", { class: "legend" }, ...labels.flatMap((label) => [
      svg("svg", { width: 14, height: 14 }, mark(7, 7, label)), h("span", {}, run.classes[label] || `class ${label}`),
    ]));
    find("film-boundary").append(chart, legend, h("p", { class: "hint" },
      "Marks: training samples with their labels. Areas: the likeliest class at each place, paler where it is less likely."));
  }

  // ---- curves

  const WIDTH = 420;
  const HEIGHT = 220;
  const EDGE = { left: 52, right: 12, top: 22, bottom: 34 };

  function curve(title, names) {
    const values = names.flatMap((name) => run.history[name]).filter((v) => v !== null);
    if (!values.length) return null;
    const low = Math.min(0, ...values);
    const high = Math.max(...values) || 1;
    const x = (epoch) => EDGE.left + ((WIDTH - EDGE.left - EDGE.right) * (epoch - 1)) / Math.max(1, run.epochs - 1);
    const y = (v) => HEIGHT - EDGE.bottom - ((HEIGHT - EDGE.top - EDGE.bottom) * (v - low)) / (high - low || 1);
    const chart = svg("svg", {
      class: "curve", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, role: "img",
      "aria-label": `${title} by epoch`,
    });
    const bottom = HEIGHT - EDGE.bottom;
    chart.append(
      svg("line", { class: "axis", x1: EDGE.left, y1: bottom, x2: WIDTH - EDGE.right, y2: bottom }),
      svg("line", { class: "axis", x1: EDGE.left, y1: EDGE.top, x2: EDGE.left, y2: bottom }),
      svg("text", { x: EDGE.left - 6, y: y(high) + 4, "text-anchor": "end" }, number(high)),
      svg("text", { x: EDGE.left - 6, y: bottom + 4, "text-anchor": "end" }, number(low)),
      svg("text", { x: EDGE.left, y: HEIGHT - 12 }, "epoch 1"),
      svg("text", { x: WIDTH - EDGE.right, y: HEIGHT - 12, "text-anchor": "end" }, `epoch ${run.epochs}`),
    );
    const markers = names.map((name, i) => {
      const points = run.history[name].map((v, e) => (v === null ? null : `${x(e + 1).toFixed(1)},${y(v).toFixed(1)}`));
      const colour = LINES[i % 4];
      chart.append(svg("polyline", {
        class: "line", points: points.filter(Boolean).join(" "), stroke: colour, "stroke-dasharray": DASHES[i % 4],
      }));
      const left = EDGE.left + 8 + i * 110;
      chart.append(svg("line", {
        x1: left, y1: 10, x2: left + 22, y2: 10, stroke: colour, "stroke-width": 2, "stroke-dasharray": DASHES[i % 4],
      }));
      chart.append(svg("text", { x: left + 27, y: 14 }, name));
      const dot = svg("circle", { r: 4.5, fill: colour });
      chart.append(dot);
      return { dot, values: run.history[name] };
    });
    const line = svg("line", { class: "now", y1: EDGE.top, y2: bottom });
    chart.append(line);
    find("film-curves").append(chart);
    return (epoch) => {
      const at = Math.max(1, epoch);
      line.setAttribute("x1", x(at));
      line.setAttribute("x2", x(at));
      for (const { dot, values: column } of markers) {
        const v = column[at - 1];
        dot.setAttribute("visibility", epoch === 0 || v === null || v === undefined ? "hidden" : "visible");
        dot.setAttribute("cx", x(at));
        dot.setAttribute("cy", y(v ?? 0));
      }
    };
  }

  const names = Object.keys(run.history);
  const curves = !find("film-curves") ? [] : [
    curve("loss", names.filter((name) => name.includes("loss"))),
    curve("metrics", names.filter((name) => !name.includes("loss"))),
  ].filter(Boolean);

  // ---- the network: lines and circles are in data order

  const lines = [...document.querySelectorAll("#film-network .arrows line")];
  const circles = [...document.querySelectorAll("#film-network .nodes circle")];

  function showNetwork(epoch) {
    const now = run.network[epoch];
    if (!now) return;
    lines.forEach((line, i) => {
      const w = now.weights[i];
      const size = w === null ? 1 : Math.min(1, Math.abs(w));
      line.setAttribute("stroke", w === null ? "#C00000" : (w >= 0 ? BLUE : VERMILLION));
      line.setAttribute("stroke-width", (0.4 + 4.1 * size).toFixed(2));
      line.setAttribute("stroke-opacity", (0.25 + 0.75 * size).toFixed(2));
      if (w < 0) line.setAttribute("stroke-dasharray", "5 3");
      else line.removeAttribute("stroke-dasharray");
    });
    circles.forEach((circle, i) => {
      const v = now.values[i];
      circle.setAttribute("fill", v === null ? "#ffffff" : (v >= 0 ? BLUE : VERMILLION));
      circle.setAttribute("fill-opacity", v === null ? 1 : Math.min(1, Math.abs(v)));
    });
  }

  // ---- words and numbers

  function showHealth(epoch) {
    if (!find("film-words")) return;
    const now = run.health[epoch - 1];
    const words = now ? now.words : ["before training: the weights are set at random"];
    find("film-words").replaceChildren(...words.map((text) => h("li", {}, text)));
    const rows = now ? now.layers : [];
    const head = ["layer", "gradient norm", "weight change", "units that never fire"];
    const cells = rows.map(([name, gradient, moved, dead]) => [
      name || "(the model)", gradient === null ? "not finite" : number(gradient),
      moved === null ? "not finite" : `${number(100 * moved)}%`, dead === null ? "" : `${Math.round(100 * dead)}%`,
    ]);
    find("film-health").replaceChildren(
      h("thead", {}, h("tr", {}, ...head.map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, ...cells.map((row) => h("tr", {}, ...row.map((text) => h("td", {}, text))))),
    );
  }

  function showLine(epoch) {
    const said = epoch === 0 ? ["before the first epoch"] : names.map((name) => {
      const v = run.history[name][epoch - 1];
      return `${name} ${v === null || v === undefined ? "NaN" : number(v)}`;
    });
    if (epoch > 0) said.push(`learning rate ${number(run.health[epoch - 1].lr)}`);
    find("film-line").textContent = said.join(" · ");
  }

  const walker = document.querySelector(".surface .walker");
  makePlayer(find("film-player"), {
    count: run.epochs + 1, name: "epoch", hash: "epoch", delay: Math.max(120, Math.min(600, 9000 / run.epochs)),
    start: run.epochs,
    label: (epoch) => `epoch ${epoch} of ${run.epochs}`,
    show: (epoch) => {
      showLine(epoch);
      showSamples(epoch);
      curves.forEach((move) => move(epoch));
      showNetwork(epoch);
      if (plane) area.setAttribute("href", plane.images[epoch]);
      showHealth(epoch);
      if (walker && run.path[epoch]) {
        walker.setAttribute("cx", run.path[epoch][0]);
        walker.setAttribute("cy", run.path[epoch][1]);
      }
    },
  });
})();
