// Helpers that build the page. Text is inserted as text nodes, since names are not trusted.
const byId = (id) => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false)
      node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== ""));
  return node;
}

const make = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);

const draw = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

// A number with fixed decimals and no negative zero.
function fixed(value, digits = 2) {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text;
}

// A difference with its sign.
const signed = (value, digits = 2) =>
  `${value > 0 && Number(value.toFixed(digits)) ? "+" : ""}${fixed(value, digits)}`;

function millions(count) {
  return count === null ? "" : `${fixed(count / 1e6)} M`;
}

function measure(value, digits, unit = "") {
  return value === null || value === undefined ? "" : fixed(value, digits) + unit;
}

function rowName(row) {
  if (!row.run) return row.recipe || row.method;
  return row.run === row.method ? row.run : `${row.method} ${row.run}`;
}

// Identifies a row within its board, also in the address.
const rowId = (row) => (row.run ? `${row.method}/${row.run}` : `${rowName(row)}:${row.extra}`);

const distinct = (values) => [...new Set(values)];

function options(select, values, chosenValue, textOf = (value) => value) {
  select.replaceChildren(
    ...values.map((value) =>
      make("option", { value, selected: value === chosenValue }, String(textOf(value))),
    ),
  );
}

// A table with a head of [text, isNumber] and lines of cells.
function tableWith(attributes, head, lines) {
  const titles = head.map(([text, isNumber]) =>
    make("th", { scope: "col", class: isNumber ? "number" : "" }, text),
  );
  const parts = [make("thead", {}, make("tr", {}, ...titles)), make("tbody", {}, ...lines)];
  return make("table", attributes, ...parts);
}

// A box that scrolls on its own.
function scrolling(content, label, classes = "") {
  const region = { class: `scroll ${classes}`, tabindex: "0", role: "region", "aria-label": label };
  return make("div", region, content);
}

// "1 row", "2 rows"
const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
