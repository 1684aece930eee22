// The numbers behind what was clicked: a weight and its step, or a node, its weighted sum and its activation.
/* global h, svg, number, nodeName */
"use strict";

function said(v) {
  return v === null || v === undefined ? "not finite" : number(v);
}

function table(rows) {
  return h("table", { class: "numbers" }, h("tbody", {}, ...rows.filter(Boolean).map(([name, value, note]) => h("tr", {},
    h("th", { scope: "row" }, name), h("td", {}, value), h("td", { class: "hint" }, note || "")))));
}

// Old value, gradient, learning rate x gradient and new value of one weight or bias.
function stepRows(word, now, moved, frame) {
  if (!moved) return [[word, said(now), ""], [`d(loss)/d(${word})`, "–", "not computed yet: press Backward or Batch"]];
  const done = frame.stage !== "backward";
  const which = frame.stage === "forward" || frame.stage === "loss" ? "last batch" : "batch";
  return [
    [done ? `old ${word}` : word, said(moved.old), ""],
    [`d(loss)/d(${word})`, said(moved.gradient), `mean over the ${which}`],
    ["learning rate × gradient", said(moved.rate), `${number(frame.rate)} × ${said(moved.gradient)}`],
    [`new ${word}`, said(moved.new), done ? "is in the network now" : "after the update"],
  ];
}

function stepSentence(app) {
  const { optimizer, decay } = app.settings;
  if (optimizer === "sgd" && !decay) return "SGD: new weight = old weight − learning rate × gradient.";
  const parts = [];
  if (optimizer === "momentum") parts.push("With momentum, 0.9 of the last step is added to this one.");
  if (optimizer === "rmsprop") parts.push("RMSprop divides the gradient by the root of its recent mean square.");
  if (optimizer === "adam") parts.push("Adam divides the mean of recent gradients by the root of their mean square.");
  if (decay) parts.push(`Weight decay adds ${number(decay)} × weight to the gradient.`);
  return `${parts.join(" ")} So the step is not just learning rate × gradient.`;
}

function showDetails(root, app) {
  const { frame, chosen, data } = app;
  const sizes = [data.inputs.length, ...app.settings.hidden, data.outputs.length];
  const name = (column, i) => nodeName(data, sizes, column, i);
  if (!chosen) {
    root.replaceChildren(h("h2", {}, "Numbers"), h("p", { class: "hint" },
      "Click an arrow for its weight, its gradient and its next step, or a node for its weighted sum and its activation."));
  } else if (chosen.from !== undefined) {
    root.replaceChildren(...arrowDetails(app, name));
  } else {
    root.replaceChildren(...nodeDetails(app, name, sizes));
  }

  function arrowDetails() {
    const { column, i, from } = chosen;
    const layer = frame.weights[column - 1];
    const moved = layer.moved && Object.fromEntries(Object.entries(layer.moved).map(([key, [w]]) => [key, w[i][from]]));
    return [
      h("h2", {}, `Weight: ${name(column - 1, from)} → ${name(column, i)}`),
      table(stepRows("weight", layer.weight[i][from], moved, frame)),
      h("p", { class: "hint" }, stepSentence(app)),
    ];
  }

  function nodeDetails() {
    const { column, i } = chosen;
    const value = frame.columns[column].values[i];
    const title = h("h2", {}, `Node: ${name(column, i)}`);
    const who = frame.shown.inside ? "the first sample of the batch" : "the followed sample";
    if (column === 0) return [title, table([["value", said(value), who]]), h("p", { class: "hint" }, "An input: a measure of the sample.")];
    const layer = frame.weights[column - 1];
    const before = frame.columns[column - 1].values;
    const sum = frame.columns[column].sums[i];
    const output = column === sizes.length - 1;
    const activation = output ? (data.classes ? "softmax" : "none") : app.settings.activation;
    const slope = frame.columns[column].slopes ? frame.columns[column].slopes[i] : null;
    const terms = before.map((v, from) => h("span", { class: "term" }, `${said(layer.weight[i][from])} × ${said(v)}`));
    const moved = layer.moved && Object.fromEntries(Object.entries(layer.moved).map(([key, parts]) => [key, parts[1][i]]));
    const plotted = activationPlot(app, activation, sum, value, i);
    return [
      title,
      h("div", { class: "side-by-side" },
        h("div", {},
          h("p", { class: "sum" }, "weighted sum = ", ...terms.flatMap((term, k) => (k ? [" + ", term] : [term])),
            " + ", h("span", { class: "term" }, `bias ${said(layer.bias[i])}`), " = ", h("strong", {}, said(sum))),
          h("p", { class: "sum" }, `${activation === "none" ? "no activation" : activation}: `, h("strong", {}, said(value)),
            h("span", { class: "hint" }, ` for ${who}`)),
          activation === "softmax" ? h("p", { class: "hint" }, "softmax is e^sum over the total of e^sum of all outputs. On the curve, the other sums are held.") : null,
          slope === null ? null : h("p", { class: "sum" }, "d(loss)/d(sum) = ", h("strong", {}, said(slope)), h("span", { class: "hint" }, " for this sample")),
        ),
        plotted),
      table(stepRows("bias", layer.bias[i], moved, frame)),
    ];
  }
}

// The curve of the activation with the point of this node on it.
function activationPlot(app, activation, sum, value, i) {
  const xs = app.choices.curve;
  const ys = activation === "softmax" ? app.frame.outputs[i] : app.choices.activations[activation];
  const [width, height, edge] = [170, 112, 10];
  const shown = ys.filter((v) => v !== null);
  const low = Math.min(0, ...shown);
  const high = Math.max(1, ...shown);
  const held = (v, a, b) => Math.min(b, Math.max(a, v));
  const x = (v) => edge + ((width - 2 * edge) * (held(v, xs[0], xs[xs.length - 1]) - xs[0])) / (xs[xs.length - 1] - xs[0]);
  const y = (v) => height - edge - ((height - 2 * edge) * (held(v, low, high) - low)) / (high - low);
  const line = xs.map((v, k) => `${x(v).toFixed(1)},${y(ys[k] ?? 0).toFixed(1)}`).join(" ");
  const plot = svg("svg", {
    class: "activation", viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
    "aria-label": `the curve of ${activation} with this node at ${said(sum)}, ${said(value)}`,
  },
  svg("line", { class: "axis", x1: edge, x2: width - edge, y1: y(0), y2: y(0) }),
  svg("line", { class: "axis", x1: x(0), x2: x(0), y1: edge, y2: height - edge }),
  svg("polyline", { class: "curve-line", points: line }));
  if (sum !== null && value !== null) {
    plot.append(
      svg("line", { class: "drop", x1: x(sum), x2: x(sum), y1: y(0), y2: y(value) }),
      svg("circle", { class: "here", cx: x(sum), cy: y(value), r: 5 }));
  }
  plot.append(svg("text", { x: width - edge, y: height - 1, "text-anchor": "end" }, "weighted sum"));
  return plot;
}
