// The tracks of a run, and the frames of one track.

function trackTable(board, metric, row) {
  const stems = board.stems.filter((stem) => row.songs[`${stem} ${metric}`]);
  const head = [["track", false], ...stems.map((stem) => [stem, true]), ["file", false]];
  const lines = row.tracks.map((_, index) => trackLine(board, metric, row, stems, index));
  const title = `${metric} by track`;
  const hint =
    row.frames === null ? "The frames are not here." : "Choose a track to see its frames.";
  return make(
    "div",
    {},
    make("h3", {}, title),
    make("p", { class: "small" }, hint),
    scrolling(tableWith({}, head, lines), title, "tracks"),
  );
}

function trackLine(board, metric, row, stems, index) {
  const show = () => showTrack(board, metric, row, index);
  const pick = make("button", { type: "button", class: "pick", onclick: show }, row.tracks[index]);
  const values = stems.map((stem) => row.songs[`${stem} ${metric}`][index]);
  const [address, digest] = row.files[index];
  const file = { href: address, title: `SHA-256 ${digest}` };
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, pick),
    ...values.map((value) => make("td", { class: "number" }, measure(value, 2))),
    make("td", {}, make("a", file, make("code", {}, digest.slice(0, 12)))),
  );
}

async function showTrack(board, metric, row, index) {
  const section = byId("track");
  const track = row.tracks[index];
  const plot = await framesOf(board, metric, row, index, Math.max(280, section.clientWidth - 4));
  section.replaceChildren(make("h3", {}, track), plot, players(row.audio[track] ?? {}));
  section.scrollIntoView({ block: "nearest" });
}

async function framesOf(board, metric, row, index, width) {
  if (row.frames === null)
    return nothing("The frames are not here: this run holds one value per track.");
  try {
    return framePlot(board, metric, (await load(row.frames))[index], width);
  } catch (error) {
    return nothing(`No frames: ${error.message}.`);
  }
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
  const stems = curves.map(([stem]) => stem).join(", ");
  const text = `${metric} of every frame for ${stems}; the values are in the track's file.`;
  const drawing = picture(
    width,
    282,
    text,
    ...axisBelow(x, box, width > 600 ? 10 : 5, "seconds"),
    ...axisLeft(y, box, 6, metric),
    ...curves.map(([stem, values]) => curveOf(stem, pathOf(values, track.step, x, y))),
  );
  return make("div", {}, curveLegend(curves), drawing);
}

function curveOf(stem, d) {
  const line = { d, fill: "none", stroke: `var(--${stem})`, "stroke-width": 1.8 };
  return draw("path", line, draw("title", {}, stem));
}

function curveLegend(curves) {
  const entries = curves.map(([stem]) =>
    make("span", {}, make("i", { style: `background: var(--${stem})` }), stem),
  );
  return make("div", { class: "legend" }, ...entries);
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
