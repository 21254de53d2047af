// The columns of the table. Those after the stems belong to the chosen stem.

function columnsOf(board, metric, stem) {
  const lead = board.leads[metric];
  const stems = [lead, ...board.stems.filter((name) => name !== lead)];
  return [
    rankColumn(`${stem} ${metric}`, stem),
    { ...text("method", fullName), name: true },
    ...stems.map((name) => stemColumn(name, metric)),
    ...detailColumns(`${stem} ${metric}`, stem),
    ...factColumns(),
  ];
}

const fullName = (row) => [row.method, row.run || row.recipe].filter(Boolean).join(" ");

const text = (title, get) => ({ title, get, number: false, first: 1, sortable: true });

const number = (title, get, show) => ({
  ...{ title, get, number: true, first: -1, sortable: true },
  show: (row) => (get(row) === null ? "" : show(get(row))),
});

const stemColumn = (name, metric) => ({
  ...number(name, (row) => row.cells[`${name} ${metric}`]?.value ?? null, (value) => fixed(value)),
  stem: name,
  key: `${name} ${metric}`,
});

const rankColumn = (key, stem) => ({
  ...{ title: "rank", below: stem, number: true, sortable: false },
  get: (row) => row.cells[key]?.rank ?? null,
  show: (row) => rankText(row.cells[key]),
});

// A rank is an interval: [1 + rows significantly better, rows tested - rows significantly worse].
function rankText(cell) {
  if (!cell?.rank) return "";
  const [low, high] = cell.rank;
  return low === high ? String(low) : `${low}-${high}`;
}

function detailColumns(key, stem) {
  const cell = (row) => row.cells[key];
  const detail = (column) => ({ ...column, below: stem, sortable: false });
  const range = (low, high) => (low === null ? "" : `${fixed(low)} to ${fixed(high)}`);
  return [
    detail(text("95 % interval", (row) => range(cell(row)?.low ?? null, cell(row)?.high))),
    detail(number("claimed", (row) => cell(row)?.claimed ?? null, (value) => fixed(value))),
    detail(number("difference", (row) => differenceOf(row, key), signed)),
    detail(text("seeds", (row) => seedsText(row, cell(row)))),
  ];
}

function differenceOf(row, key) {
  const cell = row.cells[key];
  if (!cell || cell.claimed === null || cell.value === null) return null;
  return cell.value - cell.claimed;
}

function seedsText(row, cell) {
  const seeds = row.seeds ?? [];
  if (seeds.length < 2) return seeds.length ? "1 seed" : "";
  const mean = `mean of ${seeds.length} seeds`;
  return cell?.range ? `${mean}, ${cell.range.map((end) => fixed(end)).join(" to ")}` : mean;
}

function factColumns() {
  const megabytes = (bytes) => fixed(bytes / 1e6, 0);
  return [
    text("kind", kindText),
    text("extra data", (row) => row.extra),
    number("year", (row) => row.year, String),
    text("venue", (row) => row.venue),
    { ...text("links", (row) => row.links.map(([label]) => label).join(" ")), links: true },
    number("tracks", (row) => row.tracks.length || null, String),
    number("parameters", (row) => row.parameters, millions),
    number("GMAC/s", (row) => row.gmac, (value) => fixed(value)),
    number("real-time factor", (row) => row.factor, (value) => fixed(value, 3)),
    number("peak MB", (row) => row.memory, megabytes),
    number("second-hand", (row) => row.secondHand, String),
    number("ours", (row) => row.ours, String),
  ];
}

const kindText = (row) =>
  row.kind === "claimed" && row.notRun ? "claimed, not run" : row.kind;

// The columns in which some row of the board has something.
function usedColumns(board, metric, stem) {
  const filled = (column) =>
    board.shown.some((row) => column.get(row) !== null && column.get(row) !== "");
  return columnsOf(board, metric, stem).filter((column) => column.name || filled(column));
}

function textOf(column, row) {
  return column.show ? column.show(row) : (column.get(row) ?? "");
}
