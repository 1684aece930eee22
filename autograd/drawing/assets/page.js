// Shared by all pages: reading the data, making elements, the dark and light button, and the player.
// Text is only ever added as text: no user string is parsed as markup.
"use strict";

function pageData() {
  return JSON.parse(document.getElementById("data").textContent);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  for (const child of children) {
    if (child !== null && child !== undefined) element.append(child);
  }
  return element;
}

function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function calm() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

function number(x) {
  if (x === 0) return "0";
  const size = Math.abs(x);
  const text = size >= 1e5 || size < 1e-4 ? x.toExponential(2) : String(Number(x.toPrecision(4)));
  return text.replace("-", "−");
}

// The colours follow the reader's system until the button is used.  A page in a frame of another page follows that one.
(function theme() {
  const ASK = "plaingrad: dark or light?";
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = h("button", { class: "theme", type: "button" });
  let chosen = null;
  const isDark = () => (chosen === null ? system.matches : chosen);
  const answer = (frame) => frame.postMessage({ plaingradDark: isDark() }, "*");
  const show = () => {
    document.documentElement.dataset.theme = isDark() ? "dark" : "light";
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", isDark() ? "Use light colours" : "Use dark colours");
    document.querySelectorAll("iframe").forEach((frame) => answer(frame.contentWindow));
  };
  button.addEventListener("click", () => {
    chosen = !isDark();
    show();
  });
  window.addEventListener("message", ({ source, data }) => {
    if (data === ASK && source) answer(source);
    else if (window !== window.parent && source === window.parent && typeof data?.plaingradDark === "boolean") {
      button.remove();
      chosen = data.plaingradDark;
      show();
    }
  });
  system.addEventListener("change", show);
  document.body.prepend(button);
  show();
  if (window !== window.parent) window.parent.postMessage(ASK, "*"); // a notebook does not answer: the button stays
})();

// What is wider than its place scrolls sideways, and says so.
(function sideways() {
  const places = document.querySelectorAll(".scroll, .network, .landscape");
  const tell = () => places.forEach((place) => place.classList.toggle("wider", place.scrollWidth > place.clientWidth + 1));
  const sizes = new ResizeObserver(tell);
  for (const place of places) [place, ...place.children].forEach((element) => sizes.observe(element));
})();

// Buttons, a slider and arrow keys for `count` steps; calls `show(step)` for each, and `label(step)` for its name.
// With a `hash`, the address holds the step: #step=12.
function makePlayer(root, { count, show, label, hash, delay = 900, name = "step", start = 0 }) {
  let step = -1;
  let timer = null;
  const last = Math.max(0, count - 1);
  const slider = h("input", { type: "range", min: 0, max: last, value: 0, "aria-label": name });
  const output = h("output", {});
  const play = h("button", { type: "button", class: "play" }, "Play");
  const go = (to) => {
    const wanted = Math.min(last, Math.max(0, Math.round(to) || 0));
    if (wanted === step) return;
    step = wanted;
    slider.value = step;
    output.textContent = label ? label(step) : `${name} ${step + 1} of ${count}`;
    slider.setAttribute("aria-valuetext", output.textContent);
    show(step);
    if (hash && location.protocol !== "about:") history.replaceState(null, "", `#${hash}=${step + 1}`); // not in a frame
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  };
  const toggle = () => {
    if (timer !== null) return stop();
    if (step === last) go(0);
    play.textContent = "Pause";
    timer = setInterval(() => {
      go(step + 1);
      if (step === last) stop();
    }, delay);
  };
  const button = (text, title, move) => {
    const made = h("button", { type: "button", title, "aria-label": title }, text);
    made.addEventListener("click", () => {
      stop();
      move();
    });
    return made;
  };
  play.addEventListener("click", toggle);
  slider.addEventListener("input", () => {
    stop();
    go(Number(slider.value));
  });
  root.classList.add("player");
  root.append(
    button("|◀", `first ${name}`, () => go(0)),
    button("◀", `previous ${name}`, () => go(step - 1)),
    play,
    button("▶", `next ${name}`, () => go(step + 1)),
    button("▶|", `last ${name}`, () => go(last)),
    slider,
    output,
  );
  const keys = { ArrowRight: 1, ArrowLeft: -1 };
  const pressed = (event) => {
    if (event.target === slider || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key in keys) go(step + keys[event.key]);
    else if (event.key === "Home") go(0);
    else if (event.key === "End") go(last);
    else return;
    stop();
    event.preventDefault();
  };
  (hash ? document : root).addEventListener("keydown", pressed);
  const fromHash = () => {
    const found = hash && new RegExp(`^#${hash}=(\\d+)$`).exec(location.hash);
    return found ? Number(found[1]) - 1 : null;
  };
  window.addEventListener("hashchange", () => {
    if (fromHash() !== null) go(fromHash());
  });
  go(fromHash() ?? start);
  return { go, stop, get step() { return step; } };
}
