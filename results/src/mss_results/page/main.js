// Choosing boards, rows and columns, and redrawing the page.

const boards = JSON.parse(byId("data").textContent).boards;

// Opens what the wish asks for; the latest wish wins.
let wanted = 0;
async function choose(wish, isNew) {
  const turn = (wanted += 1);
  const listed = boards.find((each) => each.name === wish.name) ?? boards[0];
  byId("main").setAttribute("aria-busy", "true");
  try {
    const board = await load(listed.file);
    if (turn !== wanted) return;
    settle(board, wish);
    writeAddress(isNew);
    showBoard();
  } catch (error) {
    byId("title").textContent = `There is no board: ${error.message}.`;
  }
  byId("main").removeAttribute("aria-busy");
}

// Changes part of what is chosen: { metric: "SIR" }
function change(part, isNew = true) {
  return choose({ ...chosen, name: chosen.board.name, ...part }, isNew);
}

function showBoard() {
  const { board, metric } = chosen;
  byId("title").textContent = `${board.dataset}, ${board.protocol}`;
  byId("about").replaceChildren(...board.about.map((line) => make("p", {}, line)));
  const notes = board.notes.map((line) => make("li", {}, line));
  byId("notes").querySelector("ul").replaceChildren(...notes);
  options(byId("dataset"), distinct(boards.map((each) => each.dataset)), board.dataset);
  const siblings = boards.filter((each) => each.dataset === board.dataset);
  options(byId("protocol"), siblings.map((each) => each.protocol), board.protocol);
  options(byId("metric"), board.metrics, metric);
  showFilter();
  showComparison();
  render();
}

function showFilter() {
  const { board, filter } = chosen;
  const years = board.shown.map((row) => row.year).filter((year) => year !== null);
  const since = distinct([...years.map(String), filter.since]).filter(Boolean).sort();
  options(byId("since"), ["", ...since], filter.since, (year) => year || "any");
  options(byId("extra"), ["", ...EXTRAS], filter.extra, (extra) => extra || "any");
  if (byId("text").value !== filter.text) byId("text").value = filter.text;
  for (const kind of KINDS) byId(`show-${kind}`).checked = !filter.hide.includes(kind);
}

function showComparison() {
  const { board, metric, stem, reference, pair } = chosen;
  const key = `${stem} ${metric}`;
  const runs = runsOf(board, key);
  const tested = testsOf(board, key).rows.map((index) => board.rows[index]);
  const name = (id) => (id ? rowName(board.shown.find((row) => row.id === id)) : "none");
  const offer = (id, rows, value) =>
    options(byId(id), ["", ...rows.map((row) => row.id)], value, name);
  options(byId("stem"), stemsOf(board, metric), stem);
  offer("against", tested, reference);
  offer("x", runs, pair[0]);
  offer("y", runs, pair[1]);
  byId("comparison").hidden = runs.length < 2;
}

function render() {
  const { board, metric, stem } = chosen;
  const { rows, text, isFiltered } = selected();
  byId("count").textContent = text;
  byId("all").hidden = !isFiltered;
  byId("copied").textContent = "";
  byId("separation").textContent = separation(board, `${stem} ${metric}`, rows);
  const table = tableOf(rows, sortBy);
  const hadFocus = byId("table").contains(document.activeElement);
  byId("table").replaceChildren(table);
  prepareKeys(table);
  if (hadFocus) targetAt(table).focus();
  renderPlots(rows);
}

function sortBy(column) {
  const { sort } = chosen;
  const again = sort.title === column.title;
  change({ sort: { title: column.title, direction: again ? -sort.direction : column.first } });
}

let drawnWidth = 0; // of the plots, in pixels

function renderPlots(rows) {
  const plots = byId("plots");
  drawnWidth = plots.clientWidth;
  const whole = Math.max(260, drawnWidth - 26);
  const columns = Math.max(1, Math.floor((drawnWidth + 16) / (24 * 16 + 16)));
  const part = Math.max(260, Math.floor((drawnWidth - 16 * (columns - 1)) / columns) - 26);
  const { metric, stem } = chosen;
  const key = `${stem} ${metric}`;
  const figures = [
    againstFigure(rows, key), // first what was asked for
    pairFigure(key, part),
    boxFigure(rows, key, whole),
    ...groupFigures(rows, key, whole),
    matrixFigure(rows, key),
    heatFigure(rows, key, whole),
    costFigure(
      rows, key, "parameters", (row) => row.parameters && row.parameters / 1e6,
      "parameters (millions)", part,
    ),
    costFigure(
      rows, key, "real-time factor", (row) => row.factor,
      "processing seconds per second of audio", part,
    ),
    claimFigure(rows, metric, part),
  ].filter(Boolean);
  plots.replaceChildren(...figures);
  byId("plots-section").hidden = !figures.length;
}

const filterOf = () => ({
  text: byId("text").value,
  extra: byId("extra").value,
  since: byId("since").value,
  hide: KINDS.filter((kind) => !byId(`show-${kind}`).checked),
});

function listenToFilters() {
  let typing = false; // a text is one entry of the history, not one per letter
  byId("text").addEventListener("input", () => {
    change({ filter: filterOf() }, !typing);
    typing = true;
  });
  byId("text").addEventListener("change", () => (typing = false));
  for (const id of ["extra", "since", ...KINDS.map((kind) => `show-${kind}`)])
    byId(id).addEventListener("change", () => change({ filter: filterOf() }));
  const none = { text: "", extra: "", since: "", hide: [] };
  byId("all").addEventListener("click", () => {
    change({ filter: none });
    byId("text").focus();
  });
}

function listenToChoices() {
  const on = (id, act) => byId(id).addEventListener("change", (event) => act(event.target.value));
  const first = (test) => boards.find(test).name;
  on("dataset", (dataset) => change({ name: first((each) => each.dataset === dataset) }));
  on("protocol", (protocol) => {
    const { dataset } = chosen.board;
    const name = first((each) => each.dataset === dataset && each.protocol === protocol);
    change({ name });
  });
  on("metric", (metric) => change({ metric }));
  on("stem", (stem) => change({ sort: { title: stem, direction: -1 } }));
  on("against", (reference) => change({ reference }));
  on("x", (x) => change({ pair: [x, chosen.pair[1]] }));
  on("y", (y) => change({ pair: [chosen.pair[0], y] }));
  byId("copy-csv").addEventListener("click", () => copy(asCsv, "CSV"));
  byId("copy-latex").addEventListener("click", () => copy(asLatex, "LaTeX"));
  byId("copy-bibtex").addEventListener("click", () => copy(asBibtex, "BibTeX"));
}

function start() {
  if (!boards.length) {
    byId("title").textContent = "There are no scores and no claims yet.";
    return;
  }
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address holds the choice
    targetAt(byId("table")).focus();
  });
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  listenToFilters();
  listenToChoices();
  addEventListener("popstate", () => choose(readAddress(), false));
  // Only the width matters: on phones the height changes whenever the address bar hides.
  new ResizeObserver(([entry]) => {
    const isWider = Math.abs(entry.contentRect.width - drawnWidth) > 1;
    if (isWider && chosen.board) renderPlots(selected().rows);
  }).observe(byId("plots"));
  choose(readAddress(), false);
}

start();
