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
    row.run ? runFacts(row) : "",
    publishedFacts(row, key),
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
  const head = (text, number) => make("th", { scope: "col", class: number ? "number" : "" }, text);
  const lines = cells.map(([cell, key]) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, key),
      ...used.map(([, show]) => make("td", { class: "number" }, show(cell, key))),
    ),
  );
  const titles = [head("stem"), ...used.map(([title]) => head(title, true))];
  const parts = [make("thead", {}, make("tr", {}, ...titles)), make("tbody", {}, ...lines)];
  return scrolling(make("table", {}, ...parts), `${metric} of ${rowName(row)}`);
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
    pairs.push(["claim read in", source], ["extra data", claim.extra]);
    if (claim.parameters !== null) pairs.push(["parameters", millions(claim.parameters)]);
    for (const note of claim.notes) pairs.push(["note", note]);
  }
  if (!row.run && row.recipe)
    pairs.push(["our recipe", row.notRun ? `${row.recipe}, not run` : row.recipe]);
  return pairs.length ? facts(pairs) : "";
}

const spaced = (nodes) => nodes.flatMap((node) => [node, " "]);

function runFacts(row) {
  const coded = ["command", "commit", "recipe digest", "weights digest", "data fingerprint"];
  const pairs = row.facts.map(([label, text]) => [
    label,
    coded.includes(label) ? make("code", {}, text) : text,
  ]);
  if (row.ours !== null) pairs.push(["recipe values not in paper or code", String(row.ours)]);
  const records = row.runs.length ? row.runs : [{ run: "run.json", record: row.record }];
  const link = ({ run, record }) => make("a", { href: record }, run);
  pairs.push(["record", make("span", {}, ...spaced(records.map(link)))]);
  if (row.runs.length)
    pairs.push(["several seeds", `files and frames below are those of ${row.runs[0].run}`]);
  return facts(pairs);
}

function trackTable(board, metric, row) {
  const stems = board.stems.filter((stem) => row.songs[`${stem} ${metric}`]);
  const head = ["track", ...stems, "file"];
  const lines = row.tracks.map((track, index) =>
    make(
      "tr",
      {},
      make(
        "th",
        { scope: "row" },
        make(
          "button",
          {
            type: "button",
            class: "pick",
            onclick: () => showTrack(board, metric, row, index),
          },
          track,
        ),
      ),
      ...stems.map((stem) =>
        make("td", { class: "number" }, measure(row.songs[`${stem} ${metric}`][index], 2)),
      ),
      make(
        "td",
        {},
        make(
          "a",
          { href: row.files[index][0], title: `SHA-256 ${row.files[index][1]}` },
          make("code", {}, row.files[index][1].slice(0, 12)),
        ),
      ),
    ),
  );
  return make(
    "div",
    {},
    make("h3", {}, `${metric} by track`),
    make("p", { class: "small" }, "Choose a track to see its frames."),
    make(
      "div",
      { class: "scroll tracks", tabindex: "0", role: "region", "aria-label": `${metric} by track` },
      make(
        "table",
        {},
        make(
          "thead",
          {},
          make(
            "tr",
            {},
            ...head.map((name) =>
              make("th", { scope: "col", class: stems.includes(name) ? "number" : "" }, name),
            ),
          ),
        ),
        make("tbody", {}, ...lines),
      ),
    ),
  );
}

async function showTrack(board, metric, row, index) {
  const section = byId("track");
  try {
    const tracks = await load(row.frames);
    section.replaceChildren(
      make("h3", {}, row.tracks[index]),
      framePlot(board, metric, tracks[index], Math.max(280, section.clientWidth - 4)),
      players(row.audio[row.tracks[index]] ?? {}),
    );
  } catch (error) {
    section.replaceChildren(nothing(`No frames: ${error.message}.`));
  }
  section.scrollIntoView({ block: "nearest" });
}

function framePlot(board, metric, track, width) {
  const curves = board.stems
    .filter((stem) => track.frames[`${stem} ${metric}`])
    .map((stem) => [stem, track.frames[`${stem} ${metric}`]]);
  const all = curves.flatMap(([, values]) => values.filter((value) => value !== null));
  if (!all.length) return nothing("No frame of this track has a score.");
  const frames = Math.max(...curves.map(([, values]) => values.length));
  if (frames < 2)
    return nothing("This protocol scores the whole track at once: there are no frames to draw.");
  const box = { left: 44, right: width - 14, top: 24, bottom: 240 };
  const x = scaleOf(0, frames * track.step, box.left, box.right);
  const y = scaleOf(...padded(all.map((value) => value / 100)), box.bottom, box.top);
  const lines = curves.map(([stem, values]) =>
    draw(
      "path",
      {
        d: pathOf(values, track.step, x, y),
        fill: "none",
        stroke: `var(--${stem})`,
        "stroke-width": 1.8,
      },
      draw("title", {}, stem),
    ),
  );
  const legend = make(
    "div",
    { class: "legend" },
    ...curves.map(([stem]) =>
      make("span", {}, make("i", { style: `background: var(--${stem})` }), stem),
    ),
  );
  const stems = curves.map(([stem]) => stem).join(", ");
  const text = `${metric} of every frame for ${stems}; the values are in the track's file.`;
  return make(
    "div",
    {},
    legend,
    picture(
      width,
      282,
      text,
      ...axisBelow(x, box, width > 600 ? 10 : 5, "seconds"),
      ...axisLeft(y, box, 6, metric),
      ...lines,
    ),
  );
}

// Frames without a score interrupt the line; an isolated frame is a dash of its own length.
function pathOf(values, step, x, y) {
  let path = "";
  values.forEach((value, index) => {
    if (value === null) return;
    const joined = index > 0 && values[index - 1] !== null;
    const height = y(value / 100);
    path += `${joined ? "L" : "M"}${x(index * step).toFixed(1)} ${height.toFixed(1)}`;
    path += `L${x((index + 1) * step).toFixed(1)} ${height.toFixed(1)}`;
  });
  return path;
}

function players(sounds) {
  const stems = Object.keys(sounds);
  if (!stems.length) return "";
  return make(
    "div",
    { class: "players" },
    ...stems.map((stem) =>
      make(
        "label",
        {},
        stem,
        make("audio", { controls: true, preload: "none", src: sounds[stem] }),
      ),
    ),
  );
}
