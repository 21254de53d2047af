// Box plots over tracks. The axis spans the whiskers; tracks beyond it stand at its ends.

function boxFigure(rows, key, width) {
  const drawn = rows.filter((row) => row.songs[key]?.some((value) => value !== null));
  if (!drawn.length) return null;
  const boxes = drawn.map((row) => boxOf(row, key));
  // Names are left of the boxes, or above them if space is short.
  const above = width < 600;
  const [names, pitch, middle] = above ? [10, 46, 32] : [230, 30, 15];
  const box = { left: names + 8, right: width - 14, top: 6, bottom: 6 + pitch * drawn.length };
  const ends = padded(boxes.flatMap(({ low, high }) => [low, high]), 0.04);
  const scale = scaleOf(...ends, box.left, box.right);
  const parts = axisBelow(scale, box, width > 600 ? 10 : 5, key);
  boxes.forEach((each, index) => {
    const y = 6 + pitch * index + middle;
    const before = { x: names - 8, y: y + 4, "text-anchor": "end" };
    const anchor = above ? { x: names, y: y - 14 } : before;
    parts.push(shortName(each.row, anchor, above ? width - 20 : names - 8));
    parts.push(...drawBox(each, scale, ends, y));
  });
  const description = `Box plots of ${key} over tracks of ${drawn.length} rows, as in the table.`;
  const drawing = picture(width, box.bottom + 42, description, ...parts);
  return figure("boxes", `${key} by track`, boxNote(boxes, ends), drawing, true);
}

function boxNote(boxes, [low, high]) {
  const note =
    "Box: quartiles over tracks; line: median; dots: tracks; whiskers: the furthest track within " +
    "1.5 box lengths.";
  const outside = boxes.flatMap(({ scored }) =>
    scored.map(([value]) => value).filter((value) => value < low || value > high),
  );
  if (!outside.length) return note;
  const [least, most] = [Math.min(...outside), Math.max(...outside)];
  const reach = least === most ? fixed(least) : `${fixed(least)} to ${fixed(most)}`;
  return (
    `${note} Clipped: ${counted(outside.length, "track score")} (${reach}) beyond the axis, ` +
    "drawn as triangles at its ends."
  );
}

function boxOf(row, key) {
  const scored = row.songs[key]
    .map((value, index) => [value, row.tracks[index]])
    .filter(([value]) => value !== null);
  const values = scored.map(([value]) => value).sort((a, b) => a - b);
  const [q1, q2, q3] = [0.25, 0.5, 0.75].map((share) => quartile(values, share));
  const [low, high] = whiskers(values);
  return { row, scored, q1, q2, q3, low, high };
}

function drawBox({ row, scored, q1, q2, q3, low, high }, scale, ends, y) {
  const ink = colour(row);
  const line = (x1, x2, y1, y2, thick) =>
    draw("line", { x1: scale(x1), x2: scale(x2), y1, y2, stroke: ink, "stroke-width": thick });
  return [
    line(low, q1, y, y, 1.5),
    line(q3, high, y, y, 1.5),
    line(q2, q2, y - 9, y + 9, 3),
    draw("rect", {
      x: scale(q1),
      y: y - 8,
      width: Math.max(1, scale(q3) - scale(q1)),
      height: 16,
      fill: ink,
      "fill-opacity": 0.18,
      stroke: ink,
    }),
    ...scored.map(([value, track]) => trackMark(row, value, track, scale, ends, y)),
  ];
}

function trackMark(row, value, track, scale, [low, high], y) {
  const title = draw("title", {}, `${rowName(row)}, ${track}: ${fixed(value)}`);
  const paint = { fill: colour(row), "fill-opacity": 0.6 };
  if (value >= low && value <= high)
    return draw("circle", { cx: scale(value), cy: y, r: 2.5, ...paint }, title);
  const x = scale(value < low ? low : high);
  const tip = value < low ? x - 7 : x + 7;
  const d = `M${tip} ${y}L${x} ${y - 5}L${x} ${y + 5}Z`;
  return draw("path", { class: "clipped", d, ...paint, "fill-opacity": 1 }, title);
}

function shortName(row, anchor, room) {
  const letters = Math.floor(room / 7.8);
  const name = rowName(row);
  const shown = name.length > letters ? `${name.slice(0, letters - 1)}…` : name;
  return draw("text", anchor, shown, draw("title", {}, name));
}
