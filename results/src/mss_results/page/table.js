// The table of one board under one metric.

function tableOf(rows, onSort) {
  const { board, metric, stem } = chosen;
  const columns = usedColumns(board, metric, stem);
  return make(
    "table",
    { role: "grid", "aria-labelledby": "title" },
    make("caption", {}, make("span", {}, captionOf(rows))),
    make("thead", {}, make("tr", {}, ...columns.map((column) => headCell(column, onSort)))),
    make("tbody", {}, ...rows.map((row) => lineOf(row, columns))),
  );
}

function captionOf(rows) {
  const { board, metric, sort, stem } = chosen;
  const unit = board.unit === "dB" ? "in dB" : board.unit;
  const parts = [`${metric} ${unit}, higher is better.`];
  if (sort.title === stem && rows.some(standing))
    parts.push("Contaminated rows, oracles and baselines stand below the others.");
  return `${parts.join(" ")} Arrow keys move between cells.`;
}

function headCell(column, onSort) {
  const { sort } = chosen;
  const order = sort.direction > 0 ? "ascending" : "descending";
  const sorted = sort.title === column.title ? order : "none";
  const classes = [column.number && "number", column.name && "name"].filter(Boolean).join(" ");
  const below = column.below ? make("span", { class: "small" }, column.below) : "";
  const press = { type: "button", onclick: () => onSort(column) };
  return make(
    "th",
    { scope: "col", class: classes, "aria-sort": column.sortable ? sorted : null },
    column.sortable ? make("button", press, column.title) : column.title,
    below,
  );
}

function lineOf(row, columns) {
  const grey = row.contaminated ? "grey" : "";
  return make(
    "tr",
    { class: `${row.kind} ${grey}`, "data-row": row.id },
    ...columns.map((column) => cellOf(row, column)),
  );
}

function cellOf(row, column) {
  if (column.name) return nameCell(row);
  const classes = [column.number && "number", column.stem === chosen.stem && "chosen"];
  const td = (...content) =>
    make("td", { class: classes.filter(Boolean).join(" ") }, ...content);
  if (column.key) return td(valueButton(row, column));
  if (column.links) return td(...linksOf(row).flatMap((link) => [link, " "]));
  if (column.title === "kind") return td(kindTag(row));
  const text = textOf(column, row);
  return column.number ? td(text) : td(make("span", { class: "short", title: text }, text));
}

function nameCell(row) {
  const detail = row.run || row.recipe;
  const small = detail && detail !== row.method;
  const open = {
    type: "button",
    class: "open",
    title: `${fullName(row)}: open ${row.run ? "the run" : "the source"}`,
    onclick: () => openRow(row),
  };
  return make(
    "th",
    { scope: "row", class: "name" },
    make(
      "div",
      {},
      make("button", open, row.method, small ? make("span", { class: "small" }, ` ${detail}`) : ""),
      ...marksOf(row),
    ),
  );
}

function marksOf(row) {
  const mark = (text, title) => make("span", { class: "tag", title }, text);
  const marks = [];
  if (row.contaminated)
    marks.push(mark(`contaminated ${row.contaminated}`, "test tracks it was trained or validated on"));
  if (row.run && row.contaminated === null)
    marks.push(mark("?", "training tracks unknown, hence not checked against the test tracks"));
  if (row.variant) marks.push(mark("variant", "verbatim: false, not ranked"));
  return marks;
}

const kindTag = (row) => make("span", { class: `tag kind-${row.kind}` }, kindText(row));

function linksOf(row) {
  const about = (label) => ({ rel: "noopener", "aria-label": `${label} of ${rowName(row)}` });
  return row.links.map(([label, href]) => make("a", { href, ...about(label) }, label));
}

function valueButton(row, column) {
  const cell = row.cells[column.key];
  if (!cell) return "";
  const gap = differenceOf(row, column.key);
  const claimed = cell.claimed === null ? "" : `claimed ${fixed(cell.claimed)}`;
  const value = cell.value === null ? (claimed ? "–" : "no score") : fixed(cell.value);
  const beside =
    gap === null ? claimed : `${claimed}, measured ${value}, difference ${signed(gap)}`;
  const label = [`${rowName(row)}, ${column.key}: ${value}`, beside].filter(Boolean).join("; ");
  const open = { type: "button", class: "cell", title: label, "aria-label": label };
  return make("button", { ...open, onclick: () => openRow(row, column.key) }, value);
}
