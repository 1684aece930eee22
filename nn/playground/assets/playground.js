// The playground: controls, what they ask of the session, and what is shown of its answers.
/* global pageData, h, svg, number, palette, readPalette, paintPlane, byDoubt, bySign, mark, face, makeNetwork, showDetails, makeCharts */
"use strict";

(function playground() {
  const given = pageData();
  const { choices } = given;
  const find = (id) => document.getElementById(id);
  const saved = Boolean(given.frame);
  const framed = location.protocol === "about:"; // in a notebook, whose window carries the messages
  const app = { choices, settings: { ...choices.settings }, history: [], frame: null, points: null, chosen: null, running: false, wrong: "" };
  let send = () => {};

  // ---- messages

  function receive(answer) {
    if (answer.error) return takeError(answer.error);
    if (answer.points) takePoints(answer.points);
    if (answer.running !== undefined) showRunning(answer.running);
    if (answer.code) showCode(answer.code);
    if (answer.file) download(answer.file);
    if (answer.frame) {
      takeFrame(answer.frame, answer.since);
      send({ do: "seen" });
      toAddress();
    }
  }

  function connect() {
    if (framed) {
      send = (message) => window.parent.postMessage({ playground: message }, "*");
      window.addEventListener("message", (event) => {
        if (event.source === window.parent && event.data && event.data.answer) receive(event.data.answer);
      });
      return start();
    }
    const socket = new WebSocket(`${location.origin.replace("http", "ws")}${location.pathname}session`);
    socket.addEventListener("open", () => {
      send = (message) => socket.send(JSON.stringify(message));
      start();
    });
    socket.addEventListener("message", (event) => receive(JSON.parse(event.data)));
    socket.addEventListener("close", () => {
      send = () => {};
      showRunning(false);
      find("sentence").classList.add("wrong");
      tell("The playground has ended. Start it again with python -m nn.playground.", true);
    });
  }

  // ---- settings, which the address holds

  function fromAddress() {
    const found = { ...given.settings };
    for (const [name, value] of new URLSearchParams(location.hash.slice(1))) found[name] = value;
    return found;
  }

  function toAddress() {
    if (framed || saved) return;
    const changed = Object.entries(app.settings).filter(([name, value]) => String(value) !== String(choices.settings[name]));
    const text = new URLSearchParams(changed.map(([name, value]) => [name, String(value)])).toString().replaceAll("%2C", ",");
    history.replaceState(null, "", text ? `#${text}` : location.pathname);
  }

  function start() {
    send({ do: "start", settings: fromAddress() });
  }

  function change(name, value) {
    app.wrong = "";
    if (name === "lr") send({ do: "rate", lr: value });
    else send({ do: "start", settings: { ...app.settings, [name]: value, ...(name === "data" ? { follow: -1 } : {}) } });
  }

  // The session has refused something and changed nothing: so do the controls.  A wrong address gives the defaults.
  function takeError(text) {
    app.wrong = text;
    tell(text, true);
    if (app.points) showSettings();
    else send({ do: "start", settings: {} });
  }

  window.addEventListener("hashchange", start);

  // ---- the bar

  function button(text, action, label, kind) {
    const made = h("button", { type: "button", class: kind || null, "aria-label": label || null, title: label || null }, text);
    made.addEventListener("click", action);
    return made;
  }

  function ask(what) {
    return () => {
      app.wrong = "";
      send({ do: what });
    };
  }

  const run = button("▶ Run", () => ask(app.running ? "pause" : "run")(), null, "run");
  const stages = choices.stages.map((name, i) => button(`${i + 1} ${name[0].toUpperCase()}${name.slice(1)}`, ask(name), null, "stage-button"));
  const pace = h("select", { id: "pace" }, ...["slow", "normal", "fast"].map((name) => h("option", { value: name }, name)));
  pace.value = "normal";
  pace.addEventListener("change", () => send({ do: "pace", pace: pace.value }));
  const figures = Object.fromEntries(["epoch", "batch", "loss", "held-out loss", "held-out accuracy"].map((name) => [name, h("dd", {})]));

  function restart() {
    ask("pause")();
    send({ do: "start", settings: app.settings });
    tell("Started again from the same weights.");
  }

  function buildBar() {
    stages.forEach((element, i) => element.setAttribute("data-stage", choices.stages[i]));
    const tools = saved ? [] : [
      h("div", { class: "group" }, run, button("Epoch", ask("epoch"), "one epoch: all batches once"), button("Batch", ask("batch"), "one batch: one step of the optimiser"), button("↺ Restart", restart)),
      h("div", { class: "group stages", role: "group", "aria-label": "inside the batch" }, ...stages),
    ];
    const keep = [button("Show the code", () => (saved ? showCode(given.code) : send({ do: "code" })))];
    if (!saved) keep.push(button("Save model", () => send({ do: "save", name: "model.npz" })), button("Save page", () => send({ do: "save", name: "playground.html" })));
    find("transport").append(...tools, h("div", { class: "group keep" }, ...keep), h("p", { id: "sentence" }));
    find("figures").append(...Object.entries(figures).map(([name, value]) => h("div", {}, h("dt", {}, name), value)));
  }

  function showRunning(on) {
    if (app.running !== on) tell(on ? "Training." : "Paused.");
    app.running = on;
    run.textContent = on ? "❚❚ Pause" : "▶ Run";
    run.classList.toggle("on", on);
  }

  // ---- settings

  const fields = {};

  function field(name, title, options, note) {
    const control = h("select", { id: `set-${name}`, title: note || null }, ...options.map(([value, text]) => h("option", { value }, text)));
    control.disabled = saved;
    control.addEventListener("change", () => change(name, typeof choices.settings[name] === "number" ? Number(control.value) : control.value));
    fields[name] = control;
    return h("label", {}, h("span", {}, title), control);
  }

  function buildSettings() {
    const numbers = (list) => list.map((v) => [v, String(v)]);
    const seed = h("input", { id: "set-seed", type: "number", min: 0, max: 4294967295, step: 1 });
    seed.disabled = saved;
    seed.addEventListener("change", () => change("seed", Number(seed.value)));
    fields.seed = seed;
    const layers = (by) => () => {
      const hidden = [...app.settings.hidden];
      if (by > 0) hidden.push(hidden[hidden.length - 1] || 4);
      else hidden.pop();
      change("hidden", hidden);
    };
    const fewer = button("−", layers(-1), "one hidden layer fewer", "small");
    const more = button("+", layers(1), "one hidden layer more", "small");
    const count = h("output", { id: "layer-count" });
    fields.hidden = { set value(hidden) {
      count.textContent = hidden.length;
      fewer.disabled = saved || hidden.length === 0;
      more.disabled = saved || hidden.length >= choices.layers;
    } };
    find("settings").append(
      h("div", { class: "field", role: "group", "aria-label": "hidden layers" }, h("span", {}, "Hidden layers"), h("span", { class: "layer-size" }, fewer, count, more)),
      field("activation", "Activation", Object.keys(choices.activations).map((name) => [name, name])),
      field("optimizer", "Optimiser", Object.entries(choices.optimizers)),
      field("lr", "Learning rate", numbers(choices.rates), "from the next step on"),
      field("batch", "Batch size", choices.batches.map((n) => [n, n === 200 ? "all 200" : String(n)])),
      field("decay", "Weight decay", numbers(choices.decays)),
      field("noise", "Noise", numbers(choices.noises)),
      h("label", {}, h("span", {}, "Seed"), seed),
      saved ? "" : h("label", {}, h("span", {}, "Pace"), pace),
    );
    const tiles = Object.entries(choices.data).map(([name, data]) => {
      const drawn = svg("svg", { viewBox: "0 0 60 60", "aria-hidden": "true" });
      data.points.forEach(([a, b], i) => drawn.append(mark(30 + (26 * a) / choices.span, 30 - (26 * b) / choices.span, data.labels[i], data.classes, 1.7)));
      const radio = h("input", { type: "radio", name: "data", value: name, class: "unseen" });
      radio.disabled = saved;
      radio.addEventListener("change", () => change("data", name));
      fields[`data-${name}`] = radio;
      return h("label", { class: "tile" }, radio, drawn, h("span", {}, data.title));
    });
    find("sets").append(h("h2", {}, "Data"), h("div", { class: "tiles", role: "radiogroup", "aria-label": "Data" }, ...tiles));
  }

  // Show the settings of the session, also those that are on no list.
  function showSettings() {
    for (const [name, value] of Object.entries(app.settings)) {
      const control = fields[name];
      if (!control) continue;
      if (control.options && ![...control.options].some((option) => option.value === String(value))) {
        control.append(h("option", { value }, String(value)));
      }
      control.value = value;
    }
    fields[`data-${app.settings.data}`].checked = true;
  }

  // ---- the output: the plane, and the followed sample

  const plane = h("canvas", { width: choices.grid, height: choices.grid });
  const dots = svg("svg", { class: "dots", viewBox: "0 0 280 280", "aria-hidden": "true" });
  const held = h("input", { type: "checkbox", id: "held" });
  const person = h("div", { class: "person" });
  const at = (v) => 140 + (140 * v) / choices.span;

  function follow(by) {
    const count = app.points.heldX.length;
    followSample((app.frame.followed + by + count) % count);
  }

  function followSample(sample) {
    app.settings = { ...app.settings, follow: sample };
    send({ do: "follow", sample });
  }

  function buildOutput() {
    held.addEventListener("change", drawDots);
    const picture = h("div", { class: "plane", role: "img" }, plane, dots);
    if (!saved) {
      picture.addEventListener("click", (event) => {
        const box = picture.getBoundingClientRect();
        const [x, y] = [event.clientX - box.left, event.clientY - box.top].map((v) => (2 * v / box.width - 1) * choices.span);
        const far = app.points.heldX.map(([a, b]) => (a - x) ** 2 + (b + y) ** 2);
        followSample(far.indexOf(Math.min(...far)));
      });
    }
    const steps = saved ? [] : [button("◀", () => follow(-1), "follow the previous held-out sample", "small"), button("▶", () => follow(1), "follow the next held-out sample", "small")];
    find("output").append(
      h("h2", {}, "Output"), picture,
      h("div", { class: "under" }, h("label", { class: "check" }, held, " show held-out points"), h("span", { class: "group" }, h("span", { class: "hint", id: "follow-number" }), ...steps)),
      person);
  }

  function drawDots() {
    const { X, y, heldX, heldY } = app.points;
    const { data, frame } = app;
    const inside = new Set(frame && frame.stage !== "update" ? frame.rows : []);
    const all = X.map(([a, b], i) => [a, b, y[i], inside.has(i) ? "inside" : "", 3.2]);
    if (held.checked) all.push(...heldX.map(([a, b], i) => [a, b, heldY[i], "held", 3.2]));
    const marks = all.map(([a, b, label, kind, size]) => {
      const made = mark(at(a), at(-b), label, data.classes, kind === "inside" ? 5 : size);
      if (kind) made.classList.add(kind);
      return made;
    });
    const [a, b] = heldX[app.frame ? app.frame.followed : 0];
    const followed = mark(at(a), at(-b), heldY[app.frame ? app.frame.followed : 0], data.classes, 6);
    followed.classList.add("followed");
    dots.replaceChildren(...marks, svg("circle", { class: "ring", cx: at(a), cy: at(-b), r: 11 }), followed);
  }

  function showOutput() {
    const { frame, data, points } = app;
    const outputs = frame.columns[frame.columns.length - 1];
    paintPlane(plane, outputs.planes[0], outputs.scales[0], choices.grid, data.classes ? byDoubt : bySign(1, 0.8));
    drawDots();
    const row = app.history[app.history.length - 1];
    const sample = points.heldX[frame.followed];
    app.label = points.heldY[frame.followed];
    const wanted = data.classes ? data.outputs.map((_, i) => (app.label === i ? 1 : 0)) : [app.label];
    const name = data.classes ? data.outputs[app.label] : "sample";
    const said = row.prediction.map((p) => (p === null ? "NaN" : p.toFixed(2).replace("-", "−")));
    find("follow-number").textContent = `held-out sample ${frame.followed}`;
    plane.parentNode.setAttribute("aria-label", `What the network answers over the plane of ${data.inputs.join(" and ")}. The followed ${name} is at ${sample.join(", ")}.`);
    person.replaceChildren(
      app.settings.data === "animals" ? face(sample[0], sample[1]) : h("span", {}),
      h("div", { class: "belief" },
        h("p", { class: "who" }, h("strong", {}, data.classes ? `This ${app.settings.data === "animals" ? name : `${name} point`}` : "This point"), h("span", { class: "hint" }, ` is never trained on`)),
        ...(data.classes ? data.outputs.map((output, i) => {
          const bar = h("div", { class: i ? "negative" : "positive" });
          bar.style.width = `${100 * (row.prediction[i] ?? 0)}%`;
          return h("div", { class: "bar" }, h("span", {}, output), h("div", { class: "track" }, bar), h("span", {}, said[i]));
        }) : []),
        h("p", { class: "move" }, `[${said.join(", ")}] → [${wanted.map((v) => number(v)).join(", ")}]`)));
  }

  // ---- what is happening, in words

  function sentence() {
    const { frame, data } = app;
    const { shown } = frame;
    const size = frame.rows.length;
    const wanted = data.classes ? data.outputs[shown.y] : number(shown.y);
    const outputs = frame.columns[frame.columns.length - 1].values;
    if (!frame.finite) return "The loss is no longer a number: the steps were too long. Try a smaller learning rate, and Restart.";
    if (frame.stage === "forward") return `Forward: ${size} samples flow through the network, from left to right. The nodes show the first of them, whose label is ${wanted}.`;
    if (frame.stage === "loss") {
      return `Loss: ${data.classes ? `−log of the probability of ${wanted}, ${number(outputs[shown.y] ?? 0)},` : `(${number(outputs[0] ?? 0)} − ${number(shown.y)})²`} is ${number(shown.loss ?? 0)} for this sample. The mean over the batch is ${number(shown.meanLoss ?? 0)}.`;
    }
    if (frame.stage === "backward") return "Backward: d(loss)/d(weight) flows back to every weight; an arrow is as wide as its gradient is large. No weight has moved yet.";
    if (!size) return "The weights are random. Press Run, or go through one batch: Forward, Loss, Backward, Update.";
    return "Update: every weight moved against its gradient. The nodes show the sample that is followed.";
  }

  function showFigures() {
    const row = app.history[app.history.length - 1];
    const { frame, data } = app;
    const percent = (v) => (v === null ? "NaN" : `${(100 * v).toFixed(1)}%`);
    figures.epoch.textContent = String(frame.epoch);
    figures.batch.textContent = `${frame.batch + (frame.stage === "update" ? 0 : 1)}/${frame.batches}`;
    figures.loss.textContent = row.loss === null ? "NaN" : row.loss.toFixed(4);
    figures["held-out loss"].textContent = row["held loss"] === null ? "NaN" : row["held loss"].toFixed(4);
    const score = figures["held-out accuracy"];
    score.textContent = percent(row["held accuracy"]);
    score.previousSibling.textContent = data.classes ? "held-out accuracy" : "explained variance";
    const text = app.wrong || (app.running ? "Training: one epoch after another. Pause to look at the numbers." : sentence());
    find("sentence").textContent = text;
    find("sentence").classList.toggle("wrong", Boolean(app.wrong) || !frame.finite);
    stages.forEach((element) => element.classList.toggle("now", !app.running && frame.rows.length > 0 && element.dataset.stage === frame.stage));
    stages.forEach((element) => element.setAttribute("aria-pressed", String(element.classList.contains("now"))));
    tell(app.wrong || `Epoch ${frame.epoch}, batch ${frame.batch}, loss ${figures.loss.textContent}. ${text}`, Boolean(app.wrong));
  }

  let said = 0;

  // The line that screen readers hear: at most every three seconds while the network trains.
  function tell(text, wrong) {
    const now = Date.now();
    if (app.running && !wrong && now - said < 3000) return;
    said = now;
    find("live").textContent = text;
    if (wrong) find("sentence").textContent = text;
  }

  // ---- frames

  const network = makeNetwork(find("middle"), {
    select: (what) => {
      app.chosen = what;
      network.choose(what);
      redraw();
    },
    resize: (hidden) => change("hidden", hidden),
    mostNodes: choices.nodes,
    grid: choices.grid,
  });
  const drawCharts = makeCharts(find("charts"));

  function takePoints(points) {
    app.points = points;
    app.settings = points.settings;
    app.data = choices.data[points.settings.data];
    app.history = [];
    app.frame = null;
    if (network.build(app.data, app.settings.hidden)) {
      app.chosen = null;
      network.choose(null);
    }
    showSettings();
    toAddress();
  }

  function takeFrame(frame, since) {
    app.frame = frame;
    app.settings = { ...app.settings, lr: frame.lr };
    app.history.splice(since, app.history.length, ...frame.history);
    redraw();
  }

  function redraw() {
    if (!app.frame) return;
    network.show(app.frame);
    showOutput();
    showFigures();
    showDetails(find("details"), app);
    drawCharts(app);
  }

  // ---- the code, and files

  function showCode(text) {
    const copy = button("Copy", () => {
      navigator.clipboard.writeText(text).then(() => { copy.textContent = "Copied"; }, () => { copy.textContent = "Select and copy"; });
    });
    find("code").replaceChildren(
      h("h2", { id: "code-title" }, "The same in Python"),
      h("p", { class: "hint" }, "This program ends with exactly these weights."),
      h("pre", { tabindex: 0 }, text),
      h("div", { class: "group" }, copy, button("Close", () => find("code").close())));
    find("code").showModal();
  }

  function download({ name, kind, content }) {
    const data = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    const link = h("a", { download: name, href: URL.createObjectURL(new Blob([data], { type: kind })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    tell(`Saved ${name}.`);
  }

  // ---- begin

  readPalette();
  buildBar();
  buildSettings();
  buildOutput();
  new MutationObserver(() => {
    readPalette();
    redraw();
  }).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  let width = 0;
  new ResizeObserver(() => {
    if (find("middle").clientWidth === width) return;
    width = find("middle").clientWidth;
    if (app.data) network.rebuild();
    redraw();
  }).observe(find("middle"));
  if (saved) {
    takePoints(given.points);
    takeFrame(given.frame, 0);
  } else {
    connect();
  }
})();
