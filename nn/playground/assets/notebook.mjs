// The playground in a notebook: its page in a frame, whose messages go to the kernel and back.

function render({ model, el }) {
  const frame = document.createElement("iframe");
  frame.title = "The playground";
  frame.srcdoc = model.get("page");
  frame.style.cssText = "width: 100%; height: 900px; border: 1px solid #999; border-radius: 6px";
  const ask = (event) => {
    if (event.source === frame.contentWindow && event.data.playground) model.send(event.data.playground);
  };
  const answer = (message) => frame.contentWindow.postMessage({ answer: message }, "*");
  window.addEventListener("message", ask);
  model.on("msg:custom", answer);
  el.append(frame);
  return () => {
    window.removeEventListener("message", ask);
    model.off("msg:custom", answer);
  };
}

export default { render };
