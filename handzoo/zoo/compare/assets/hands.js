"use strict";
// Hand meshes on plain 2D canvases: faces sorted by depth and shaded, all turned together. No
// WebGL, so that it works without a graphics driver and with any number of models.

function decode(text, type) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new type(bytes.buffer);
}

/* Points in mm; fit: rotation (9, by rows), scale, centre of the prediction, centre of the truth. */
function points(text, unit, fit) {
  const raw = decode(text, Int16Array);
  const out = new Float32Array(raw.length);
  for (let i = 0; i < raw.length; i += 3) {
    let [x, y, z] = [raw[i] * unit, raw[i + 1] * unit, raw[i + 2] * unit];
    if (fit) {
      const [a, b, c] = [x - fit[10], y - fit[11], z - fit[12]];
      x = fit[9] * (fit[0] * a + fit[1] * b + fit[2] * c) + fit[13];
      y = fit[9] * (fit[3] * a + fit[4] * b + fit[5] * c) + fit[14];
      z = fit[9] * (fit[6] * a + fit[7] * b + fit[8] * c) + fit[15];
    }
    out[i] = x; out[i + 1] = y; out[i + 2] = z;
  }
  return out;
}

function distances(own, truth) {
  const found = new Float32Array(own.length / 3);
  for (let i = 0; i < found.length; i++) {
    found[i] = Math.hypot(own[3 * i] - truth[3 * i], own[3 * i + 1] - truth[3 * i + 1], own[3 * i + 2] - truth[3 * i + 2]);
  }
  return found;
}

const STOPS = [[70, 120, 180], [120, 190, 170], [250, 222, 130], [220, 70, 60]];
function distanceColor(share) {
  const s = Math.max(0, Math.min(0.9999, share)) * (STOPS.length - 1);
  const i = Math.floor(s), t = s - i;
  return STOPS[i].map((v, k) => v + (STOPS[i + 1][k] - v) * t);
}

class HandView {
  constructor(canvas, mesh) {
    Object.assign(this, { canvas, mesh });
    this.context = canvas.getContext("2d");
  }

  /* view: {turn, tilt, zoom, centre, radius, limit} */
  draw(view) {
    const { context: g, canvas } = this;
    const { vertices: v, faces: f, colors } = this.mesh;
    const ratio = window.devicePixelRatio || 1;
    const side = Math.max(1, Math.round(canvas.clientWidth * ratio));
    if (canvas.width !== side) canvas.width = canvas.height = side;
    g.clearRect(0, 0, side, side);
    const [ca, sa, ce, se] = [Math.cos(view.turn), Math.sin(view.turn), Math.cos(view.tilt), Math.sin(view.tilt)];
    const scale = side / (2.15 * view.radius) * view.zoom;
    const screen = new Float32Array(v.length);
    for (let i = 0; i < v.length; i += 3) {
      const [x, y, z] = [v[i] - view.centre[0], v[i + 1] - view.centre[1], v[i + 2] - view.centre[2]];
      const [x1, z1] = [ca * x + sa * z, -sa * x + ca * z];
      screen[i] = side / 2 + scale * x1;
      screen[i + 1] = side / 2 + scale * (ce * y - se * z1);
      screen[i + 2] = se * y + ce * z1;
    }
    const order = [];
    for (let i = 0; i < f.length; i += 3) {
      order.push([i, screen[3 * f[i] + 2] + screen[3 * f[i + 1] + 2] + screen[3 * f[i + 2] + 2]]);
    }
    order.sort((p, q) => q[1] - p[1]); // z points away from the viewer
    for (const [i] of order) {
      const [a, b, c] = [3 * f[i], 3 * f[i + 1], 3 * f[i + 2]];
      const u = [screen[b] - screen[a], screen[b + 1] - screen[a + 1], (screen[b + 2] - screen[a + 2]) * scale];
      const w = [screen[c] - screen[a], screen[c + 1] - screen[a + 1], (screen[c + 2] - screen[a + 2]) * scale];
      let n = [u[1] * w[2] - u[2] * w[1], u[2] * w[0] - u[0] * w[2], u[0] * w[1] - u[1] * w[0]];
      const length = Math.hypot(...n) || 1;
      const back = n[2] > 0; // the inside, seen through the open wrist
      n = n.map((k) => (back ? -k : k) / length);
      const light = 0.42 + 0.5 * Math.max(0, -0.40 * n[0] - 0.55 * n[1] - 0.73 * n[2]) + 0.14 * Math.max(0, 0.8 * n[0] - 0.6 * n[2]);
      const base = colors ? [0, 1, 2].map((k) => (colors[a + k] + colors[b + k] + colors[c + k]) / 3) : [178, 188, 202];
      const color = `rgb(${base.map((k) => Math.round(Math.min(255, k * light * (back ? 0.45 : 1)))).join(",")})`;
      g.fillStyle = g.strokeStyle = color;
      g.lineWidth = 0.8;
      g.beginPath();
      g.moveTo(screen[a], screen[a + 1]); g.lineTo(screen[b], screen[b + 1]); g.lineTo(screen[c], screen[c + 1]);
      g.closePath(); g.fill(); g.stroke();
    }
  }
}

