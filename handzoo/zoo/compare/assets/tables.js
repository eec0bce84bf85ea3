"use strict";
// Elements, numbers, and tables that sort when a heading is pressed.

function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "class") node.className = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat()) {
    if (child === null || child === undefined) continue;
    node.append(child);
  }
  return node;
}

const byId = (id) => document.getElementById(id);
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const fixed = (value, digits) => (isNumber(value) ? value.toFixed(digits) : "–");

function figure(value, unit) {
  return fixed(value, unit ? 2 : 3);
}

function signed(value, digits) {
  return (value > 0 ? "+" : value < 0 ? "−" : "±") + Math.abs(value).toFixed(digits);
}

function nameOf(row) {
  return el("span", { class: "name" },
    el("span", { class: "dot", style: `background:${row.color}` }), row.label);
}

/* columns: {title, text, key(row) -> number|string|null, cell(row) -> node|string, better: 1|-1|0} */
function sortableTable(table, columns, rows, options = {}) {
  let sorted = { column: -1, down: false };
  const body = el("tbody");
  const heads = columns.map((column, index) =>
    el("th", { class: column.text ? "text" : null, title: column.hint, scope: "col" },
      el("button", { type: "button", onclick: () => sort(index) }, column.title)));
  table.replaceChildren(el("thead", null, el("tr", null, heads)), body);

  function line(row) {
    if (row.ok === false && options.failed) return options.failed(row, columns.length);
    return el("tr", { "data-label": row.label },
      columns.map((column) => el("td", { class: column.text ? "text" : null }, column.cell(row))));
  }

  function compare(a, b, column) {
    const [x, y] = [column.key(a), column.key(b)];
    if (x === null || x === undefined) return y === null || y === undefined ? 0 : Infinity;
    if (y === null || y === undefined) return -Infinity;
    return isNumber(x) && isNumber(y) ? x - y : String(x).localeCompare(String(y));
  }

  function sort(index) {
    // A first press shows the best on top.
    const down = sorted.column === index ? !sorted.down : columns[index].better === 1;
    sorted = { column: index, down };
    const ordered = rows.slice().sort((a, b) => {
      const order = compare(a, b, columns[index]);
      return Number.isFinite(order) && down ? -order : order; // what is missing stays below
    });
    heads.forEach((head, i) => {
      if (i === index) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    body.replaceChildren(...ordered.map(line));
  }

  body.replaceChildren(...rows.map(line));
}
