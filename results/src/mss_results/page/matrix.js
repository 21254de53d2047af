// The pairwise comparisons: all pairs of the shown rows, or all rows against a chosen one.

function matrixFigure(rows, key) {
  const { board } = chosen;
  const tests = testsOf(board, key);
  const tested = rows.filter((row) => tests.rows.includes(row.index));
  if (tested.length < 2) return null;
  const head = [["row", false], ...tested.map((row) => [rowName(row), false])];
  const line = (row) => [
    make("th", { scope: "row" }, rowName(row)),
    ...tested.map((other) => matrixCell(tests.of(row.index, other.index))),
  ];
  const lines = tested.map((row) => make("tr", {}, ...line(row)));
  const table = tableWith({ class: "matrix" }, head, lines);
  const title = `${key}: pairwise comparison`;
  return figure("matrix", title, matrixNote(tests), scrolling(table, title), true);
}

function matrixNote({ pools }) {
  const counts = (isSeparable) => pools.filter((pool) => pool.separable === isSeparable).length;
  const notes = [];
  if (counts(true))
    notes.push(
      "p-values of the paired test over tracks, Holm-corrected for all pairs of the rows tested, " +
        "shown or not; marked where the row beats the column at 0.05.",
    );
  if (counts(false))
    notes.push(
      "Where the tracks are too few for any p: on how many of them the row beats the column, " +
        "of those on which they differ, and the median difference (Hodges and Lehmann).",
    );
  return notes.join(" ");
}

function pairTitle(pair) {
  const range = rangeOfGap(pair);
  const interval = range ? ` (${range})` : "";
  return `wins ${pair.wins}, losses ${pair.losses}; difference ${gapText(pair.gap)}${interval}`;
}

function matrixCell(pair) {
  if (!pair) return make("td", {}, "–");
  return pair.separable ? pCell(pair) : winsCell(pair);
}

function pCell(pair) {
  const text = pText(pair.p) + (pair.isBetter ? " ▲" : "");
  return make("td", { class: pair.isBetter ? "win" : "", title: pairTitle(pair) }, text);
}

function winsCell(pair) {
  const ahead = pair.wins > pair.losses;
  const wins = `${pair.wins} of ${pair.wins + pair.losses}`;
  const gap = make("span", { class: "small" }, gapText(pair.gap));
  return make("td", { class: ahead ? "ahead" : "", title: pairTitle(pair) }, wins, gap);
}

// K - 1 tests instead of K (K - 1) / 2: for who asks about one row only.
function againstFigure(rows, key) {
  const { board, reference } = chosen;
  const tests = testsOf(board, key);
  const one = board.shown.find((row) => row.id === reference);
  if (!one || !tests.rows.includes(one.index)) return null;
  const others = tests.rows.filter((index) => tests.of(index, one.index));
  const corrected = holm(others.map((index) => tests.of(index, one.index).raw));
  const lines = rows
    .filter((row) => others.includes(row.index))
    .map((row) => againstLine(row, tests, one, corrected[others.indexOf(row.index)]));
  if (!lines.length) return null;
  const over = `p over ${others.length}`;
  const titles = ["row", "wins", "losses", "difference", "95 % interval", "p", over];
  const head = titles.map((title, index) => [title, index > 0]);
  const title = `${key}: against ${rowName(one)}`;
  const note =
    `Wins: tracks on which the row beats ${rowName(one)}. Difference: Hodges and Lehmann's ` +
    "median of paired differences, row minus chosen row. p: paired test over tracks, as it is " +
    `and Holm-corrected for all ${others.length} rows tested against the chosen one.`;
  const table = scrolling(tableWith({ class: "against" }, head, lines), title);
  return figure("against", title, note, table, true);
}

function againstLine(row, tests, one, corrected) {
  const pair = tests.of(row.index, one.index);
  const significant = corrected < LEVEL;
  const mark = significant ? (pair.gap > 0 ? " ▲" : " ▼") : "";
  const cells = [
    pair.wins,
    pair.losses,
    gapText(pair.gap),
    rangeOfGap(pair),
    pText(pair.raw),
    pText(corrected) + mark,
  ];
  const td = (cell) => make("td", { class: "number" }, String(cell));
  return make(
    "tr",
    { class: significant ? "significant" : "" },
    make("th", { scope: "row" }, rowName(row)),
    ...cells.map(td),
  );
}
