"use strict";
// Puts the page together out of the data.

const data = JSON.parse(byId("data").textContent);
const rows = data.rows;
const finished = rows.filter((row) => row.ok);
const values = data.figures ? data.figures.metrics : {};
const info = (name) => data.metric_info[name];
const arrow = (name) => (info(name).higher ? "↑" : "↓");
const at = (name, row) => (values[name] || {})[row.label];
const main = data.main_metric;

function head() {
  const protocol = data.protocol.id || "no model finished";
  const names = rows.map((row) => row.label);
  const title = names.length > 3 ? `${names.length} models compared` : names.join(" · ");
  document.title = `HandZoo comparison: ${title}`;
  byId("title").textContent = title;
  byId("protocol").textContent = protocol;
  const env = data.environment;
  const machine = env.accelerators.length && data.settings.device !== "cpu" ? env.accelerators[0] : env.processor;
  byId("facts").textContent = [`${data.data.samples} samples`, machine, `${env.torch_threads} threads`,
    `torch ${env.versions.torch}`, data.created].join("  ·  ");
  byId("warnings").append(...data.warnings.map((text) => el("p", { class: "warning" }, text)));
  byId("notes").append(...data.notes.map((text) => el("li", null, text)));
  byId("notes").append(...rows.flatMap((row) => row.notes.map((text) => el("li", null, `${row.label}: ${text}`))));
}

function cell(name, row) {
  const found = at(name, row);
  if (!found) return "–";
  const unit = found.unit, digits = !unit ? 3 : found.value < 100 ? 2 : 1;
  const all = finished.map((r) => at(name, r)).filter(Boolean).map((c) => c.value);
  const best = info(name).higher ? Math.max(...all) : Math.min(...all);
  const lead = finished.length > 1 && found.value === best && info(name).compared;
  const parts = [el("span", { class: lead ? "best" : null }, fixed(found.value, digits) + (isNumber(found.sd) ? ` ± ${fixed(found.sd, digits)}` : ""))];
  if (isNumber(found.low)) parts.push(el("span", { class: "range" }, `${fixed(found.low, digits)} – ${fixed(found.high, digits)}`));
  return el("span", null, parts);
}

const WORD = { better: "good", worse: "bad", "not distinguishable": "even" };

function verdict(row) {
  if (row.reference) return el("span", { class: "tag even" }, "reference");
  const found = ((data.figures.comparisons[main] || {})[row.label]);
  if (!found) return el("span", { class: "muted" }, "not compared");
  const digits = info(main).unit ? 2 : 3, d = found.difference;
  const p = found.p_holm < 0.001 ? "p < 0.001" : `p = ${found.p_holm.toFixed(3)}`;
  const hint = `${signed(d.low, digits)} to ${signed(d.high, digits)}; better on ${(100 * found.better_share).toFixed(0)} % of the samples; ${p} (Holm)`;
  return el("span", { title: hint }, el("span", { class: `tag ${WORD[found.verdict]}` }, found.verdict),
    el("span", { class: "range" }, `${signed(d.value, digits)}${info(main).unit ? " " + info(main).unit : ""}, ${p}`));
}

function costColumn(title, key, digits, hint, better = -1) {
  const get = (row) => { const known = { ...row.cost, ...row.timing }; return isNumber(known[key]) ? known[key] : null; };
  return { title, hint, better, key: get, cell: (row) => fixed(get(row), digits) };
}

