"use strict";
// Charts as SVG: scatter with intervals, curves, a heat map of the joints.

const SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  node.append(...children.flat());
  return node;
}

function niceTicks(low, high, count) {
  const span = high - low || 1;
  const raw = span / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const ticks = [];
  for (let t = Math.ceil(low / step - 1e-9) * step; t <= high + 1e-9 * span; t += step) ticks.push(t);
  return { ticks, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9) + (step / power === 2.5 ? 1 : 0)) };
}

function frame(width, height, box, x, y, titleX, titleY) {
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  const px = (v) => box.left + (v - x.low) / (x.high - x.low) * (width - box.left - box.right);
  const py = (v) => height - box.bottom - (v - y.low) / (y.high - y.low) * (height - box.top - box.bottom);
  const [tx, ty] = [niceTicks(x.low, x.high, 6), niceTicks(y.low, y.high, 5)];
  for (const t of ty.ticks) {
    root.append(
      svg("line", { x1: box.left, x2: width - box.right, y1: py(t), y2: py(t), class: "rule" }),
      svg("text", { x: box.left - 8, y: py(t) + 4, "text-anchor": "end", class: "tick" }, t.toFixed(ty.digits)));
  }
  for (const t of tx.ticks) {
    root.append(
      svg("line", { x1: px(t), x2: px(t), y1: height - box.bottom, y2: height - box.bottom + 4, class: "axis" }),
      svg("text", { x: px(t), y: height - box.bottom + 17, "text-anchor": "middle", class: "tick" }, t.toFixed(tx.digits)));
  }
  const bottom = height - box.bottom;
  root.append(
    svg("line", { x1: box.left, x2: width - box.right, y1: bottom, y2: bottom, class: "axis" }),
    svg("text", { x: (box.left + width - box.right) / 2, y: height - 6, "text-anchor": "middle" }, titleX),
    svg("text", { x: 0, y: 13 }, titleY));
  return { root, px, py };
}

function padded(values, share, floor) {
  const low = Math.min(...values), high = Math.max(...values);
  const pad = (high - low || Math.abs(high) || 1) * share;
  return { low: floor === undefined ? low - pad : Math.max(floor, low - pad), high: high + pad };
}

/* Labels without the words that all of them begin and end with. */
function distinctParts(labels) {
  const words = labels.map((label) => label.split("_"));
  if (new Set(labels).size < 2) return labels;
  const drop = (at) => words.every((w) => w.length > 1 && w.at(at) === words[0].at(at));
  while (drop(0)) words.forEach((w) => w.shift());
  while (drop(-1)) words.forEach((w) => w.pop());
  return words.map((w) => w.join("_"));
}

/* points: {label, color, x, y, low, high} */
function scatter(points, titleX, titleY) {
  const [width, height] = [430, 310];
  const x = padded(points.map((p) => p.x), 0.16, 0);
  const y = padded(points.flatMap((p) => [p.low ?? p.y, p.high ?? p.y]), 0.12);
  const { root, px, py } = frame(width, height, { left: 48, right: 16, top: 30, bottom: 46 }, x, y, titleX, titleY);
  const names = distinctParts(points.map((p) => p.label));
  const taken = [];
  points.forEach((p, index) => {
    const [cx, cy] = [px(p.x), py(p.y)];
    const group = svg("g", {}, svg("title", {}, `${p.label}: ${titleX} ${p.x.toFixed(2)}, ${p.y.toFixed(3)}`));
    if (isNumber(p.low)) {
      group.append(svg("line", { x1: cx, x2: cx, y1: py(p.low), y2: py(p.high), stroke: p.color, "stroke-width": 2, opacity: 0.6 }));
    }
    group.append(svg("circle", { cx, cy, r: 6, fill: p.color, stroke: "white", "stroke-width": 1.2 }));
    const right = cx < width * 0.6;
    const long = 7 * names[index].length + 9;
    const [from, to] = right ? [cx, cx + long] : [cx - long, cx];
    let ty = cy - 9;
    while (taken.some((t) => Math.abs(t.y - ty) < 13 && t.from < to && from < t.to)) ty += 13;
    taken.push({ from, to, y: ty });
    group.append(svg("text", { x: right ? cx + 9 : cx - 9, y: ty, "text-anchor": right ? "start" : "end", class: "halo" }, names[index]));
    root.append(group);
  });
  return root;
}

