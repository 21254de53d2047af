// The plots of a board: the rows of the table under one stem and metric.

function plotsOf(board, metric, stem, rows, width) {
  const key = `${stem} ${metric}`;
  const title = `${stem} ${metric}`;
  return [
    boxFigure(rows, key, title, width(true)),
    scatterFigure(
      rows,
      key,
      title,
      "parameters",
      (row) => row.parameters && row.parameters / 1e6,
      "parameters (millions)",
      width(false),
    ),
    scatterFigure(
      rows,
      key,
      title,
      "real-time factor",
      (row) => row.factor,
      "processing seconds per second of audio",
      width(false),
    ),
    claimFigure(rows, metric, width(false)),
    matrixFigure(board, key, title),
  ];
}

function figure(title, note, body, wide = false) {
  return make(
    "figure",
    { class: wide ? "wide" : "" },
    make("figcaption", {}, title, make("span", {}, note)),
    body,
  );
}

const nothing = (text) => make("p", { class: "empty" }, text);

function boxFigure(rows, key, title, width) {
  const drawn = rows.filter((row) => (row.songs[key] ?? []).some((value) => value !== null));
  const note =
    "box: quartiles over tracks; line: median; dots: tracks; " +
    "whiskers: the furthest track within 1.5 box lengths";
  if (!drawn.length)
    return figure(`${title} by track`, note, nothing("No row has scores by track."), true);
  // Names are left of the boxes, or above them if space is short.
  const above = width < 600;
  const [names, pitch, middle] = above ? [10, 46, 32] : [230, 30, 15];
  const box = { left: names, right: width - 12, top: 6, bottom: 6 + pitch * drawn.length };
  const all = drawn.flatMap((row) => row.songs[key].filter((value) => value !== null));
  const scale = scaleOf(...padded(all), box.left, box.right);
  const parts = axisBelow(scale, box, width > 600 ? 10 : 5, title);
  drawn.forEach((row, index) => {
    const y = 6 + pitch * index + middle;
    const before = { x: names - 8, y: y + 4, "text-anchor": "end" };
    const anchor = above ? { x: names, y: y - 14 } : before;
    parts.push(boxName(row, anchor, above ? width - 20 : names - 8), ...boxOf(row, key, scale, y));
  });
  const description = `Box plots of ${title} over tracks of ${drawn.length} rows, as in the table.`;
  return figure(
    `${title} by track`,
    note,
    picture(width, box.bottom + 42, description, ...parts),
    true,
  );
}

function boxName(row, anchor, room) {
  const letters = Math.floor(room / 6.6);
  const name = rowName(row);
  const shown = name.length > letters ? `${name.slice(0, letters - 1)}…` : name;
  return draw("text", anchor, shown, draw("title", {}, name));
}

function boxOf(row, key, scale, y) {
  const scored = row.songs[key]
    .map((value, index) => [value, row.tracks[index]])
    .filter(([value]) => value !== null);
  const values = scored.map(([value]) => value).sort((a, b) => a - b);
  const [q1, q2, q3] = [0.25, 0.5, 0.75].map((share) => quartile(values, share));
  const reach = 1.5 * (q3 - q1);
  const low = values.find((value) => value >= q1 - reach);
  const high = values.findLast((value) => value <= q3 + reach);
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
    ...scored.map(([value, track]) =>
      draw(
        "circle",
        { cx: scale(value), cy: y, r: 2.5, fill: ink, "fill-opacity": 0.6 },
        draw("title", {}, `${rowName(row)}, ${track}: ${fixed(value)}`),
      ),
    ),
  ];
}

function scatterFigure(rows, key, title, name, get, label, width) {
  const heading = `${title} against ${name}`;
  const note = "filled: measured; ring: claimed";
  const known = rows.filter((row) => get(row) > 0 && (row.cells[key]?.value ?? null) !== null);
  if (!known.length)
    return figure(heading, note, nothing(`No row here has both a score and ${name}.`));
  const box = { left: 44, right: width - 14, top: 24, bottom: 300 };
  const xs = known.map(get);
  const x = scaleOf(Math.min(...xs) / 2, Math.max(...xs) * 2, box.left, box.right, true);
  const y = scaleOf(
    ...padded(
      known.map((row) => row.cells[key].value),
      0.1,
    ),
    box.bottom,
    box.top,
  );
  const points = known.map((row) => ({ row, x: x(get(row)), y: y(row.cells[key].value) }));
  const text = (row) =>
    `${rowName(row)}: ${fixed(row.cells[key].value)}, ${tickText(get(row))} ${label}`;
  return figure(
    heading,
    note,
    picture(
      width,
      342,
      `${heading}: ${known.length} rows; the table holds the values.`,
      ...axisBelow(x, box, 6, label),
      ...axisLeft(y, box, 6, title),
      ...points.map((point) => dot(point.row, point.x, point.y, text(point.row))),
      ...namesOf(points, box),
    ),
  );
}

