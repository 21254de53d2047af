// Which rows are shown, and which filter hides the others.

const EXTRAS = ["no", "yes", "blind", "oracle", "unknown"];

const extraOf = (row) => row.extra || "unknown";

function kindOf(row) {
  if (row.variant) return "variant";
  return row.extra === "oracle" && row.kind === "claimed" ? "oracle" : row.kind;
}

const hasMetric = (row, metric) =>
  Object.keys(row.cells).some((key) => key.endsWith(` ${metric}`));

// The filters that are in use: what to call them, and which rows they let pass.
function filtersOf(filter) {
  const { text, extra, since, hide } = filter;
  const wanted = text.trim().toLowerCase();
  const named = (row) => `${row.method} ${row.recipe} ${row.run}`.toLowerCase();
  const all = [
    [wanted, `method: ${text.trim()}`, (row) => named(row).includes(wanted)],
    [extra, `extra data: ${extra}`, (row) => extraOf(row) === extra],
    [since, `year: since ${since}`, (row) => row.year !== null && row.year >= Number(since)],
    [hide.length, `kind: not ${hide.join(", ")}`, (row) => !hide.includes(kindOf(row))],
  ];
  return all.filter(([used]) => used).map(([, name, passes]) => ({ name, passes }));
}

// The rows of the table in its order, and sentences about those that are missing.
function selected() {
  const { board, metric, stem, sort, filter } = chosen;
  const scored = board.shown.filter((row) => hasMetric(row, metric));
  const filters = filtersOf(filter);
  const rows = scored.filter((row) => filters.every(({ passes }) => passes(row)));
  const column = columnsOf(board, metric, stem).find((each) => each.title === sort.title);
  const without = board.shown.length - scored.length;
  const sentences = hiddenBy(filters, scored);
  if (without) sentences.push(`${counted(without, "row")} without ${metric}.`);
  return {
    rows: sortRows(rows, column, sort.direction),
    text: [`${rows.length} of ${counted(scored.length, "row")}.`, ...sentences].join(" "),
    isFiltered: filters.length > 0,
  };
}

// A row that several filters hide is counted with the first of them.
function hiddenBy(filters, scored) {
  let left = scored;
  const sentences = [];
  for (const { name, passes } of filters) {
    const passed = left.filter(passes);
    const more = left.length < scored.length ? "more " : "";
    const missing = left.length - passed.length;
    if (missing)
      sentences.push(`${counted(missing, `${more}row`)} hidden by the filter ${name}.`);
    left = passed;
  }
  return sentences;
}

// Below a score column: rows that do not compete, whatever their score.
function standing(row) {
  const group = { oracle: 2, baseline: 3 }[row.kind] ?? (row.extra === "oracle" ? 2 : 0);
  return group || (row.contaminated ? 1 : 0);
}

// Missing values come last in both directions; ties keep the order of the board.
function sortRows(rows, column, direction) {
  const value = (row) => column.get(row);
  const missing = (row) => value(row) === null || value(row) === "";
  const group = (row) => (column.stem ? standing(row) : 0);
  const compare = (a, b) =>
    column.number ? value(a) - value(b) : value(a).localeCompare(value(b));
  return [...rows].sort(
    (a, b) =>
      group(a) - group(b) ||
      missing(a) - missing(b) ||
      (missing(a) ? 0 : direction * compare(a, b)),
  );
}
