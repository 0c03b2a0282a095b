// Viewer of attention patterns: all heads as small squares, one of them open, its tokens below. Canvas only.
(() => {
  "use strict";
  if (window.interpAttention) return;

  const DARK_SCALE = ["#161d27", "#15304f", "#17477a", "#2163a3", "#3f86c6", "#6dabe0", "#a5cff2", "#e3f1fd"];
  const FONT = "11px system-ui, sans-serif";
  const GAP = 3;
  const LABELS = { trained: "Trained weights", random: "Random weights (control)" };

  function element(name, className, text = "") {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text;
    return made;
  }

  function colourTable(stops) {
    const parsed = stops.map((stop) => [1, 3, 5].map((at) => parseInt(stop.slice(at, at + 2), 16)));
    return Array.from({ length: 256 }, (_, byte) => {
      const place = (byte / 255) * (parsed.length - 1);
      const low = Math.min(Math.floor(place), parsed.length - 2);
      return parsed[low].map((value, channel) => Math.round(value + (parsed[low + 1][channel] - value) * (place - low)));
    });
  }

  function sizeCanvas(canvas, width, height) {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.imageSmoothingEnabled = false;
    context.font = FONT;
    return context;
  }

  // One byte per weight, its square root; of causal patterns only the entries at and below the diagonal.
  class Patterns {
    constructor(bytes, nPos, causal) {
      Object.assign(this, { bytes, nPos, causal, stride: causal ? (nPos * (nPos + 1)) / 2 : nPos * nPos });
    }
    byte(head, dest, src) {
      if (this.causal && src > dest) return 0;
      return this.bytes[head * this.stride + (this.causal ? (dest * (dest + 1)) / 2 : dest * this.nPos) + src];
    }
    weight(head, dest, src) {
      return (this.byte(head, dest, src) / 255) ** 2;
    }
    // Squeezed to `size` pixels, each the largest weight it stands for, so that single bright cells stay in sight.
    image(head, size, colours) {
      const { nPos, causal } = this;
      const peaks = new Int16Array(size * size).fill(-1);
      for (let dest = 0; dest < nPos; dest++) {
        const row = Math.floor((dest * size) / nPos) * size;
        for (let src = 0; src < (causal ? dest + 1 : nPos); src++) {
          const at = row + Math.floor((src * size) / nPos);
          peaks[at] = Math.max(peaks[at], this.byte(head, dest, src));
        }
      }
      const image = new ImageData(size, size);
      peaks.forEach((byte, at) => byte >= 0 && image.data.set([...colours[byte], 255], at * 4));
      return image;
    }
  }

  function paint(context, image, x, y, size) {
    const scratch = new OffscreenCanvas(image.width, image.height);
    scratch.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(scratch, x, y, size, size);
  }

  class Viewer {
    constructor(box, data, tools) {
      Object.assign(this, { box, data, tools, prompt: 0, weights: "trained", head: 0, cell: null, cache: new Map() });
      this.nHeads = data.heads.length;
      this.light = colourTable(data.scale);
      this.dark = colourTable(DARK_SCALE);
      this.build();
    }

    get colours() {
      return this.tools.isDark(this.root) ? this.dark : this.light;
    }
    get here() {
      return this.data.prompts[this.prompt];
    }
    headName(head = this.head) {
      return `L${this.data.layers[Math.floor(head / this.nHeads)]}H${this.data.heads[head % this.nHeads]}`;
    }

    build() {
      this.root = element("div", "interp-attention");
      this.heads = element("canvas", "interp-heads");
      this.pattern = element("canvas", "interp-pattern");
      this.title = element("p", "interp-subtitle");
      this.readout = element("p", "interp-readout");
      this.tokens = element("div", "interp-tokens");
      this.readout.setAttribute("aria-live", "polite");
      for (const canvas of [this.heads, this.pattern]) {
        canvas.tabIndex = 0;
        canvas.setAttribute("role", "application");
      }
      this.heads.setAttribute("aria-label", "All heads, layers down, heads across. Arrow keys open a head, Enter goes to its pattern.");
      const [left, right] = [element("div", "interp-left"), element("div", "interp-right")];
      left.append(element("p", "interp-subtitle", "All heads"), this.heads, this.readout, this.tokens);
      left.style.flexBasis = `${Math.min(Math.max(30 + 48 * this.nHeads, 340), 1000)}px`;
      right.append(this.title, this.pattern, this.scaleBar());
      const main = element("div", "interp-main");
      main.append(left, right);
      this.root.append(this.controls(), main);
      this.box.append(this.root);
      this.listen();
    }

    async load(weights) {
      const key = `${this.prompt}/${weights}`;
      if (!this.cache.has(key)) {
        const { here } = this;
        const bytes = await this.tools.inflate(here[weights]);
        this.cache.set(key, new Patterns(bytes, here.tokens.length, this.data.causal));
      }
      return this.cache.get(key);
    }

    async show(change = {}) {
      Object.assign(this, change);
      const { prompt, weights } = this;
      const [trained, random] = [await this.load("trained"), await this.load("random")];
      if (prompt !== this.prompt || weights !== this.weights) return;
      this.sets = { trained, random };
      this.buttons.forEach((button) => button.setAttribute("aria-pressed", button.dataset.weights === weights));
      this.layOutTokens();
      this.drawHeads();
      this.drawPattern();
      this.drawScale();
      this.read();
    }

    drawHeads() {
      const rows = this.data.layers.length;
      const width = this.heads.parentElement.clientWidth || 420;
      this.step = Math.max(Math.min(Math.floor((width - 30) / this.nHeads), 60), 14);
      const size = this.step - GAP;
      const context = sizeCanvas(this.heads, 30 + this.step * this.nHeads, 18 + this.step * rows);
      const pixels = Math.min(this.here.tokens.length, Math.round(size * (window.devicePixelRatio || 1)));
      context.fillStyle = context.strokeStyle = this.tools.ink(this.root);
      for (let head = 0; head < rows * this.nHeads; head++) {
        const [x, y] = [30 + (head % this.nHeads) * this.step, 18 + Math.floor(head / this.nHeads) * this.step];
        paint(context, this.sets[this.weights].image(head, pixels, this.colours), x, y, size);
        context.globalAlpha = 0.25;
        context.strokeRect(x - 0.5, y - 0.5, size + 1, size + 1);
        context.globalAlpha = 1;
      }
      this.labelHeads(context, rows);
      const [x, y] = [30 + (this.head % this.nHeads) * this.step, 18 + Math.floor(this.head / this.nHeads) * this.step];
      context.strokeStyle = "#e69f00";
      context.lineWidth = 3;
      context.strokeRect(x - 1.5, y - 1.5, size + 3, size + 3);
    }

    labelHeads(context, rows) {
      const every = this.step < 24 ? 4 : 1;
      context.textBaseline = "middle";
      context.textAlign = "right";
      for (let row = 0; row < rows; row += this.step < 14 ? 4 : 1)
        context.fillText(`L${this.data.layers[row]}`, 25, 18 + (row + 0.5) * this.step - GAP / 2);
      context.textAlign = "center";
      for (let column = 0; column < this.nHeads; column += every)
        context.fillText(`H${this.data.heads[column]}`, 30 + (column + 0.5) * this.step - GAP / 2, 8);
    }

    drawPattern() {
      const { tokens, short } = this.here;
      const width = Math.min(this.pattern.parentElement.clientWidth || 560, 640);
      const margin = 100;
      this.cellSize = Math.max(Math.min(Math.floor((width - margin) / tokens.length), 40), 1);
      const side = this.cellSize * tokens.length;
      const context = sizeCanvas(this.pattern, margin + Math.max(side, 60), margin + side + 2);
      Object.assign(this, { margin, context, every: Math.ceil(13 / this.cellSize) });
      const set = this.sets[this.weights];
      paint(context, set.image(this.head, tokens.length, this.colours), margin, margin, side);
      context.fillStyle = context.strokeStyle = this.tools.ink(this.root);
      context.globalAlpha = 0.3;
      context.strokeRect(margin - 0.5, margin - 0.5, side + 1, side + 1);
      context.globalAlpha = 1;
      short.forEach((token, at) => at % this.every === 0 && this.labelToken(`\u2068${token}\u2069 ${at}`, at));
      this.markCell(side);
      this.title.textContent = `${this.headName()} · ${LABELS[this.weights].toLowerCase()}`;
      this.pattern.setAttribute("aria-label", `Pattern of head ${this.headName()}. Arrow keys read its weights.`);
    }

    labelToken(text, at) {
      const { context, margin } = this;
      const middle = margin + (at + 0.5) * this.cellSize;
      context.textBaseline = "middle";
      context.textAlign = "right";
      context.fillText(text, margin - 6, middle, margin - 8);
      context.save();
      context.translate(middle, margin - 6);
      context.rotate(-Math.PI / 3);
      context.textAlign = "left";
      context.fillText(text, 0, 0, margin);
      context.restore();
    }

    markCell(side) {
      if (!this.cell) return;
      const { context, margin, cellSize } = this;
      const [dest, src] = this.cell;
      context.strokeStyle = "#e69f00";
      context.lineWidth = 1;
      context.strokeRect(margin - 0.5, margin + dest * cellSize - 0.5, side + 1, cellSize + 1);
      if (src === null) return;
      context.lineWidth = 2;
      context.strokeRect(margin + src * cellSize - 1, margin + dest * cellSize - 1, cellSize + 2, cellSize + 2);
    }
  }

  window.interpAttention = async (box, data, tools) => {
    const viewer = new Viewer(box, data, tools);
    await viewer.show();
    return { viewer, formats: ["png"], exportAs: () => viewer.exportPng(), retheme: () => viewer.show() };
  };
  window.interpAttention.Viewer = Viewer;
  window.interpAttention.tools = { element, sizeCanvas, LABELS };
})();