function mainTable() {
  const columns = [
    { title: "model", text: true, better: -1, key: (r) => r.label,
      cell: (r) => el("span", null, nameOf(r), el("span", { class: "range under" },
        r.random ? el("span", { class: "tag random" }, "random weights") : `weights: ${r.weights}`)) },
  ];
  for (const name of data.headlines) {
    columns.push({ title: `${name}\n${info(name).unit || "share"} ${arrow(name)}`, hint: `${info(name).description} (${info(name).id})`,
      better: info(name).higher ? 1 : -1, key: (r) => (at(name, r) ? at(name, r).value : null), cell: (r) => cell(name, r) });
    if (name === main && finished.length > 1) {
      columns.push({ title: `against the first\nby ${main}`, text: true, better: -1, hint: "paired bootstrap on the same samples, Holm-corrected",
        key: (r) => { const f = (data.figures.comparisons[main] || {})[r.label]; return f ? f.difference.value : r.reference ? 0 : null; }, cell: verdict });
    }
  }
  columns.push(
    costColumn("params\nM", "params_m", 2, "of the inference graph"),
    costColumn("MACs\nG", "macs_g", 2, "one multiply-accumulate = 1, one image"),
    costColumn("memory\nMiB", "peak_memory_mb", 0, "peak of activations in one call, weights not included"),
    { ...costColumn("latency\nms", "latency_ms", 1, "median; 5th to 95th percentile below"),
      cell: (r) => (r.timing ? el("span", null, fixed(r.timing.latency_ms, 1), el("span", { class: "range" }, `${fixed(r.timing.latency_p05_ms, 0)} – ${fixed(r.timing.latency_p95_ms, 0)}`)) : "–") },
    costColumn("FPS", "fps", 1, "images a second at the median", 1));
  if (finished.some((r) => r.timing && r.timing.deployed)) {
    const get = (r) => (r.timing && r.timing.deployed ? r.timing.deployed.latency_ms : null);
    columns.push({ title: "deployed\nms", better: -1, hint: "the same weights after model.deploy()", key: get, cell: (r) => fixed(get(r), 1) });
  }
  columns.push(costColumn("training\nms/image", "train_ms_per_image", 0, "a whole step on one batch, loading not included"));
  sortableTable(byId("table-main"), columns, rows, { failed: (row, count) => el("tr", { "data-label": row.label },
    el("td", null, nameOf(row)), el("td", { class: "failed", colspan: count - 1 }, "failed: " + row.error)) });
  const s = data.settings, confidence = Math.round(100 * s.confidence);
  byId("how-accuracy").textContent = `Second lines: ${confidence} % bootstrap intervals over the test samples. Verdicts: paired bootstrap on the same samples, corrected for the number of models (Holm).`
    + (s.trials > 1 ? ` ±: standard deviation over ${s.trials} trainings with different seeds; intervals and tests say nothing of seeds.` : "")
    + (s.budget ? ` Every model was trained for ${s.budget}.` : "") + " Press a heading to sort.";
}

function metricsTable() {
  const columns = [{ title: "metric", text: true, better: -1, key: (m) => m.name, cell: (m) => el("span", { class: m.compared ? "name" : "muted" }, m.name + " " + arrow(m.name)) }];
  for (const row of finished) {
    columns.push({ title: row.label, better: -1, key: (m) => (at(m.name, row) ? at(m.name, row).value : null), cell: (m) => cell(m.name, row) });
  }
  columns.push({ title: "what it is", text: true, better: -1, key: (m) => m.description,
    cell: (m) => el("span", { class: "muted" }, m.description, m.compared ? null : el("span", { class: "bad" }, ` – not compared: ${m.reason}`)) });
  const list = Object.keys(data.metric_info).map((name) => ({ name, label: name, ...info(name) }));
  sortableTable(byId("table-metrics"), columns, list);
  byId("how-metrics").textContent = "No prefix: wrist subtracted. S: also scaled. ST: centroid and scale. PA: Procrustes. CS: camera space. Lengths in mm; EPE-2D in pixels of the crop.";
}

function publishedTable() {
  const names = [...new Set(rows.flatMap((r) => Object.keys(r.published)))];
  byId("published").hidden = !names.length;
  const columns = [{ title: "model", text: true, better: -1, key: (r) => r.label, cell: (r) => nameOf(r) }];
  for (const name of names) {
    const better = /AUC|F@/.test(name) ? 1 : -1;
    columns.push(
      { title: `${name}\npublished`, better, key: (r) => r.published[name] ?? null, cell: (r) => (r.published[name] === undefined ? "–" : String(r.published[name])) },
      { title: `${name}\nhere`, better, key: (r) => (at(name, r) ? at(name, r).value : null), cell: (r) => (at(name, r) ? cell(name, r) : "–") });
  }
  sortableTable(byId("table-published"), columns, rows.filter((r) => Object.keys(r.published).length));
}

