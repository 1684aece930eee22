// Curves: loss and accuracy, the prediction of the followed sample, and the loss along the gradient.
/* global h, svg, number */
"use strict";

const CHART = { width: 320, height: 150, left: 44, right: 10, top: 26, bottom: 24 };

// A chart of lines; `draw` gives it new ones.  A line has values, a class and a name.
function makeChart(root, title, { xName, low, high }) {
  const { width, height, left, right, top, bottom } = CHART;
  const chart = svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img" });
  root.append(h("figure", {}, chart));
  const base = height - bottom;

  function draw(xs, lines, { label, marks = [], cap = null } = {}) {
    const all = lines.flatMap((line) => line.values).filter((v) => v !== null);
    const bottomOf = low ?? Math.min(...all);
    const topOf = high ?? Math.min(cap ?? Infinity, Math.max(...all, bottomOf + 1e-6));
    const first = xs[0] ?? 0;
    const last = Math.max(xs[xs.length - 1] ?? 1, first + 1e-9);
    const x = (v) => left + ((width - left - right) * (v - first)) / (last - first || 1);
    const y = (v) => base - ((base - top) * (Math.max(v, bottomOf) - bottomOf)) / (topOf - bottomOf || 1);
    const parts = [
      svg("text", { class: "title", x: 0, y: 13 }, title),
      svg("line", { class: "axis", x1: left, x2: width - right, y1: base, y2: base }),
      svg("line", { class: "axis", x1: left, x2: left, y1: top, y2: base }),
      svg("text", { x: left - 5, y: top + 8, "text-anchor": "end" }, all.length ? number(Number(topOf.toPrecision(3))) : ""),
      svg("text", { x: left - 5, y: base, "text-anchor": "end" }, all.length ? number(Number(bottomOf.toPrecision(3))) : ""),
      marks.length ? "" : svg("text", { x: left, y: height - 8 }, number(Number(first.toPrecision(3)))),
      svg("text", { x: width - right, y: height - 8, "text-anchor": "end" }, `${xName} ${number(Number(last.toPrecision(4)))}`),
    ];
    const every = Math.max(1, Math.floor(xs.length / 300));
    let place = width - right;
    for (const line of [...lines].reverse()) {
      const length = 32 + 5.8 * line.name.length;
      place -= length;
      parts.push(
        svg("line", { class: `stroke ${line.kind}`, x1: place, x2: place + 20, y1: 9, y2: 9 }),
        svg("text", { x: place + 24, y: 13 }, line.name));
      const dots = xs.map((v, i) => [v, line.values[i], i]).filter(([, v, i]) => v !== null && (cap === null || v <= topOf) && (i % every === 0 || i === xs.length - 1));
      const pairs = dots.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`);
      parts.push(svg("polyline", { class: `stroke ${line.kind}`, points: pairs.join(" ") }));
      if (dots.length === 1) parts.push(svg("circle", { class: `dot ${line.kind}`, cx: x(dots[0][0]), cy: y(dots[0][1]), r: 3 }));
    }
    for (const { at, value, name, kind, anchor } of marks) {
      if (value === null || value === undefined) continue;
      parts.push(
        svg("line", { class: "drop", x1: x(at), x2: x(at), y1: base, y2: y(Math.min(topOf, value)) }),
        svg("circle", { class: `dot ${kind}`, cx: x(at), cy: y(Math.min(topOf, value)), r: 4.5 }),
        svg("text", { x: x(at), y: height - 8, "text-anchor": anchor }, name));
    }
    chart.setAttribute("aria-label", label || title);
    chart.replaceChildren(...parts);
  }
  return draw;
}

function makeCharts(root) {
  const losses = makeChart(root, "Loss", { xName: "epoch", low: 0 });
  const scores = makeChart(root, "Accuracy", { xName: "epoch", low: 0, high: 1 });
  const beliefs = makeChart(root, "Prediction", { xName: "epoch" });
  const sure = makeChart(root, "Prediction", { xName: "epoch", low: 0, high: 1 });
  const along = makeChart(root, "Loss along the gradient", { xName: "steps" });
  const [, score, belief, certain] = root.children;

  return (app) => {
    const { history, data, frame } = app;
    const xs = history.map((row) => row.epoch);
    const of = (name) => history.map((row) => row[name]);
    const now = history[history.length - 1];
    const two = (name) => [
      { name: "training", values: of(name), kind: "solid" },
      { name: "held out", values: of(`held ${name}`), kind: "dashed" },
    ];
    losses(xs, two("loss"), { label: `Loss: ${now.loss} on the training samples, ${now["held loss"]} held out` });
    scores(xs, two("accuracy"), { label: `Accuracy: ${now.accuracy} on the training samples, ${now["held accuracy"]} held out` });
    score.querySelector(".title").textContent = data.classes ? "Accuracy" : "Explained variance";
    belief.hidden = data.classes;
    certain.hidden = !data.classes;
    const lines = data.outputs.map((name, i) => ({ name, values: history.map((row) => row.prediction[i]), kind: i ? "negative" : "positive" }));
    const wanted = data.classes ? data.outputs.map((_, i) => (app.label === i ? 1 : 0)) : [app.label];
    (data.classes ? sure : beliefs)(xs, lines, { label: `Prediction of the followed sample: ${now.prediction.join(", ")}; wanted ${wanted.join(", ")}` });
    if (!data.classes) belief.querySelector(".title").textContent = `Prediction → ${number(app.label)}`;
    else certain.querySelector(".title").textContent = `Prediction → [${wanted.join(", ")}]`;
    showAlong(frame.along);
  };

  function showAlong(found) {
    const shares = found ? found.shares : [-0.5, 3.5];
    const start = found ? found.gradient[shares.indexOf(0)] : null;
    const lines = found ? [{ name: "gradient", values: found.gradient, kind: "positive" }] : [];
    if (found && found.step) lines.push({ name: "step", values: found.step, kind: "negative dashed" });
    const end = found ? (found.step || found.gradient)[shares.indexOf(1)] : null;
    const least = Math.min(...lines.flatMap((line) => line.values).filter((v) => v !== null));
    const most = found && start !== null && end !== null ? Math.max(start, end) : null;
    along(shares, lines, {
      cap: most === null ? null : most + 0.5 * (most - least), // elsewhere the loss may be a thousand times as high
      label: found ? `The loss of the batch is ${start} before the step and ${end} after it` : "The loss along the gradient, after a backward pass",
      marks: found ? [
        { at: 0, value: start, name: "before", kind: "solid", anchor: "end" },
        { at: 1, value: end, name: "after", anchor: "start", kind: found.step ? "negative" : "positive" },
      ] : [],
    });
  }
}
