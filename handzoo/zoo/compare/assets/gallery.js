"use strict";
// Samples as rows, models as columns, with the error below each picture.

const KINDS = { worst: "worst by the mean of all models", best: "best by the mean of all models",
                differ: "where the models differ most" };

function kindsOf(samples) {
  const kinds = [...new Set(samples.flatMap((s) => s.kinds))];
  const rank = (kind) => { const i = Object.keys(KINDS).indexOf(kind); return i < 0 ? 9 : i; };
  return kinds.sort((a, b) => rank(a) - rank(b));
}

function drawGallery(place, data, rows, kind, draw) {
  const samples = data.gallery.samples.filter((s) => s.kinds.includes(kind));
  const metric = data.main_metric, unit = data.metric_info[metric].unit;
  const models = rows.filter((r) => samples.length && samples[0].models[r.label]);
  const grid = el("div", { class: "gallery",
    style: `grid-template-columns: 92px repeat(${models.length + 2}, minmax(132px, 200px))` });
  grid.append(el("div", { class: "head" }, "sample"), el("div", { class: "head" }, "picture"),
    el("div", { class: "head" }, "annotation"), ...models.map((row) => el("div", { class: "head" }, nameOf(row))));
  for (const sample of samples) {
    const values = models.map((r) => sample.errors[r.label]);
    const higher = data.metric_info[metric].higher;
    const best = higher ? Math.max(...values) : Math.min(...values);
    grid.append(el("div", { class: "why" }, el("strong", null, sample.id)));
    grid.append(picture(sample.image, `sample ${sample.id}`));
    grid.append(picture(sample.truth[draw] || sample.truth.joints, "annotation", "as annotated"));
    models.forEach((row, i) => {
      const own = sample.models[row.label];
      const text = el("span", { class: values[i] === best && models.length > 1 ? "best good" : "" },
        `${metric} ${figure(values[i], unit)}${unit ? " " + unit : ""}`);
      grid.append(picture(own[draw] || own.joints, row.label, text));
    });
  }
  place.replaceChildren(grid);
}

function picture(source, title, caption) {
  if (!source) return el("figure", null, el("figcaption", { class: "muted" }, "not annotated"));
  return el("figure", null, el("img", { src: source, alt: title, title, width: 224, height: 224 }),
    caption ? el("figcaption", null, caption) : null);
}
