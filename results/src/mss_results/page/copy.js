// The table as it is shown, as CSV, LaTeX and BibTeX.

function shownCells(rows) {
  const { board, metric, stem } = chosen;
  const columns = usedColumns(board, metric, stem);
  const title = (column) => (column.below ? `${column.title} (${column.below})` : column.title);
  const value = (row, column) => {
    if (column.links) return row.links.map(([, address]) => address).join(" ");
    if (column.stem) return measure(column.get(row), 3);
    return textOf(column, row);
  };
  const lines = rows.map((row) => columns.map((column) => String(value(row, column))));
  return { columns, head: columns.map(title), lines };
}

function describeChoice() {
  const { board, metric, sort, filter } = chosen;
  const order = `sorted by ${sort.title}${sort.direction > 0 ? ", ascending" : ""}`;
  const filters = filtersOf(filter).map(({ name }) => name);
  return [`${board.name}, ${metric}`, order, ...filters].join("; ");
}

// A spreadsheet takes what begins with = + - or @ for a formula, unless it is a number.
const plain = (cell) => (/^'*[=+\-@\t\r]/.test(cell) && isNaN(cell) ? `'${cell}` : cell);

function asCsv(rows) {
  const { head, lines } = shownCells(rows);
  const quoted = (cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  return [head, ...lines].map((line) => `${line.map(plain).map(quoted).join(",")}\n`).join("");
}

const TEX = {
  "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}",
  "&": "\\&", "%": "\\%", "$": "\\$", "#": "\\#", _: "\\_", "{": "\\{", "}": "\\}",
};
const tex = (cell) => cell.replace(/[\\~^&%$#_{}]/g, (letter) => TEX[letter]);

// Rank, method, scores and year only: the other columns do not fit a page.
function asLatex(rows) {
  const { columns, head, lines } = shownCells(rows);
  const wanted = ["rank", "year"];
  const kept = columns
    .map((column, index) => ({ column, index }))
    .filter(({ column }) => column.name || column.stem || wanted.includes(column.title));
  const cell = (line) => ({ column, index }) =>
    tex(column.stem && line[index] ? fixed(Number(line[index])) : line[index]);
  const row = (line) => `${kept.map(cell(line)).join(" & ")} \\\\`;
  const title = kept.map(({ index }) => tex(head[index])).join(" & ");
  const spec = kept.map(({ column }) => (column.number ? "r" : "l")).join("");
  return [
    `% ${describeChoice()}`,
    `\\begin{tabular}{${spec}}`,
    ...["\\toprule", `${title} \\\\`, "\\midrule"],
    ...lines.map(row),
    ...["\\bottomrule", "\\end{tabular}", ""],
  ].join("\n");
}

function asBibtex(rows) {
  const keys = distinct(rows.map((row) => row.bibtex).filter(Boolean));
  const without = rows.filter((row) => !row.bibtex).map(rowName);
  const lines = keys.sort().map((key) => chosen.board.bibliography[key]);
  if (without.length) lines.push(`% without an entry: ${distinct(without).join(", ")}`);
  return `${lines.join("\n\n")}\n`;
}

async function copy(write, name) {
  const { rows } = selected();
  const text = write(rows);
  const say = (message) => (byId("copied").textContent = message);
  try {
    await navigator.clipboard.writeText(text);
    say(`Copied ${counted(rows.length, "row")} as ${name}.`);
  } catch {
    say("");
    showText(text, name);
  }
}

// Where the browser forbids writing to the clipboard, the text is shown to be copied by hand.
function showText(text, name) {
  const dialog = byId("run");
  const field = make("textarea", { rows: 20, readonly: true, "aria-label": name }, text);
  dialog.replaceChildren(dialogHead(`Copy as ${name}`), field);
  dialog.showModal();
  field.select();
}
