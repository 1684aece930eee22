// Colours and small pictures: what a node responds to, points of the data, and the face of an animal.
/* global svg */
"use strict";

const palette = { paper: [255, 255, 255], blue: [0, 114, 178], vermillion: [213, 94, 0] };

// The colours of the theme as numbers, because a canvas does not read styles.
function readPalette() {
  const style = getComputedStyle(document.documentElement);
  for (const name of Object.keys(palette)) {
    const hex = style.getPropertyValue(`--${name}`).trim();
    palette[name] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  }
}

// Paint the bytes of a node's plane.  `colour(v)` gives a colour and its strength from 0 to 1 for a value v.
function paintPlane(canvas, text, scale, grid, colour) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(grid, grid);
  const raw = atob(text);
  const table = Array.from({ length: 256 }, (_, byte) => {
    const [end, share] = colour(((byte - 128) / 127) * (scale ?? 0));
    return end.map((v, i) => palette.paper[i] + share * (v - palette.paper[i]));
  });
  for (let i = 0; i < raw.length; i += 1) {
    const [r, g, b] = table[raw.charCodeAt(i)];
    image.data.set([r, g, b, 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
}

// Blue for positive and vermillion for negative values, paler near 0.
function bySign(scale, most = 1) {
  return (v) => [v >= 0 ? palette.blue : palette.vermillion, most * Math.min(1, Math.abs(v) / (scale || 1))];
}

// The probability of a class, in the colour of that class.
function byClass(i) {
  return (v) => [i === 0 ? palette.blue : palette.vermillion, Math.min(1, Math.max(0, v)) * 0.95];
}

// Two classes in one picture: the colour of the likelier one, paler where the network is in doubt.
function byDoubt(v) {
  return [v >= 0.5 ? palette.blue : palette.vermillion, 0.5 * Math.min(1, Math.abs(2 * v - 1))];
}

// A point is a circle in class 0 and a square in class 1, so that its kind does not hang on its colour.
function mark(x, y, label, classes, size) {
  const positive = classes ? label === 0 : label >= 0;
  const kind = positive ? "positive" : "negative";
  if (!classes) {
    const shown = svg("circle", { cx: x, cy: y, r: size, class: `point ${kind}` });
    shown.style.fillOpacity = String(Math.min(1, 0.2 + Math.abs(label)));
    return shown;
  }
  if (positive) return svg("circle", { cx: x, cy: y, r: size, class: `point ${kind}` });
  const half = size * 0.9;
  return svg("rect", { x: x - half, y: y - half, width: 2 * half, height: 2 * half, class: `point ${kind}` });
}

// A face drawn from its two measures: how far its ears stand up, and how long its muzzle is.
function face(ears, muzzle) {
  const up = Math.max(-1.3, Math.min(1.3, ears));
  const long = Math.max(-1.3, Math.min(1.3, muzzle));
  const turn = 62 - 62 * up; // degrees: 0 points up, 124 hangs down
  const drawn = svg("svg", { class: "face", viewBox: "-50 -52 100 100", role: "img", "aria-label": "a drawing of this animal" });
  for (const side of [-1, 1]) {
    const round = 9 + 5 * (1 - up) / 2;
    const path = `M-${round},6 Q-${round},-14 0,-${30 + 3 * up} Q${round},-14 ${round},6 Z`;
    drawn.append(svg("path", { class: "ear", d: path, transform: `translate(${20 * side},-20) rotate(${side * (8 + turn)})` }));
  }
  drawn.append(svg("ellipse", { class: "head", cx: 0, cy: 0, rx: 31, ry: 29 }));
  const size = 10 + 4 * long;
  const nose = 8 + 7 * long;
  drawn.append(
    svg("ellipse", { class: "muzzle", cx: 0, cy: 12 + 5 * long, rx: size + 3, ry: size }),
    svg("ellipse", { class: "dark", cx: 0, cy: nose, rx: 3.5 + 1.5 * long, ry: 2.6 + 1.1 * long }),
    svg("path", { class: "whiskers", d: [-1, 1].map((side) => [-3, 1, 5].map((rise) => `M${side * (size + 7)},${10 + 4 * long + rise} l${side * 15},${rise / 2 - 1}`).join("")).join("") }),
    svg("path", { class: "mouth", d: `M0,${nose + 3} v4 m0,0 q-3,4 -7,2 m7,-2 q3,4 7,2` }),
  );
  for (const side of [-1, 1]) drawn.append(svg("circle", { class: "dark", cx: 12 * side, cy: -8, r: 3.4 }));
  return drawn;
}