function claimFigure(rows, metric, width) {
  const pairs = rows.flatMap((row) =>
    Object.entries(row.cells)
      .filter(
        ([key, cell]) => key.endsWith(` ${metric}`) && cell.claimed !== null && cell.value !== null,
      )
      .map(([key, cell]) => ({ row, key, claimed: cell.claimed, value: cell.value })),
  );
  const heading = `${metric}: measured against claimed`;
  const note =
    "all stems for which a run reproduces a claimed row; on the line, both agree";
  if (!pairs.length)
    return figure(heading, note, nothing("No run on this board reproduces a claimed row yet."));
  const box = { left: 44, right: width - 14, top: 24, bottom: 300 };
  const ends = padded(
    pairs.flatMap((pair) => [pair.claimed, pair.value]),
    0.1,
  );
  const x = scaleOf(...ends, box.left, box.right);
  const y = scaleOf(...ends, box.bottom, box.top);
  const line = draw("line", {
    x1: x(ends[0]),
    y1: y(ends[0]),
    x2: x(ends[1]),
    y2: y(ends[1]),
    stroke: "var(--soft)",
  });
  const dots = pairs.map((pair) =>
    dot(
      pair.row,
      x(pair.claimed),
      y(pair.value),
      `${rowName(pair.row)}, ${pair.key}: ` +
        `claimed ${fixed(pair.claimed)}, measured ${fixed(pair.value)}`,
    ),
  );
  const names = pairs.map((pair) => ({
    x: x(pair.claimed),
    y: y(pair.value),
    row: { method: pair.key },
  }));
  return figure(
    heading,
    note,
    picture(
      width,
      342,
      `${heading}: ${pairs.length} values; the table holds them.`,
      ...axisBelow(x, box, 6, "claimed"),
      ...axisLeft(y, box, 6, "measured"),
      line,
      ...dots,
      ...namesOf(names, box),
    ),
  );
}

function matrixFigure(board, key, title) {
  const pairs = board.pairs[key] ?? [];
  const heading = `${title}: pairwise comparison`;
  const note =
    "p-values of the paired Wilcoxon test over tracks, Holm-corrected for all pairs shown; " +
    "marked where the row beats the column at 0.05";
  if (!pairs.length)
    return figure(heading, note, nothing("No two ranked rows share data and tracks."), true);
  const entries = new Map();
  for (const [better, worse, p, tracks] of pairs) {
    entries.set(`${better} ${worse}`, [p, p < 0.05, tracks]);
    entries.set(`${worse} ${better}`, [p, false, tracks]);
  }
  const involved = new Set(pairs.flatMap(([one, two]) => [one, two]));
  const order = [...involved].sort((a, b) => a - b);
  const head = order.map((index) => make("th", { scope: "col" }, rowName(board.rows[index])));
  const body = order.map((index) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, rowName(board.rows[index])),
      ...order.map((other) =>
        matrixCell(index === other ? null : entries.get(`${index} ${other}`)),
      ),
    ),
  );
  const table = make(
    "table",
    { class: "matrix" },
    make("thead", {}, make("tr", {}, make("td"), ...head)),
    make("tbody", {}, ...body),
  );
  return figure(
    heading,
    note,
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": heading }, table),
    true,
  );
}

function matrixCell(entry) {
  if (!entry) return make("td", {}, "–");
  const [p, wins, tracks] = entry;
  const text = p < 0.001 ? "<0.001" : fixed(p, 3);
  return make(
    "td",
    { class: wins ? "win" : "", title: `${tracks} tracks` },
    wins ? `${text} ▲` : text,
  );
}
