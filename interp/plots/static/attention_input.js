// The attention viewer's controls, and what it does with a mouse and with keys: opening heads, reading cells.
(() => {
  "use strict";
  const { Viewer, tools } = window.interpAttention;
  if (Viewer.prototype.listen) return;
  const STEPS = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
  const within = (value, count) => Math.min(Math.max(value, 0), count - 1);

  Object.assign(Viewer.prototype, {
    controls() {
      const bar = tools.element("div", "interp-controls");
      const label = tools.element("label", "", "Prompt ");
      const select = tools.element("select", "");
      this.data.prompts.forEach((prompt, at) => select.append(new Option(`${at + 1}: ${prompt.tokens.join("").slice(0, 60)}`, at)));
      select.addEventListener("change", () => this.show({ prompt: Number(select.value), cell: null }));
      label.append(select);
      const group = tools.element("div", "interp-switch");
      group.setAttribute("role", "group");
      group.setAttribute("aria-label", "Weights");
      this.buttons = Object.entries(tools.LABELS).map(([weights, text]) => {
        const button = Object.assign(tools.element("button", "", text), { type: "button" });
        button.addEventListener("click", () => this.show({ weights }));
        button.dataset.weights = weights;
        group.append(button);
        return button;
      });
      bar.append(label, group);
      return bar;
    },

    scaleBar() {
      const holder = tools.element("div", "interp-scale");
      this.bar = tools.element("canvas", "");
      this.bar.setAttribute("role", "img");
      this.bar.setAttribute("aria-label", "Colour scale of attention weight, from 0 to 1");
      holder.append(tools.element("span", "", "weight"), this.bar);
      return holder;
    },

    listen() {
      this.heads.addEventListener("click", (event) => this.openHeadAt(event));
      this.heads.addEventListener("mousemove", (event) => (this.heads.title = this.headAt(event)?.name ?? ""));
      this.heads.addEventListener("keydown", (event) => this.headKey(event));
      this.pattern.addEventListener("mousemove", (event) => this.pointAt(this.cellAt(event)));
      this.pattern.addEventListener("click", (event) => this.pointAt(this.cellAt(event)));
      this.pattern.addEventListener("keydown", (event) => this.cellKey(event));
      let width = 0;
      new ResizeObserver(([entry]) => {
        if (width && Math.abs(width - entry.contentRect.width) > 1 && this.sets) this.show();
        width = entry.contentRect.width;
      }).observe(this.root);
    },

    headAt(event) {
      const [column, row] = [Math.floor((event.offsetX - 30) / this.step), Math.floor((event.offsetY - 18) / this.step)];
      if (column < 0 || row < 0 || column >= this.nHeads || row >= this.data.layers.length) return null;
      const head = row * this.nHeads + column;
      return { head, name: this.headName(head) };
    },

    openHead(layer, head) {
      const [row, column] = [this.data.layers.indexOf(layer), this.data.heads.indexOf(head)];
      return row < 0 || column < 0 ? null : this.show({ head: row * this.nHeads + column });
    },

    openHeadAt(event) {
      const found = this.headAt(event);
      if (found) this.show({ head: found.head });
    },

    headKey(event) {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        this.pattern.focus();
        this.pointAt(this.cell ?? [this.here.tokens.length - 1, 0]);
      }
      const step = STEPS[event.key];
      if (!step) return;
      event.preventDefault();
      const row = within(Math.floor(this.head / this.nHeads) + step[0], this.data.layers.length);
      this.show({ head: row * this.nHeads + within((this.head % this.nHeads) + step[1], this.nHeads) });
    },

    cellAt(event) {
      const place = (offset) => Math.floor((offset - this.margin) / this.cellSize);
      const [dest, src] = [place(event.offsetY), place(event.offsetX)];
      const count = this.here.tokens.length;
      if (dest < 0 || dest >= count || src >= count) return this.cell;
      return src < 0 ? [dest, null] : [dest, this.data.causal ? Math.min(src, dest) : src];
    },

    cellKey(event) {
      const step = STEPS[event.key];
      if (!step) return;
      event.preventDefault();
      const count = this.here.tokens.length;
      const [dest, src] = this.cell ?? [count - 1, -1];
      const reach = event.shiftKey ? 8 : 1;
      const row = within(dest + step[0] * reach, count);
      this.pointAt([row, within((src ?? 0) + step[1] * reach, this.data.causal ? row + 1 : count)]);
    },

    pointAt(cell) {
      if (!cell || (this.cell && cell[0] === this.cell[0] && cell[1] === this.cell[1])) return;
      this.cell = cell;
      this.drawPattern();
      this.read();
    },

    named(at) {
      return `\u2068${this.here.tokens[at]}\u2069 (${at})`;
    },

    read() {
      this.colourTokens();
      if (!this.cell) {
        this.readout.textContent = "Hover a cell or a token to read its weight.";
        return;
      }
      const [dest, src] = this.cell;
      if (src === null) {
        this.readout.textContent = `${this.named(dest)} looks at the tokens coloured below.`;
        return;
      }
      const weight = (weights) => this.sets[weights].weight(this.head, dest, src).toFixed(4);
      this.readout.textContent =
        `${this.headName()}: ${this.named(dest)} → ${this.named(src)} · weight ${weight("trained")} · random weights ${weight("random")}`;
    },

    layOutTokens() {
      if (this.laidOut === this.prompt) return;
      this.laidOut = this.prompt;
      this.tokens.replaceChildren(
        ...this.here.tokens.map((token, at) => {
          const span = tools.element("span", "interp-token", token);
          span.title = `position ${at}`;
          span.addEventListener("mouseenter", () => this.pointAt([at, null]));
          span.addEventListener("click", () => this.pointAt([at, null]));
          return span;
        }),
      );
    },

    // The ground shows the weight; the hovered token is told by its frame as well.
    colourTokens() {
      const dest = this.cell?.[0];
      const set = this.sets[this.weights];
      [...this.tokens.children].forEach((span, src) => {
        const byte = dest === undefined ? 0 : set.byte(this.head, dest, src);
        const [red, green, blue] = this.colours[byte];
        span.style.background = byte ? `rgb(${red} ${green} ${blue})` : "transparent";
        span.style.color = byte ? (0.3 * red + 0.6 * green + 0.1 * blue > 140 ? "#111" : "#fff") : "inherit";
        span.classList.toggle("interp-dest", src === dest);
        if (dest !== undefined) span.title = `position ${src}, weight ${set.weight(this.head, dest, src).toFixed(4)}`;
      });
    },

    drawScale() {
      const [width, height] = [260, 12];
      const context = tools.sizeCanvas(this.bar, width + 20, height + 16);
      for (let x = 0; x < width; x++) {
        context.fillStyle = `rgb(${this.colours[Math.round((x / (width - 1)) * 255)].join(" ")})`;
        context.fillRect(10 + x, 0, 1, height);
      }
      context.fillStyle = context.strokeStyle = this.tools.ink(this.root);
      context.globalAlpha = 0.3;
      context.strokeRect(9.5, 0.5, width + 1, height - 1);
      context.globalAlpha = 1;
      context.textAlign = "center";
      for (const weight of [0, 0.01, 0.1, 0.25, 0.5, 1]) context.fillText(String(weight), 10 + Math.sqrt(weight) * width, height + 12);
    },

    exportPng() {
      const copy = document.createElement("canvas");
      Object.assign(copy, { width: this.pattern.width, height: this.pattern.height });
      const context = copy.getContext("2d");
      context.fillStyle = this.tools.isDark(this.root) ? "#12171e" : "#ffffff";
      context.fillRect(0, 0, copy.width, copy.height);
      context.drawImage(this.pattern, 0, 0);
      copy.toBlob((blob) => this.tools.save(blob, `${this.tools.name}-${this.headName()}.png`));
    },
  });
})();