const view = { turn: 0, tilt: 0, zoom: 1, centre: [0, 0, 0], radius: 100 };
let views = [];
const redraw = () => views.forEach((v) => v.draw(view));

function showHands(place, scalePlace, data, rows, sample, fitted, coloured) {
  const unit = data.gallery.unit_mm, faces = data.gallery.faces, hands = data.gallery.hands;
  const decoded = Object.fromEntries(Object.entries(faces).map(([name, text]) => [name, decode(text, Uint16Array)]));
  const shown = rows.filter((r) => sample.models[r.label] && sample.models[r.label].vertices);
  const comparable = data.metric_info[data.main_metric] && !("MPVPE" in data.not_compared);
  const truth = sample.truth.vertices ? points(sample.truth.vertices, unit) : null;
  const meshes = shown.map((row) => {
    const own = sample.models[row.label];
    return { row, faces: decoded[hands[row.label]], vertices: points(own.vertices, unit, fitted ? own.fit : null) };
  });
  if (truth && comparable && coloured) {
    meshes.forEach((m) => { if (m.vertices.length === truth.length) m.distance = distances(m.vertices, truth); });
  }
  const all = meshes.filter((m) => m.distance).flatMap((m) => Array.from(m.distance)).sort((a, b) => a - b);
  const limit = all.length ? Math.max(1, all[Math.floor(0.98 * (all.length - 1))]) : 0;
  for (const m of meshes) {
    if (!m.distance) continue;
    m.colors = new Float32Array(m.vertices.length);
    m.distance.forEach((d, i) => m.colors.set(distanceColor(d / limit), 3 * i));
  }
  const annotated = truth && comparable ? [{ row: null, faces: meshes[0].faces, vertices: truth }] : [];
  const list = [...annotated, ...meshes];
  const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
  list.forEach((m) => m.vertices.forEach((x, i) => { low[i % 3] = Math.min(low[i % 3], x); high[i % 3] = Math.max(high[i % 3], x); }));
  view.centre = low.map((x, i) => (x + high[i]) / 2);
  view.radius = Math.hypot(...low.map((x, i) => (high[i] - x) / 2)) || 1;
  views = [];
  place.replaceChildren(...list.map((m) => {
    const canvas = el("canvas", { "aria-label": m.row ? m.row.label : "annotation", tabindex: 0 });
    const hand = new HandView(canvas, m);
    views.push(hand);
    listen(canvas);
    const mean = m.distance ? `mean distance ${(m.distance.reduce((s, d) => s + d, 0) / m.distance.length).toFixed(2)} mm` : m.row ? "" : "the truth that all are measured against";
    return el("figure", null, canvas, el("figcaption", null, m.row ? nameOf(m.row) : el("span", { class: "name" }, "annotation"), " ", el("span", { class: "muted" }, mean)));
  }));
  scalePlace.replaceChildren(...(limit ? [distanceScale(limit)] : []));
  redraw();
}

function distanceScale(limit) {
  const steps = Array.from({ length: 24 }, (_, i) => distanceColor(i / 23).map(Math.round));
  const css = steps.map((c) => `rgb(${c.join(",")})`).join(",");
  return el("div", null, el("div", { style: `height:12px;border-radius:6px;background:linear-gradient(90deg,${css})` }),
    el("div", { class: "muted", style: "display:flex;justify-content:space-between;font-size:12px" },
      el("span", null, "0 mm"), el("span", null, "distance to the annotation"), el("span", null, `${limit.toFixed(1)} mm`)));
}

function listen(canvas) {
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    const start = { x: event.clientX, y: event.clientY, turn: view.turn, tilt: view.tilt };
    const move = (e) => {
      view.turn = start.turn + (e.clientX - start.x) / 110;
      view.tilt = Math.max(-1.5, Math.min(1.5, start.tilt - (e.clientY - start.y) / 110));
      requestAnimationFrame(redraw);
    };
    const up = () => { canvas.removeEventListener("pointermove", move); };
    canvas.addEventListener("pointermove", move);
    canvas.addEventListener("pointerup", up, { once: true });
    canvas.addEventListener("pointercancel", up, { once: true });
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    view.zoom = Math.max(0.5, Math.min(6, view.zoom * Math.exp(-event.deltaY / 700)));
    requestAnimationFrame(redraw);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-0.2, 0], ArrowRight: [0.2, 0], ArrowUp: [0, 0.2], ArrowDown: [0, -0.2] }[event.key];
    if (!step) return;
    event.preventDefault();
    view.turn += step[0]; view.tilt += step[1];
    redraw();
  });
}
