() => {
  // Runs once, when the page has loaded. Everything listens on the document, so it outlives any redrawing.
  const pages = { decide: "What should I do?", transfer: "What transfers?", models: "Which network?" };

  // The address says which page is shown.
  const show = (event) => {
    const wanted = location.hash.slice(1);
    const name = wanted in pages ? wanted : "decide";
    document.documentElement.dataset.page = name;
    document.title = `${pages[name]} - headstart`;
    for (const link of document.querySelectorAll(".hs-nav a")) {
      if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (event) {
      scrollTo(0, 0);
      document.querySelector(`#page-${name} h1`)?.focus();
    }
  };
  addEventListener("hashchange", show);
  const ready = () => (document.querySelector(".hs-nav") ? show() : requestAnimationFrame(ready));
  ready();

  // Copying. Away from this machine a browser may withhold its clipboard: then the old way.
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = Object.assign(document.createElement("textarea"), { value: text });
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  };

  // What a point, a row or a heading chooses is put into the field that holds the choice.
  const choose = (name, value) => {
    const field = document.querySelector(`[data-field="${name}"]`);
    const control = field?.querySelector("select, input");
    if (!control) return;
    control.value = value;
    control.dispatchEvent(new Event("input", { bubbles: true }));
  };

  const open = new Map(); // what the user unfolded stays so when the answer is redrawn
  document.addEventListener("click", async (event) => {
    const at = (selector) => event.target.closest?.(selector);
    const button = at("[data-copies]");
    if (button) {
      const done = await copy(document.getElementById(button.dataset.copies).textContent);
      const told = document.getElementById("hs-status");
      told.textContent = done ? `${button.dataset.what} copied` : "copying is not allowed here: select the text instead";
      const label = button.querySelector("span");
      label.textContent = done ? "Copied" : "Not allowed here";
      setTimeout(() => (label.textContent = button.dataset.label), 1500);
      return;
    }
    const chooser = at("[data-chooses]");
    const value = at("[data-value]");
    if (chooser && value) return choose(chooser.dataset.chooses, value.dataset.value);
    const fold = at("summary")?.parentElement;
    if (fold?.dataset.fold) open.set(fold.dataset.fold, !fold.open);
  });
  new MutationObserver((changes) => {
    for (const { target } of changes) {
      const kept = open.get(target.dataset?.fold);
      if (kept !== undefined && target.open !== kept) target.open = kept;
    }
  }).observe(document.body, { attributes: true, attributeFilter: ["open"], subtree: true });

  // The name of a point beside the pointer.
  const tip = Object.assign(document.createElement("div"), { className: "hs-tip", hidden: true });
  tip.setAttribute("aria-hidden", "true");
  (document.querySelector(".gradio-container") ?? document.body).append(tip);
  document.addEventListener("pointermove", (event) => {
    const point = event.target.closest?.(".hs-plot circle[data-value]");
    tip.hidden = !point;
    if (!point) return;
    tip.textContent = point.dataset.value;
    tip.style.left = `${Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${event.clientY + 14}px`;
  });
}