function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
}

function scatterSection() {
  const names = data.compared.filter((name) => Object.keys(values[name] || {}).length);
  fill(byId("scatter-y"), names.map((n) => [n, n]), main);
  const axes = [["latency, ms", (r) => r.timing && r.timing.latency_ms], ["parameters, M", (r) => r.cost.params_m], ["MACs, G", (r) => r.cost.macs_g]];
  const draw = () => {
    const name = byId("scatter-y").value;
    const unit = info(name).unit;
    byId("scatter-hint").textContent = info(name).higher ? "Better is up and to the left." : "Better is down and to the left.";
    byId("scatters").replaceChildren(...axes.map(([title, get]) => {
      const points = finished.filter((r) => at(name, r) && isNumber(get(r))).map((r) => ({ label: r.label, color: r.color, x: get(r), y: at(name, r).value, low: at(name, r).low, high: at(name, r).high }));
      return points.length ? scatter(points, title, `${name}${unit ? ", " + unit : ""}`) : null;
    }).filter(Boolean));
  };
  byId("scatter-y").addEventListener("change", draw);
  if (names.length) draw();
}

function pckSection() {
  const names = Object.keys(data.curves);
  const nice = (n) => `${n.replace("AUC-J", "joints").replace("AUC-V", "vertices")}: ${info(n).description.split("; ").slice(1).join("; ")}`;
  fill(byId("pck-metric"), names.map((n) => [n, nice(n)]), names[0]);
  const draw = () => {
    const name = byId("pck-metric").value;
    const shown = finished.filter((r) => data.curves[name][r.label]);
    const lines = shown.map((r) => ({ label: r.label, color: r.color, x: data.curves[name][r.label].thresholds_mm, y: data.curves[name][r.label].pck }));
    byId("pck").replaceChildren(legend(shown), curves(lines, "distance, mm", "share of points"));
  };
  byId("pck-metric").addEventListener("change", draw);
  if (names.length) draw();
  else byId("pck").append(el("p", { class: "muted" }, "No curve can be compared."));
}

function jointsSection() {
  const found = data.figures ? data.figures.joint_errors : { mm: {} };
  const blocked = Object.keys(data.not_compared).includes("PA-MPJPE");
  if (!Object.keys(found.mm).length || blocked) {
    byId("joints").append(el("p", { class: "muted" }, "The joints of these models cannot be compared."));
    return;
  }
  byId("how-joints").textContent = `Mean distance in mm, alignment: ${found.track}. Colours run from the lowest to the highest value of the table.`;
  byId("joints").append(jointHeat(finished, found.mm, data.joint_names));
}

function samplesSection() {
  const samples = data.gallery.samples;
  if (!samples.length) {
    for (const id of ["gallery", "hands"]) byId(id).append(el("p", { class: "muted" }, "No samples were kept."));
    return;
  }
  const kinds = kindsOf(samples);
  fill(byId("gallery-kind"), kinds.map((k) => [k, KINDS[k] || k]), kinds[0]);
  byId("gallery-hint").textContent = `Chosen by ${main}.`;
  const drawSamples = () => drawGallery(byId("gallery"), data, finished, byId("gallery-kind").value, byId("gallery-draw").value);
  ["gallery-kind", "gallery-draw"].forEach((id) => byId(id).addEventListener("change", drawSamples));
  drawSamples();
  fill(byId("hand-sample"), samples.map((s, i) => [String(i), `${s.id} (${s.kinds[0]})`]), "0");
  const drawHands = () => showHands(byId("hands"), byId("hand-scale"), data, finished, samples[Number(byId("hand-sample").value)], byId("hand-fit").checked, byId("hand-error").checked);
  ["hand-sample", "hand-fit", "hand-error"].forEach((id) => byId(id).addEventListener("change", drawHands));
  drawHands();
  window.addEventListener("resize", redraw);
}

