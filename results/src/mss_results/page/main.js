// The current selection, and redrawing the page when it changes.

const boards = JSON.parse(byId("data").textContent).boards;
const chosen = { board: boards[0], metric: "", stem: "", sort: { title: "", direction: 1 } };

function options(select, values, value) {
  select.replaceChildren(
    ...values.map((each) => make("option", { value: each, selected: each === value }, each)),
  );
}

const distinct = (values) => [...new Set(values)];

function chooseBoard(board, metric) {
  chosen.board = board;
  options(byId("dataset"), distinct(boards.map((each) => each.dataset)), board.dataset);
  const siblings = boards.filter((each) => each.dataset === board.dataset);
  options(
    byId("protocol"),
    siblings.map((each) => each.protocol),
    board.protocol,
  );
  chooseMetric(board.metrics.includes(metric) ? metric : board.metrics[0]);
}

function chooseMetric(metric) {
  const { board } = chosen;
  chosen.metric = metric;
  chosen.stem = board.leads[metric];
  chosen.sort = { title: "", direction: 1 };
  options(byId("metric"), board.metrics, metric);
  const used = board.stems.filter((stem) =>
    board.rows.some((row) => row.cells[`${stem} ${metric}`]),
  );
  options(byId("stem"), used, chosen.stem);
  byId("title").textContent = `${board.dataset}, ${board.protocol}`;
  byId("about").replaceChildren(...board.about.map((line) => make("p", {}, line)));
  byId("notes")
    .querySelector("ul")
    .replaceChildren(...board.notes.map((line) => make("li", {}, line)));
  history.replaceState(null, "", `#${board.name}/${metric}`);
  render();
}

function shownRows() {
  const filter = {
    text: byId("filter").value,
    measured: byId("show-measured").checked,
    claimed: byId("show-claimed").checked,
    bound: byId("show-bound").checked,
    variant: byId("show-variant").checked,
  };
  const rows = chosen.board.rows.filter(
    (row) =>
      isShown(row, filter) &&
      Object.keys(row.cells).some((key) => key.endsWith(` ${chosen.metric}`)),
  );
  const column = columnsOf(chosen.board, chosen.metric).find(
    (each) => each.title === chosen.sort.title,
  );
  return column ? sortRows(rows, column, chosen.sort.direction) : rows;
}

function sortBy(column) {
  const again = chosen.sort.title === column.title;
  chosen.sort = { title: column.title, direction: again ? -chosen.sort.direction : column.first };
  render();
  // Rendering has replaced the button that was pressed.
  const buttons = [...byId("table").querySelectorAll("th button")];
  buttons.find((button) => button.textContent === column.title)?.focus();
}

function render() {
  const { board, metric, sort } = chosen;
  const rows = shownRows();
  byId("count").textContent = `${rows.length} of ${board.rows.length} rows`;
  byId("table").replaceChildren(tableOf(board, metric, rows, sort, sortBy));
  renderPlots(rows);
}

let drawnWidth = 0; // of the plots, in pixels

function renderPlots(rows) {
  const plots = byId("plots");
  drawnWidth = plots.clientWidth;
  const whole = plots.clientWidth - 26;
  const columns = Math.max(1, Math.floor((plots.clientWidth + 16) / (24 * 16 + 16)));
  const part = Math.floor((plots.clientWidth - 16 * (columns - 1)) / columns) - 26;
  const width = (wide) => Math.max(260, wide ? whole : part);
  plots.replaceChildren(...plotsOf(chosen.board, chosen.metric, chosen.stem, rows, width));
}

function fromAddress() {
  const [name, metric] = decodeURIComponent(location.hash.slice(1)).split("/");
  return [boards.find((board) => board.name === name) ?? boards[0], metric];
}

function start() {
  if (!boards.length) {
    byId("title").textContent = "There are no scores and no claims yet.";
    return;
  }
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("dataset").addEventListener("change", (event) =>
    chooseBoard(
      boards.find((board) => board.dataset === event.target.value),
      chosen.metric,
    ),
  );
  byId("protocol").addEventListener("change", (event) =>
    chooseBoard(
      boards.find(
        (board) => board.dataset === chosen.board.dataset && board.protocol === event.target.value,
      ),
      chosen.metric,
    ),
  );
  byId("metric").addEventListener("change", (event) => chooseMetric(event.target.value));
  byId("stem").addEventListener("change", (event) => {
    chosen.stem = event.target.value;
    renderPlots(shownRows());
  });
  for (const id of ["filter", "show-measured", "show-claimed", "show-bound", "show-variant"]) {
    byId(id).addEventListener("input", render);
  }
  addEventListener("hashchange", () => chooseBoard(...fromAddress()));
  // Only the width matters: on phones the height changes whenever the address bar hides.
  new ResizeObserver(([entry]) => {
    if (Math.abs(entry.contentRect.width - drawnWidth) > 1) renderPlots(shownRows());
  }).observe(byId("plots"));
  chooseBoard(...fromAddress());
}

start();
