// The dialog behind a row: its run or source, its scores by track, and the frames of a track.

const dialogHead = (title) =>
  make(
    "div",
    { class: "top" },
    make("h2", { id: "run-title" }, title),
    make("button", { type: "button", class: "plain", onclick: () => byId("run").close() }, "Close"),
  );

function openRow(row, key = `${chosen.stem} ${chosen.metric}`) {
  const { board, metric } = chosen;
  const dialog = byId("run");
  dialog.replaceChildren(
    dialogHead(rowName(row)),
    stemTable(board, metric, row),
    facts([...(row.run ? runFacts(row) : []), ...publishedFacts(row, key)]),
    againstButton(row),
    row.run ? trackTable(board, metric, row) : "",
    make("div", { id: "track", "aria-live": "polite" }),
  );
  dialog.showModal();
  dialog.scrollTop = 0;
}

const facts = (pairs) =>
  make(
    "dl",
    {},
    ...pairs.flatMap(([label, content]) => [make("dt", {}, label), make("dd", {}, content)]),
  );

function againstButton(row) {
  const { board, metric, stem } = chosen;
  if (!testsOf(board, `${stem} ${metric}`).rows.includes(row.index)) return "";
  const act = async () => {
    byId("run").close();
    await change({ reference: row.id });
    byId("plots").scrollIntoView();
    byId("against").focus();
  };
  const text = "Test the other rows against this one";
  return make("button", { type: "button", class: "plain", onclick: act }, text);
}

// The row's cells under one metric, a line per stem.
function stemTable(board, metric, row) {
  const stems = board.stems.filter((stem) => row.cells[`${stem} ${metric}`]);
  const columns = [
    ["value", (cell) => (cell.value === null ? "no score" : fixed(cell.value, 3))],
    ["95 % interval", (cell) => rangeText(cell.low, cell.high)],
    ["range over seeds", (cell) => rangeText(...(cell.range ?? [null, null]))],
    ["claimed", (cell) => measure(cell.claimed, 3)],
    ["difference", (cell, key) => gapCell(differenceOf(row, key))],
    ["rank", rankText],
    ["tracks", (cell) => (cell.tracks === null ? "" : String(cell.tracks))],
  ];
  const cells = stems.map((stem) => [row.cells[`${stem} ${metric}`], `${stem} ${metric}`]);
  const used = columns.filter(([, show]) => cells.some(([cell, key]) => show(cell, key)));
  const lines = cells.map(([cell, key]) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, key),
      ...used.map(([, show]) => make("td", { class: "number" }, show(cell, key))),
    ),
  );
  const head = [["stem", false], ...used.map(([title]) => [title, true])];
  return scrolling(tableWith({}, head, lines), `${metric} of ${rowName(row)}`);
}

const gapCell = (gap) => (gap === null ? "" : signed(gap, 3));

const rangeText = (low, high) =>
  low === null ? "" : `${fixed(low, 3)} to ${fixed(high, 3)}`;

// Where the claim was read, and what it says; for a run, the claim that it measures.
function publishedFacts(row, key) {
  const claim = row.run ? chosen.board.rows[row.claim] : row;
  const pairs = row.links.length ? [["links", make("span", {}, ...spaced(linksOf(row)))]] : [];
  if (row.year !== null) pairs.push(["year", [row.year, row.venue].filter(Boolean).join(", ")]);
  if (claim) {
    const source = claim.cells[key]?.source ?? claim.sources.join("; ");
    pairs.push(["claim read in", source], ["claimed extra data", claim.extra]);
    if (claim.parameters !== null) pairs.push(["claimed parameters", millions(claim.parameters)]);
    for (const note of claim.notes) pairs.push(["note", note]);
  }
  if (!row.run && row.recipe)
    pairs.push(["our recipe", row.notRun ? `${row.recipe}, not run` : row.recipe]);
  return pairs;
}

const spaced = (nodes) => nodes.flatMap((node) => [node, " "]);

function runFacts(row) {
  const coded = ["command", "commit", "recipe digest", "weights digest", "data fingerprint"];
  const pairs = row.facts.map(([label, text]) => [
    label,
    coded.includes(label) ? make("code", {}, text) : text,
  ]);
  if (row.secondHand !== null)
    pairs.push(["recipe values that others say the paper states", String(row.secondHand)]);
  if (row.ours !== null) pairs.push(["recipe values not in paper or code", String(row.ours)]);
  const records = row.runs.length ? row.runs : [{ run: "run.json", record: row.record }];
  const link = ({ run, record }) => make("a", { href: record }, run);
  pairs.push(["record", make("span", {}, ...spaced(records.map(link)))]);
  if (row.runs.length)
    pairs.push(["several seeds", `files and frames below are those of ${row.runs[0].run}`]);
  return pairs;
}
