// The table of one board under one metric: columns, order, filter.

function columnsOf(board, metric) {
  const lead = board.leads[metric];
  const text = (title, get) => ({ title, get, number: false, first: 1 });
  const number = (title, get, show) => ({ title, get, show, number: true, first: -1 });
  const stem = (name) => ({
    ...number(name, (row) => row.cells[`${name} ${metric}`]?.value ?? null),
    key: `${name} ${metric}`,
  });
  const rank = (row) => row.cells[`${lead} ${metric}`]?.rank ?? null;
  return [
    { ...number("rank", rank), first: 1, show: (row) => rankText(row.cells[`${lead} ${metric}`]) },
    { ...text("method", rowName), name: true },
    stem(lead),
    ...board.stems.filter((name) => name !== lead).map(stem),
    text("extra data", (row) => row.extra),
    number(
      "tracks",
      (row) => row.tracks.length || null,
      (row) => String(row.tracks.length || ""),
    ),
    number(
      "parameters",
      (row) => row.parameters,
      (row) => millions(row.parameters),
    ),
    number(
      "GMAC/s",
      (row) => row.gmac,
      (row) => measure(row.gmac, 2),
    ),
    number(
      "real-time factor",
      (row) => row.factor,
      (row) => measure(row.factor, 3),
    ),
    number(
      "peak MB",
      (row) => row.memory,
      (row) => measure(row.memory && row.memory / 1e6, 0),
    ),
    number(
      "ours",
      (row) => row.ours,
      (row) => String(row.ours ?? ""),
    ),
  ];
}

const rankText = (cell) => (cell?.rank ? `${cell.tied.length ? "=" : ""}${cell.rank}` : "");

// Missing values come last in both directions; ties keep the order of the board.
function sortRows(rows, column, direction) {
  const value = (row) => column.get(row);
  const missing = (row) => value(row) === null || value(row) === "";
  const compare = (a, b) =>
    column.number ? value(a) - value(b) : value(a).localeCompare(value(b));
  return [...rows].sort(
    (a, b) => missing(a) - missing(b) || (missing(a) ? 0 : direction * compare(a, b)),
  );
}

function isShown(row, filter) {
  const wanted = filter.text.trim().toLowerCase();
  const named = `${row.method} ${row.recipe} ${row.run}`.toLowerCase().includes(wanted);
  const group = isBound(row)
    ? filter.bound
    : row.kind === "claimed"
      ? filter.claimed
      : filter.measured;
  return named && group && (filter.variant || !row.variant);
}

function tableOf(board, metric, rows, sort, onSort) {
  const columns = columnsOf(board, metric).filter(
    (column) =>
      column.name || board.rows.some((row) => column.get(row) !== null && column.get(row) !== ""),
  );
  const head = columns.map((column) => headCell(column, sort, onSort));
  const caption = `${metric} ${board.unit === "dB" ? "in dB" : board.unit}, higher is better`;
  return make(
    "table",
    {},
    make("caption", {}, caption),
    make("thead", {}, make("tr", {}, ...head)),
    make("tbody", {}, ...rows.map((row) => lineOf(board, metric, row, columns))),
  );
}

function headCell(column, sort, onSort) {
  const sorted = sort.title === column.title;
  const order = sort.direction > 0 ? "ascending" : "descending";
  const classes = [column.number && "number", column.name && "name"].filter(Boolean).join(" ");
  return make(
    "th",
    { scope: "col", class: classes, "aria-sort": sorted ? order : "none" },
    make("button", { type: "button", onclick: () => onSort(column) }, column.title),
  );
}

function lineOf(board, metric, row, columns) {
  const grey = row.contaminated ? "grey" : "";
  return make(
    "tr",
    { class: `${row.kind} ${grey}` },
    ...columns.map((column) => cellOf(board, metric, row, column)),
  );
}

function cellOf(board, metric, row, column) {
  if (column.name) return nameCell(row);
  if (column.key) return make("td", { class: "number" }, valueButton(board, metric, row, column));
  const text = column.show ? column.show(row) : (column.get(row) ?? "");
  return make("td", { class: column.number ? "number" : "" }, text);
}

function nameCell(row) {
  const below = row.notRun
    ? `${row.recipe}: not run`
    : [row.recipe, row.run].filter(Boolean).join(", ");
  const marks = [
    row.contaminated ? `contaminated: ${row.contaminated} test tracks` : "",
    row.run && row.contaminated === null ? "training tracks unknown" : "",
    row.variant ? "variant (verbatim: false)" : "",
  ].filter(Boolean);
  return make(
    "th",
    { scope: "row", class: "name" },
    row.method,
    below ? make("span", { class: "run" }, below) : "",
    make("span", { class: "run" }, kindTag(row)),
    ...marks.map((mark) => make("span", { class: "run" }, mark)),
  );
}

const kindTag = (row) => make("span", { class: `tag kind-${row.kind}` }, row.kind);

function valueButton(board, metric, row, column) {
  const cell = row.cells[column.key];
  if (!cell) return "";
  const interval = cell.low === null ? "" : `${fixed(cell.low)} to ${fixed(cell.high)}`;
  const gap = cell.claimed === null || cell.value === null ? null : cell.value - cell.claimed;
  const beside =
    gap === null ? "" : `claimed ${fixed(cell.claimed)}, ${gap < 0 ? "" : "+"}${fixed(gap)}`;
  const value = cell.value === null ? "no score" : fixed(cell.value);
  const behind = row.run ? "its run" : "its source";
  const label = `${rowName(row)}, ${column.key}: ${value}. Open ${behind}`;
  return make(
    "button",
    {
      type: "button",
      class: "cell",
      "aria-label": label,
      onclick: () => openRow(board, metric, row, column.key),
    },
    value,
    make("span", { class: "small" }, interval),
    beside ? make("span", { class: "small" }, beside) : "",
  );
}
