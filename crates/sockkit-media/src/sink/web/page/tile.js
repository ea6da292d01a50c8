// One stream's picture and figures.
class Tile {
  constructor(name) {
    this.root = template.content.firstElementChild.cloneNode(true);
    this.canvas = this.root.querySelector("canvas");
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.ages = [];
    this.part = name => this.root.querySelector(`[data-of="${name}"]`);
    this.root.querySelector("h2").textContent = name;
    this.canvas.setAttribute("aria-label", `live picture of ${name}`);
    this.root.setAttribute("aria-label", name);
    this.root.querySelector(".tools").setAttribute("aria-label", `picture of ${name}`);
    for (const path of ["snapshot", "stream"]) this.part(path).href = `${base}${path}?name=${name}`;
    this.name = name;
    this.delay = new Delay();
    this.paused = false;
    this.rate = 0;
    this.bindTools();
    main.append(this.root);
  }

  bindTools() {
    const figure = this.root.querySelector("figure");
    const enlarge = () => document.fullscreenElement ? document.exitFullscreen() : figure.requestFullscreen();
    this.part("pause").onclick = () => this.pause(!this.paused);
    this.part("save").onclick = () => this.save();
    // Phones enlarge nothing but films.
    this.part("enlarge").hidden = !figure.requestFullscreen;
    if (figure.requestFullscreen) this.part("enlarge").onclick = this.canvas.onclick = enlarge;
  }

  pause(paused) {
    this.paused = paused;
    this.part("pause").setAttribute("aria-pressed", paused);
    this.root.classList.toggle("paused", paused);
    this.tellSignal();
    turn();
  }

  // Saves the picture that is shown, as it came.
  save() {
    if (!this.shown) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(this.shown);
    link.download = `${this.name}-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.jpg`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  // While one picture is decoded only the newest of those that come waits. `shown` is called with
  // the capture time of each one that was drawn.
  async show(jpeg, captured, shown) {
    this.waiting = { jpeg, captured };
    if (this.busy) return;
    this.busy = true;
    while (this.waiting) {
      const { jpeg, captured } = this.waiting;
      const blob = new Blob([jpeg], { type: "image/jpeg" });
      this.waiting = null;
      let bitmap;
      try {
        bitmap = await createImageBitmap(blob);
        if (this.paused) continue;
        this.draw(bitmap);
        this.shown = blob;
        shown(captured);
      } catch { /* a broken picture: the next one comes */
      } finally {
        // Its memory would wait for the garbage collector.
        bitmap?.close();
      }
    }
    this.busy = false;
  }

  draw(bitmap) {
    const { width, height } = bitmap;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.canvas.style.aspectRatio = `${width} / ${height}`;
    }
    this.context.drawImage(bitmap, 0, 0);
  }

  // The order of the server's streams, of which any may be the first to bring a picture.
  moveTo(at) {
    if (main.children[at] !== this.root) main.insertBefore(this.root, main.children[at] ?? null);
  }

  tell(state) {
    this.signal = state.signal;
    this.trouble = state.not_connected;
    this.tellSignal();
    this.rate = state.frames_per_second;
    this.part("size").textContent = state.width_px ? `${state.width_px} × ${state.height_px}` : "";
    this.part("rate").textContent = state.frames_per_second.toFixed(1);
    this.part("lost").textContent = state.lost.toLocaleString();
    this.part("lost").className = state.lost ? "bad" : "";
    for (const of of ["p50", "p99"]) this.part(of).replaceChildren(...millis(state.age_ms[of]));
    const error = state.age_ms.error;
    this.part("error").textContent = error ? `age ± ${error.toFixed(1)} ms` : "";
    this.part("totals").textContent = `${state.received.toLocaleString()} pictures, ${megabytes(state.bytes)}` +
      `, ${state.viewers} watching`;
    this.tellSender(state);
    this.plot(state.age_ms.p99);
  }

  tellSignal() {
    const text = this.signal ? "LIVE" : this.trouble ? "NOT CONNECTED" : "NO SIGNAL";
    this.root.classList.toggle("live", this.signal === true);
    this.root.classList.toggle("silent", this.signal === false);
    this.root.querySelector(".badge").textContent =
      this.paused ? "PAUSED" : this.signal === undefined ? "WAITING" : text;
  }

  tellSender({ sender, not_connected: trouble }) {
    if (sender && sender !== this.sender) {
      const before = this.sender ? `, before from ${this.sender}` : "";
      this.from = `from ${sender}${before}`;
      this.sender = sender;
    }
    this.part("sender").textContent = trouble ? `not connected: ${trouble}; retrying` : this.from ?? "";
  }

  plot(age) {
    this.ages.push(age ?? 0);
    if (this.ages.length > 61) this.ages.shift();
    const top = Math.max(...this.ages, 1);
    const points = this.ages.map((age, at) => `${at + 61 - this.ages.length},${25 - 24 * age / top}`);
    this.root.querySelector("polyline").setAttribute("points", points.join(" "));
  }
}

function millis(age) {
  if (age == null) return ["–"];
  const unit = document.createElement("small");
  unit.textContent = age < 1000 ? "ms" : "s";
  return [age < 1000 ? age.toFixed(age < 10 ? 1 : 0) : (age / 1000).toFixed(1), unit];
}

function megabytes(bytes) {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
