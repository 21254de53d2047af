// The dialog behind a cell: the run or source, its scores by track, and the frames of a track.

const keptFrames = new Map();

// Called by the scripts in runs/.
function keepFrames(file, tracks) {
  keptFrames.set(file, tracks);
}

function loadFrames(file) {
  return new Promise((resolve, reject) => {
    if (keptFrames.has(file)) return resolve(keptFrames.get(file));
    const script = make("script", { src: file });
    script.addEventListener("load", () => resolve(keptFrames.get(file)));
    script.addEventListener("error", () => reject(new Error(`${file} is missing`)));
    return document.head.append(script);
  });
}

function openRow(board, metric, row, key) {
  const dialog = byId("run");
  const close = make(
    "button",
    { type: "button", class: "plain", onclick: () => dialog.close() },
    "Close",
  );
  dialog.replaceChildren(
    make("div", { class: "top" }, make("h2", { id: "run-title" }, rowName(row)), close),
    cellFacts(row, key),
    row.run ? runFacts(row) : claimFacts(row, key),
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

function cellFacts(row, key) {
  const cell = row.cells[key];
  const pairs = [[key, cell.value === null ? "no score" : fixed(cell.value, 3)]];
  if (cell.low !== null)
    pairs.push(["95 % interval", `${fixed(cell.low, 3)} to ${fixed(cell.high, 3)}`]);
  if (cell.tracks !== null) pairs.push(["tracks", String(cell.tracks)]);
  if (cell.rank)
    pairs.push([
      "rank",
      cell.tied.length ? `${cell.rank}, tied with ${cell.tied.join(", ")}` : String(cell.rank),
    ]);
  if (cell.claimed !== null) pairs.push(["claimed", fixed(cell.claimed, 3)]);
  return facts(pairs);
}

function claimFacts(row, key) {
  const pairs = [
    ["source", row.cells[key].source],
    ["extra data", row.extra],
  ];
  if (row.recipe)
    pairs.push(["our recipe", row.notRun ? `${row.recipe}, not run` : row.recipe]);
  if (row.parameters !== null) pairs.push(["parameters", millions(row.parameters)]);
  for (const note of row.notes) pairs.push(["note", note]);
  return facts(pairs);
}

function runFacts(row) {
  const coded = ["command", "commit", "recipe digest", "weights digest", "data fingerprint"];
  const pairs = row.facts.map(([label, text]) => [
    label,
    coded.includes(label) ? make("code", {}, text) : text,
  ]);
  if (row.ours !== null) pairs.push(["recipe values not in paper or code", String(row.ours)]);
  pairs.push(["record", make("a", { href: row.record }, "run.json")]);
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
    make(
      "p",
      { class: "small" },
      row.frames === null ? "The frames are not here." : "Choose a track to see its frames.",
    ),
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
  if (row.frames === null) {
    section.replaceChildren(
      make("h3", {}, row.tracks[index]),
      nothing("The frames are not here: this run holds one value per track."),
      players(row.audio[row.tracks[index]] ?? {}),
    );
    section.scrollIntoView({ block: "nearest" });
    return;
  }
  try {
    const tracks = await loadFrames(row.frames);
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
