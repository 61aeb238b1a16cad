"use strict";
(() => {
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  const drawings = all(".graph svg");
  const off = new Set();
  let chosen = null;

  // ---- moving and zooming: the viewBox is the camera
  const cameras = new Map(drawings.map((svg) => {
    const { x, y, width, height } = svg.viewBox.baseVal;
    return [svg, { home: [x, y, width, height], now: [x, y, width, height] }];
  }));
  const current = () => drawings.find((svg) => !svg.hasAttribute("hidden"));
  const show = (svg) => svg.setAttribute("viewBox", cameras.get(svg).now.join(" "));

  function fit(svg) {
    // The whole if letters stay readable, else as much of its beginning as does.
    const camera = cameras.get(svg);
    const { width, height } = svg.getBoundingClientRect();
    const [x, y, w, h] = camera.home;
    const scale = Math.max(w / width, h / height);
    camera.now = scale > 2.2 && !camera.whole
      ? [x, y, width * 1.6, height * 1.6]
      : [x, y, w, h];
    camera.whole = !camera.whole;
    show(svg);
  }
  function zoom(svg, factor, at) {
    const camera = cameras.get(svg);
    const [x, y, w, h] = camera.now;
    const [px, py] = at || [x + w / 2, y + h / 2];
    const limit = Math.max(0.05, Math.min(factor, 20 * camera.home[2] / w));
    camera.now = [px - (px - x) * limit, py - (py - y) * limit, w * limit, h * limit];
    show(svg);
  }
  function point(svg, event) {
    const matrix = svg.getScreenCTM();
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    return [at.x, at.y];
  }
  function move(svg, dx, dy) {
    const now = cameras.get(svg).now;
    now[0] += dx;
    now[1] += dy;
    show(svg);
  }

  for (const svg of drawings) {
    svg.addEventListener("wheel", (event) => {
      event.preventDefault();
      zoom(svg, Math.exp(Math.max(-1, Math.min(1, event.deltaY / 300))), point(svg, event));
    }, { passive: false });
    let from = null;
    let moved = false;
    svg.addEventListener("pointerdown", (event) => {
      if (event.button === 0) { from = [event.clientX, event.clientY]; moved = false; }
    });
    svg.addEventListener("pointermove", (event) => {
      if (!from) return;
      const dx = event.clientX - from[0];
      const dy = event.clientY - from[1];
      if (!moved && Math.hypot(dx, dy) < 4) return;
      if (!moved) { svg.setPointerCapture(event.pointerId); svg.classList.add("moving"); }
      moved = true;
      const scale = 1 / svg.getScreenCTM().a;
      move(svg, -dx * scale, -dy * scale);
      from = [event.clientX, event.clientY];
    });
    const end = () => { from = null; svg.classList.remove("moving"); };
    svg.addEventListener("pointerup", end);
    svg.addEventListener("pointercancel", end);
    svg.addEventListener("click", (event) => {
      if (moved) { event.preventDefault(); event.stopPropagation(); moved = false; }
    }, true);
    svg.addEventListener("keydown", (event) => {
      const step = cameras.get(svg).now[2] / 12;
      const act = {
        ArrowLeft: () => move(svg, -step, 0), ArrowRight: () => move(svg, step, 0),
        ArrowUp: () => move(svg, 0, -step), ArrowDown: () => move(svg, 0, step),
        "+": () => zoom(svg, 0.8), "=": () => zoom(svg, 0.8), "-": () => zoom(svg, 1.25),
        0: () => fit(svg), Escape: () => choose(null),
      }[event.key];
      if (act && !event.ctrlKey && !event.metaKey) { event.preventDefault(); act(); }
    });
  }
  for (const button of all("[data-zoom]")) {
    button.addEventListener("click", () => {
      const svg = current();
      if (!svg) return;
      if (button.dataset.zoom === "fit") fit(svg);
      else zoom(svg, button.dataset.zoom === "in" ? 0.75 : 1.33);
    });
  }
  for (const button of all(".tools [data-view]")) {
    button.addEventListener("click", () => {
      for (const svg of drawings) svg.toggleAttribute("hidden", svg.dataset.view !== button.dataset.view);
      for (const other of all(".tools [data-view]")) {
        other.setAttribute("aria-pressed", String(other === button));
      }
      fit(current());
    });
  }

  // ---- choosing a step: its card opens, its neighbours in the graph stand out
  function choose(id, { scroll = true } = {}) {
    chosen = id;
    for (const element of all(".chosen, .near")) element.classList.remove("chosen", "near");
    const card = id && document.getElementById(id);
    if (!card || !card.classList.contains("step")) return;
    card.classList.add("chosen");
    for (let outer = card; outer; outer = outer.parentElement && outer.parentElement.closest("details")) {
      outer.open = true;
    }
    for (const node of all(`.node[data-step="${id}"]`)) node.classList.add("chosen");
    for (const edge of all(`.edge[data-from="${id}"], .edge[data-to="${id}"]`)) edge.classList.add("near");
    if (scroll) card.scrollIntoView({ block: "nearest" });
  }
  for (const node of all(".node")) {
    node.addEventListener("click", (event) => {
      event.preventDefault();
      history.replaceState(null, "", `#${node.dataset.step}`);
      choose(node.dataset.step);
    });
    node.addEventListener("dragstart", (event) => event.preventDefault());
  }
  for (const card of all(".step")) {
    card.addEventListener("toggle", () => {
      if (card.open && chosen !== card.id) choose(card.id, { scroll: false });
    });
  }
  addEventListener("hashchange", () => choose(location.hash.slice(1)));

  // ---- filters: by action and by words
  const find = document.getElementById("find");
  function filter() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const dim = new Set();
    for (const card of all(".step")) {
      const action = [...card.classList].find((name) => name.startsWith("a-")).slice(2);
      const address = card.dataset.address.toLowerCase();
      const fades = off.has(action) || !words.every((word) => address.includes(word));
      card.classList.toggle("dim", fades);
      if (fades) dim.add(card.id);
    }
    for (const node of all(".node")) node.classList.toggle("dim", dim.has(node.dataset.step));
    for (const edge of all(".edge")) {
      edge.classList.toggle("dim", dim.has(edge.dataset.from) || dim.has(edge.dataset.to));
    }
    if (words.length) for (const quiet of all(".quiet")) quiet.open = true;
  }
  for (const chip of all(".chip")) {
    chip.addEventListener("click", () => {
      const action = chip.dataset.action;
      if (!off.delete(action)) off.add(action);
      chip.setAttribute("aria-pressed", String(!off.has(action)));
      filter();
    });
  }
  find.addEventListener("input", filter);

  if (current()) fit(current());
  if (location.hash) choose(location.hash.slice(1));
  document.documentElement.dataset.ready = "true";
})();
