"use strict";

// One panel of the page and its WebSocket: shows the state, and how the connection ended.
class Panel {
  constructor(id, onMessage, onState) {
    this.element = document.getElementById(id);
    this.onMessage = onMessage;
    this.onState = onState;
    this.find(".close").addEventListener("click", () => this.socket.close(1000, "closed by the page"));
    this.find(".connect").addEventListener("click", () => this.connect());
    // A page kept for the browser's Back button would keep its connection, and not read.
    addEventListener("pagehide", () => this.socket.close(1000, "left"));
    addEventListener("pageshow", (event) => event.persisted && this.connect());
    this.connect();
  }

  find(selector) {
    return this.element.querySelector(selector);
  }

  connect() {
    const url = new URL(this.element.dataset.path, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    this.show("connecting", "connecting");
    this.socket = new WebSocket(url);
    this.socket.addEventListener("open", () => this.show("open", "open"));
    this.socket.addEventListener("message", (event) => this.onMessage(event.data));
    this.socket.addEventListener("close", (event) => {
      this.show("closed", `closed: ${event.code}${event.reason && ` “${event.reason}”`}`);
    });
  }

  show(state, text) {
    const buttons = [this.find(".close"), this.find(".connect")];
    const hadFocus = buttons.includes(document.activeElement);
    this.element.dataset.state = state;
    this.find(".state .text").textContent = text;
    buttons[0].disabled = state !== "open";
    buttons[1].disabled = state !== "closed";
    // A disabled button loses the keyboard's focus: hand it to the one that works now.
    if (hadFocus) buttons.find((button) => !button.disabled)?.focus();
    this.onState(state === "open");
  }
}

// The last 30 seconds, drawn at the screen's own resolution.
class Chart {
  constructor(canvas) {
    this.canvas = canvas;
    this.samples = [];
    this.pending = false;
    new ResizeObserver(() => this.drawSoon()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.drawSoon());
  }

  add(sample) {
    this.samples.push(sample);
    if (this.samples.length > 301) this.samples.shift();
    this.drawSoon();
  }

  drawSoon() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.draw();
    });
  }

  draw() {
    const scale = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    const style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    const pen = this.canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.font = "12px system-ui, sans-serif";
    const left = 34;
    const right = width - 8;
    const y = (degrees) => height - 10 - (degrees / 240) * (height - 20);
    const x = (index) => right - ((this.samples.length - 1 - index) / 300) * (right - left);

    pen.strokeStyle = colour("--grid");
    pen.fillStyle = colour("--quiet");
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const degrees of [0, 80, 160, 240]) {
      pen.beginPath();
      pen.moveTo(left, y(degrees));
      pen.lineTo(right, y(degrees));
      pen.stroke();
      pen.fillText(degrees, left - 6, y(degrees));
    }

    const line = (key, stroke, dash, thickness) => {
      pen.strokeStyle = stroke;
      pen.lineWidth = thickness;
      pen.setLineDash(dash);
      pen.beginPath();
      this.samples.forEach((sample, index) => pen.lineTo(x(index), y(sample[key])));
      pen.stroke();
    };
    pen.lineJoin = "round";
    line("target", colour("--quiet"), [5, 4], 1.5);
    line("temperature", colour("--accent"), [], 2.5);
  }
}

const chart = new Chart(document.getElementById("chart"));
const slider = document.getElementById("set-target");
const oven = new Panel(
  "oven",
  (data) => {
    const sample = JSON.parse(data);
    for (const [id, text] of [
      ["temperature", sample.temperature.toFixed(1)],
      ["target", sample.target.toFixed(0)],
      ["pages", sample.pages],
    ]) {
      document.getElementById(id).textContent = text;
    }
    // Another page may have moved it; the one in hand stays in hand.
    if (document.activeElement !== slider) slider.value = sample.target;
    chart.add(sample);
  },
  (open) => {
    slider.disabled = !open;
  },
);
slider.addEventListener("input", () => oven.socket.send(slider.value));

const log = document.getElementById("log");
const note = (direction, text) => {
  const item = document.createElement("li");
  item.className = direction;
  item.textContent = text;
  log.append(item);
  while (log.children.length > 50) log.firstChild.remove();
  log.scrollTop = log.scrollHeight;
};
const text = document.getElementById("text");
const echo = new Panel(
  "echo",
  (data) => note("in", data),
  (open) => {
    document.querySelector("#say .send").disabled = !open;
  },
);
document.getElementById("say").addEventListener("submit", (event) => {
  event.preventDefault();
  if (echo.socket.readyState !== WebSocket.OPEN) return;
  note("out", text.value);
  echo.socket.send(text.value);
  text.select();
});
