// Tracks by rows, coloured by score: which songs are hard, and for whom.

function heatFigure(rows, key, width) {
  const drawn = rows.filter((row) => row.songs[key]?.some((value) => value !== null));
  const scores = drawn.map(
    (row) => new Map(row.tracks.map((track, index) => [track, row.songs[key][index]])),
  );
  const tracks = easiestFirst(scores);
  if (drawn.length < 2 || tracks.length < 2) return null;
  const all = scores.flatMap((each) => [...each.values()]).filter((value) => value !== null);
  const sorted = all.sort((a, b) => a - b);
  const ends = [quartile(sorted, 0.05), quartile(sorted, 0.95)];
  const drawing = drawHeat(drawn, scores, tracks, ends, key, width);
  const title = `${key} of every track`;
  const note =
    `Columns: ${tracks.length} tracks, the easiest (by the median over rows) on the left. ` +
    `Colours end at the 5th and 95th percentile, ${fixed(ends[0])} and ${fixed(ends[1])}.`;
  return figure("heat", title, note, scrolling(drawing, title), true, heatLegend(ends));
}

function easiestFirst(scores) {
  const tracks = distinct(scores.flatMap((each) => [...each.keys()]));
  const ease = new Map(
    tracks.map((track) => {
      const values = scores.map((each) => each.get(track) ?? null);
      const sorted = values.filter((value) => value !== null).sort((a, b) => a - b);
      return [track, sorted.length ? quartile(sorted, 0.5) : -Infinity];
    }),
  );
  return tracks.sort((a, b) => ease.get(b) - ease.get(a));
}

function heat(value, [low, high]) {
  const share = Math.max(0, Math.min(1, (value - low) / (high - low || 1)));
  return `color-mix(in oklab, var(--hot) ${Math.round(100 * share)}%, var(--cold))`;
}

function drawHeat(drawn, scores, tracks, ends, key, width) {
  const names = width < 600 ? 120 : 230;
  const size = Math.max(9, Math.min(60, (width - names - 4) / tracks.length));
  const pitch = 18;
  const parts = [];
  drawn.forEach((row, line) => {
    const y = pitch * line;
    const anchor = { x: names - 8, y: y + 13, "text-anchor": "end" };
    parts.push(shortName(row, anchor, names - 8));
    tracks.forEach((track, index) => {
      const value = scores[line].get(track) ?? null;
      if (value === null) return;
      const spot = { x: names + size * index, y, width: size - 1, height: pitch - 1 };
      const title = draw("title", {}, `${rowName(row)}, ${track}: ${fixed(value)}`);
      parts.push(draw("rect", { ...spot, style: `fill: ${heat(value, ends)}` }, title));
    });
  });
  const text = `${key}: ${drawn.length} rows, ${tracks.length} tracks; each row's run lists them.`;
  return picture(names + size * tracks.length, pitch * drawn.length, text, ...parts);
}

function heatLegend(ends) {
  const steps = Array.from({ length: 12 }, (_, index) => index / 11);
  const shade = (share) => heat(ends[0] + share * (ends[1] - ends[0]), ends);
  const shades = steps.map((each) => make("i", { style: `background: ${shade(each)}` }));
  return make(
    "div",
    { class: "legend", "aria-hidden": "true" },
    fixed(ends[0]),
    make("span", { class: "shades" }, ...shades),
    fixed(ends[1]),
  );
}