function provenance() {
  const status = (r) => el("span", { class: r.status === "real" ? "tag good" : "tag stand-in" }, r.status);
  sortableTable(byId("table-resources"), [
    { title: "resource", text: true, better: -1, key: (r) => r.name, cell: (r) => el("span", { class: "name" }, r.name) },
    { title: "status", text: true, better: -1, key: (r) => r.status, cell: status },
    { title: "what was used", text: true, better: -1, key: (r) => r.note, cell: (r) => r.note || r.where },
    { title: "how to get the real one", text: true, better: -1, key: (r) => r.how, cell: (r) => r.how },
  ], data.resources);
  const env = data.environment, s = data.settings;
  const facts = {
    "command": data.command, "protocol": data.protocol.id,
    "data": `${data.data.name}, ${data.data.samples} samples, sha256 ${data.data.sha256.slice(0, 16)}…`,
    "machine": `${env.processor}, ${env.cpu_count} cores, ${env.torch_threads} threads; ${env.accelerators.join(", ") || "no accelerator"}; ${env.platform}`,
    "versions": Object.entries(env.versions).map(([k, v]) => `${k} ${v}`).join(", "),
    "seed": String(s.seed), "trials": String(s.trials), "budget": s.budget || "no training",
    "latency": s.rounds ? `median of ${s.rounds} calls at batch size ${s.latency_batch_size} on ${s.device}; in every round each model once, in shuffled order` : "not measured",
    "memory": "peak of the tensors alive at once in a call, weights not included",
    "training time": "median of whole steps (losses, gradients, optimiser) on one real batch, one model after the other; loading not included",
    "intervals": `${Math.round(100 * s.confidence)} % BCa bootstrap over samples, ${s.resamples} resamples`,
  };
  const plugins = [...new Set(rows.flatMap((r) => r.plugins.map((p) => `${p.name} ${p.version}`)))];
  if (plugins.length) facts["plugins"] = plugins.join(", ");
  byId("how").append(...Object.entries(facts).flatMap(([k, v]) => [el("dt", null, k), el("dd", null, k === "command" ? el("code", null, v) : v || "–")]));
  sortableTable(byId("table-models"), [
    { title: "model", text: true, better: -1, key: (r) => r.label, cell: (r) => nameOf(r) },
    { title: "weights", text: true, better: -1, key: (r) => r.weights, cell: (r) => [r.weights, ...r.sha256.filter(Boolean).map((h) => el("span", { class: "range mono" }, `sha256 ${h.slice(0, 16)}…`))].reduce((p, n) => (p.append(n), p), el("span")) },
    { title: "input", better: -1, key: (r) => r.identity.input_size ?? null, cell: (r) => (r.identity.input_size ? `${r.identity.input_size} px` : "–") },
    { title: "hand model", text: true, better: -1, key: (r) => r.identity.hand_model ?? null, cell: (r) => r.identity.hand_model || "–" },
    { title: "joints", text: true, better: -1, key: (r) => r.identity.joint_order ?? null, cell: (r) => (r.ok ? `${r.identity.joint_order}, from ${r.identity.joints_from}` : "–") },
    { title: "trained here", text: true, better: -1, key: (r) => r.training.length, cell: (r) => r.training.map((t) => `${t.iterations} iterations, ${t.images} images, ${t.seconds.toFixed(0)} s (seed ${t.seed})`).join("; ") || "–" },
    { title: "plugins", text: true, better: -1, key: (r) => r.plugins.length, cell: (r) => r.plugins.map((p) => `${p.name} ${p.version}`).join(", ") || "–" },
  ], rows);
}

head();
if (finished.length) { mainTable(); metricsTable(); scatterSection(); pckSection(); jointsSection(); }
else mainTable();
publishedTable();
samplesSection();
provenance();
document.body.dataset.ready = "true";
