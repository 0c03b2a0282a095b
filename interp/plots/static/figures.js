// Draws every figure of a page once it comes into view. Text from results is only ever set as text.
(() => {
  "use strict";
  if (window.interpFigures) {
    window.interpFigures.scan();
    return;
  }

  const GLOBALS = { plotly: "Plotly", circuitsvis: "CircuitsVis" };
  const PATIENCE_MS = 4000;
  const HOVER_MS = 120; // plotly draws its hover box up to 50 ms after it is asked to
  const bundles = {};
  const drawn = new WeakMap();

  async function inflate(base64) {
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  // A bundle may stand in a part of the notebook that is shown later than the figures that need it.
  function bundle(name) {
    if (!bundles[name]) {
      const entry = (bundles[name] = {});
      entry.source = new Promise((resolve) => (entry.offer = resolve));
    }
    return bundles[name];
  }

  function need(name) {
    const entry = bundle(name);
    entry.ready ??= entry.source.then(inflate).then((bytes) => {
      const key = GLOBALS[name];
      const before = window[key];
      const script = document.createElement("script");
      script.textContent = new TextDecoder().decode(bytes);
      document.head.append(script);
      script.remove();
      const library = window[key];
      if (!library) throw new Error(`The page's security policy blocked ${name}.`);
      if (before) window[key] = before;
      return library;
    });
    return entry.ready;
  }

  const ink = (element) => getComputedStyle(element).color;

  function isDark(element) {
    const [red, green, blue] = ink(element).match(/[\d.]+/g).map(Number);
    return 0.3 * red + 0.6 * green + 0.1 * blue > 128;
  }

  function fileName(figure) {
    return figure.dataset.title.replace(/[^\w]+/g, "-").replace(/^-|-$/g, "").slice(0, 60) || "figure";
  }

  function save(blob, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  async function drawPlotly(figure, box, data) {
    const library = await need("plotly");
    const target = document.createElement("div");
    target.className = "interp-plot";
    box.append(target);
    const { layout, data: traces } = data.figure;
    const themed = () => ({ ...layout, font: { ...layout.font, color: ink(figure) } });
    const exportAs = (format) =>
      library.downloadImage(
        { data: target.data, layout: { ...target.layout, font: { ...layout.font, color: "#1b2430" }, paper_bgcolor: "#fff" } },
        { format, filename: fileName(figure), width: target.offsetWidth, height: target.offsetHeight, scale: 2 },
      );
    const button = (format) => ({ name: format, title: `Download ${format.toUpperCase()}`, icon: library.Icons.camera, click: () => exportAs(format) });
    await library.newPlot(target, structuredClone(traces), themed(), {
      responsive: true,
      displaylogo: false,
      plotlyServerURL: "",
      modeBarButtonsToRemove: ["sendChartToCloud"],
      modeBarButtons: [[button("png"), button("svg")], ["zoom2d", "pan2d", "resetScale2d"]],
    });
    walkWithKeys(library, target, figure.dataset.title);
    target.on("plotly_click", ({ points: [point] }) => pressButton(library, target, point));
    target.on("plotly_click", ({ points: [point] }) => openHead(point.data.hovertext?.[point.pointNumber[0]]?.[point.pointNumber[1]]));
    return { exportAs, formats: ["png", "svg"], retheme: () => library.relayout(target, { "font.color": ink(figure) }) };
  }

  // A clicked row presses the button of that row, where its trace names a menu; the menu then shows it as chosen.
  function pressButton(library, target, { data, pointNumber }) {
    const menus = target.layout.updatemenus ?? [];
    const place = menus.findIndex((menu) => menu.name === data.meta?.presses);
    if (place < 0) return;
    const [restyled, relaid, traces] = structuredClone(menus[place].buttons[pointNumber[0]].args);
    library.update(target, restyled, { ...relaid, [`updatemenus[${place}].active`]: pointNumber[0] }, traces);
  }

  // A cell that is a head opens its pattern, where the page has a figure of patterns.
  async function openHead(cell) {
    const named = /<b>L(\d+)H(\d+)/.exec(typeof cell === "string" ? cell : "");
    const patterns = figures().find((figure) => figure.dataset.kind === "attention");
    if (!named || !patterns) return;
    const { viewer } = await draw(patterns);
    await viewer.openHead(Number(named[1]), Number(named[2]));
    patterns.scrollIntoView({ behavior: "smooth", block: "center" });
  }

  function walkWithKeys(library, target, title) {
    // Cells of the first heatmap, or points of the first line; where there is neither, of the last cloud of points.
    const drawn = (trace) => trace.type === "heatmap" || trace.mode === "lines+markers";
    const first = target.data.findIndex(drawn);
    const curve = first >= 0 ? first : target.data.findLastIndex((trace) => trace.hoverinfo !== "skip");
    if (curve < 0) return;
    const grid = target.data[curve].type === "heatmap";
    const rows = grid ? target.data[curve].hovertext.length : 1;
    const columns = grid ? target.data[curve].hovertext[0].length : target.calcdata[curve].length;
    const { xaxis = "x", yaxis = "y" } = target.data[curve];
    const outOfSight = ({ x }) => {
      const { type, range } = target._fullLayout[xaxis.replace("x", "xaxis")];
      return type === "linear" && !(x >= Math.min(...range) && x <= Math.max(...range));
    };
    const at = [0, -1];
    let speaking = 0;
    const spoken = Object.assign(document.createElement("p"), { className: "interp-spoken" });
    spoken.setAttribute("aria-live", "polite");
    target.after(spoken);
    target.tabIndex = 0;
    target.setAttribute("role", "application");
    target.setAttribute("aria-label", `${title}. Arrow keys read the values.`);
    const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
    target.addEventListener("keydown", (event) => {
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      const [down, right] = grid ? step : [0, step[0] + step[1]];
      at[0] = Math.min(Math.max(at[0] + down, 0), rows - 1);
      at[1] = Math.min(Math.max(at[1] + right, 0), columns - 1);
      // A figure may show one stretch of a long curve: the keys begin where the reader looks.
      if (!grid && outOfSight(target.calcdata[curve][at[1]])) {
        at[1] = Math.max(target.calcdata[curve].findIndex((point) => !outOfSight(point)), 0);
      }
      library.Fx.hover(target, grid ? { xval: at[1], yval: at[0] } : [{ curveNumber: curve, pointNumber: at[1] }], xaxis + yaxis);
      clearTimeout(speaking);
      speaking = setTimeout(() => {
        const lines = target.querySelectorAll(".hoverlayer .line, .hoverlayer text:not(:has(.line))");
        spoken.textContent = [...lines].map((line) => line.textContent).join(", ");
      }, HOVER_MS);
    });
  }

  async function drawCircuitsvis(figure, box, data) {
    const library = await need("circuitsvis");
    const target = document.createElement("div");
    target.id = `interp-circuitsvis-${Math.random().toString(36).slice(2)}`;
    target.className = "interp-white";
    box.append(target);
    library.render(target.id, library[data.component], data.props);
    return { formats: [], retheme: () => {} };
  }

  async function drawAttention(figure, box, data) {
    return window.interpAttention(box, data, { inflate, ink, isDark, save, name: fileName(figure) });
  }

  const drawers = { plotly: drawPlotly, attention: drawAttention, circuitsvis: drawCircuitsvis };

  function draw(figure) {
    if (drawn.has(figure)) return drawn.get(figure);
    const box = figure.querySelector(".interp-box");
    const data = JSON.parse(figure.querySelector(".interp-data").textContent);
    const note = document.createElement("p");
    note.className = "interp-note";
    const timer = setTimeout(() => {
      note.textContent = "Waiting for the first figure of this notebook: if its output is gone, run its cell again, or restart the kernel and run all.";
      box.append(note);
    }, PATIENCE_MS);
    const drawing = drawers[data.kind](figure, box, data).then(
      (handle) => {
        box.querySelector(".interp-fallback")?.remove();
        figure.dataset.drawn = "yes";
        clearTimeout(timer);
        note.remove();
        return handle;
      },
      (error) => {
        clearTimeout(timer);
        note.textContent = `This figure could not be drawn: ${error.message}`;
        box.append(note);
        throw error;
      },
    );
    drawn.set(figure, drawing);
    return drawing;
  }

  const figures = () => [...document.querySelectorAll(".interp-figure")];
  const drawAll = () => Promise.all(figures().map(draw));
  const retheme = () => figures().forEach((figure) => drawn.get(figure)?.then((handle) => handle.retheme()));

  const observer = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
      observer.unobserve(entry.target);
      draw(entry.target);
    }),
    { rootMargin: "600px" },
  );

  function scan() {
    for (const element of document.querySelectorAll(".interp-bundle")) {
      const { name, deflated } = JSON.parse(element.textContent);
      element.classList.remove("interp-bundle");
      bundle(name).offer(deflated);
    }
    figures().filter((figure) => !drawn.has(figure)).forEach((figure) => observer.observe(figure));
  }

  window.addEventListener("beforeprint", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", retheme);
  window.interpFigures = { scan, draw, drawAll, retheme, inflate, save, fileName };
  scan();
})();
