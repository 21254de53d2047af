// Scatter plots: score against cost, measured against claimed, one row against another.

const SIZE = { top: 24, bottom: 300, height: 342 };

function squareBox(width) {
  return { left: 44, right: width - 14, top: SIZE.top, bottom: SIZE.bottom };
}

function costFigure(rows, key, name, get, label, width) {
  const known = rows.filter((row) => get(row) > 0 && (row.cells[key]?.value ?? null) !== null);
  if (!known.length) return null;
  const box = squareBox(width);
  const xs = known.map(get);
  const values = known.map((row) => row.cells[key].value);
  const x = scaleOf(Math.min(...xs) / 2, Math.max(...xs) * 2, box.left, box.right, true);
  const y = scaleOf(...padded(values, 0.1), box.bottom, box.top);
  const points = known.map((row) => ({ row, x: x(get(row)), y: y(row.cells[key].value) }));
  const text = (row) =>
    `${rowName(row)}: ${fixed(row.cells[key].value)}, ${tickText(get(row))} ${label}`;
  const title = `${key} against ${name}`;
  const drawing = picture(
    width,
    SIZE.height,
    `${title}: ${known.length} rows; the table holds the values.`,
    ...axisBelow(x, box, 6, label),
    ...axisLeft(y, box, 6, key),
    ...points.map((point) => dot(point.row, point.x, point.y, text(point.row))),
    ...namesOf(points, box),
  );
  return figure(name.replace(/\W/g, "-"), title, "Filled: measured; ring: claimed.", drawing);
}

// Equal axes and the diagonal; points beyond the axes stand at their ends.
function diagonalPlot(width, ends, description, labels, points) {
  const box = squareBox(width);
  const within = (value) => Math.max(ends[0], Math.min(ends[1], value));
  const x = scaleOf(...ends, box.left, box.right);
  const y = scaleOf(...ends, box.bottom, box.top);
  const line = { x1: x(ends[0]), y1: y(ends[0]), x2: x(ends[1]), y2: y(ends[1]) };
  const placed = points.map((point) => {
    const [across, up] = point.at.map(within);
    return { ...point, x: x(across), y: y(up) };
  });
  return picture(
    width,
    SIZE.height,
    description,
    ...axisBelow(x, box, 6, labels[0]),
    ...axisLeft(y, box, 6, labels[1]),
    draw("line", { ...line, stroke: "var(--soft)" }),
    ...placed.map((point) => dot(point.row, point.x, point.y, point.text)),
    ...namesOf(placed.filter((point) => point.name), box),
  );
}

function claimFigure(rows, metric, width) {
  const points = rows.flatMap((row) =>
    Object.entries(row.cells)
      .filter(([key]) => key.endsWith(` ${metric}`) && differenceOf(row, key) !== null)
      .map(([key, { claimed, value }]) => ({
        row,
        at: [claimed, value],
        name: `${row.method} ${key.slice(0, -metric.length - 1)}`,
        text: `${rowName(row)}, ${key}: claimed ${fixed(claimed)}, measured ${fixed(value)}`,
      })),
  );
  if (!points.length) return null;
  const title = `${metric}: measured against claimed`;
  const note = "All stems that a run measures and a paper claims; on the line, both agree.";
  const text = `${title}: ${points.length} values; the table holds them.`;
  const ends = padded(points.flatMap(({ at }) => at), 0.08);
  const drawing = diagonalPlot(width, ends, text, ["claimed", "measured"], points);
  return figure("claims", title, note, drawing);
}

function pairFigure(key, width) {
  const { board, pair } = chosen;
  const [one, two] = pair.map((id) => board.shown.find((row) => row.id === id));
  const points = one && two ? commonTracks(one, two, key) : [];
  if (!points.length) return null;
  const along = (axis) => points.map(({ at }) => at[axis]).sort((a, b) => a - b);
  const ends = padded([...whiskers(along(0)), ...whiskers(along(1))], 0.08);
  const isOutside = (value) => value < ends[0] || value > ends[1];
  const clipped = points.filter(({ at }) => at.some(isOutside)).length;
  const title = `${key}: ${rowName(two)} against ${rowName(one)}`;
  const beyond = `${counted(clipped, "track")} beyond the axes drawn at their ends.`;
  const note = [winsText(one, two, points), clipped ? beyond : ""].filter(Boolean).join(" ");
  const labels = [rowName(one), rowName(two)];
  const drawing = diagonalPlot(width, ends, `${title}. ${note}`, labels, points);
  return figure("paired", title, note, drawing);
}

function commonTracks(one, two, key) {
  const score = (row, index) => row.songs[key]?.[index] ?? null;
  const others = new Map(two.tracks.map((track, index) => [track, score(two, index)]));
  return one.tracks
    .map((track, index) => ({ track, at: [score(one, index), others.get(track) ?? null] }))
    .filter(({ at }) => !at.includes(null))
    .map(({ track, at }) => {
      const text = `${track}: ${fixed(at[0])} across, ${fixed(at[1])} up`;
      return { at, row: two, text };
    });
}

function winsText(one, two, points) {
  const over = points.filter(({ at }) => at[1] > at[0]).length;
  const under = points.filter(({ at }) => at[1] < at[0]).length;
  return (
    `A dot is a track. ${rowName(two)} is better on ${over} of ` +
    `${counted(points.length, "track")} (above the line), ${rowName(one)} on ${under} (below), ` +
    `equal on ${points.length - over - under}.`
  );
}