/* lines: {label, color, x: [], y: []} */
function curves(lines, titleX, titleY) {
  const [width, height] = [960, 380];
  const x = { low: 0, high: Math.max(...lines.flatMap((l) => l.x)) };
  const box = { left: 48, right: 20, top: 28, bottom: 46 };
  const { root, px, py } = frame(width, height, box, x, { low: 0, high: 1 }, titleX, titleY);
  for (const line of lines) {
    const path = line.x.map((v, i) => `${i ? "L" : "M"}${px(v).toFixed(1)} ${py(line.y[i]).toFixed(1)}`).join("");
    root.append(svg("path", { d: path, fill: "none", stroke: line.color, "stroke-width": 2.4, "stroke-linejoin": "round" },
      svg("title", {}, line.label)));
  }
  const cursor = svg("line", { y1: box.top, y2: height - box.bottom, class: "axis", visibility: "hidden", "stroke-dasharray": "3 3" });
  const box2 = svg("text", { class: "halo", visibility: "hidden" });
  root.append(cursor, box2);
  root.addEventListener("pointermove", (event) => {
    const bounds = root.getBoundingClientRect();
    const at = (event.clientX - bounds.left) / bounds.width * width;
    const share = (at - box.left) / (width - box.left - box.right);
    const inside = share >= 0 && share <= 1;
    for (const node of [cursor, box2]) node.setAttribute("visibility", inside ? "visible" : "hidden");
    if (!inside) return;
    const mm = share * x.high;
    cursor.setAttribute("x1", at); cursor.setAttribute("x2", at);
    const flip = share > 0.6;
    box2.setAttribute("text-anchor", flip ? "end" : "start");
    box2.replaceChildren(...[`${mm.toFixed(1)} mm`, ...lines.map((l) => `${l.label}  ${atX(l, mm).toFixed(3)}`)].map(
      (text, i) => svg("tspan", { x: flip ? at - 8 : at + 8, y: height - box.bottom - 14 - 16 * (lines.length - i), fill: i ? lines[i - 1].color : "" }, text)));
  });
  root.addEventListener("pointerleave", () => [cursor, box2].forEach((n) => n.setAttribute("visibility", "hidden")));
  return root;
}

function atX(line, value) {
  let i = line.x.findIndex((v) => v >= value);
  if (i < 0) return line.y[line.y.length - 1];
  if (i === 0) return line.y[0];
  const share = (value - line.x[i - 1]) / (line.x[i] - line.x[i - 1] || 1);
  return line.y[i - 1] + share * (line.y[i] - line.y[i - 1]);
}

function legend(rows) {
  return el("div", { class: "legend" }, rows.map(nameOf));
}

// From white to red by way of yellow; the text stays readable on all of it.
function heat(share) {
  const s = Math.max(0, Math.min(1, share));
  const mix = (a, b, t) => a.map((v, i) => Math.round(v + (b[i] - v) * t));
  const rgb = s < 0.5 ? mix([236, 244, 236], [253, 226, 147], 2 * s) : mix([253, 226, 147], [226, 106, 84], 2 * s - 1);
  return `rgb(${rgb.join(",")})`;
}

/* rows: {label, color}, values: label -> 21 numbers */
function jointHeat(rows, values, names) {
  const all = rows.flatMap((row) => values[row.label] || []).filter(isNumber);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const fingers = ["wrist", "thumb", "index", "middle", "ring", "little"];
  const part = (name) => name.split("_").slice(1).join(" ") || name;
  const finger = (i) => (i === 0 ? 0 : 1 + Math.floor((i - 1) / 4));
  const head = el("tr", null, el("th"), fingers.map((name, i) =>
    el("th", { colspan: i ? 4 : 1, class: "finger" }, i ? name : "")));
  const sub = el("tr", null, el("th"), names.map((name, i) => el("th", { title: name }, finger(i) ? part(name) : "wrist")));
  return el("table", { class: "heat" }, el("thead", null, head, sub), el("tbody", null, rows.map((row) =>
    el("tr", null, el("td", null, nameOf(row)), (values[row.label] || []).map((v, i) =>
      el("td", { style: isNumber(v) ? `background:${heat((v - low) / (high - low || 1))};color:#1d232b` : "", title: `${row.label}, ${names[i]}: ${fixed(v, 2)} mm` },
        fixed(v, 1)))))));
}
