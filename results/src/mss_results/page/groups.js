// Rows on an axis of values, with bars for the sets whose rows do not differ significantly.

function groupFigures(rows, key, width) {
  const tests = testsOf(chosen.board, key);
  return tests.pools.map((pool) => pool.separable && groupFigure(rows, key, pool, tests, width));
}

function groupFigure(rows, key, pool, tests, width) {
  const tested = rows.filter((row) => pool.rows.includes(row.index));
  if (tested.length < 2) return null;
  tested.sort((a, b) => b.cells[key].value - a.cells[key].value);
  const order = tested.map((row) => row.index);
  const sets = undecidedSets(order, tests).map((set) => set.map((each) => order.indexOf(each)));
  sets.sort((a, b) => Math.min(...a) - Math.min(...b) || Math.max(...a) - Math.max(...b));
  const note =
    "Dot: value in the table; a bar joins rows of which no two differ significantly (its dots " +
    `mark them). Paired tests over tracks, Holm-corrected for all pairs of the ` +
    `${pool.rows.length} rows tested, 0.05.`;
  const drawing = drawGroups(tested, sets, key, width);
  return figure("groups", `${key}: rows that cannot be told apart`, note, drawing, true);
}

function drawGroups(tested, sets, key, width) {
  const pitch = 20;
  const names = width < 600 ? 130 : 230;
  const bars = Math.min(12, (width - names - 120) / Math.max(1, sets.length));
  const right = width - 14 - bars * sets.length;
  const box = { left: names, right, top: 6, bottom: 10 + pitch * tested.length };
  const values = tested.map((row) => row.cells[key].value);
  const scale = scaleOf(...padded(values, 0.05), box.left, box.right);
  const heightOf = (index) => 8 + pitch * index + pitch / 2;
  const parts = axisBelow(scale, box, width > 600 ? 8 : 4, key);
  tested.forEach((row, index) => {
    const y = heightOf(index);
    parts.push(
      draw("line", { class: "axis", x1: names, x2: width - 14, y1: y, y2: y }),
      shortName(row, { x: names - 8, y: y + 4, "text-anchor": "end" }, names - 8),
      dot(row, scale(values[index]), y, `${rowName(row)}: ${fixed(values[index])}`),
    );
  });
  sets.forEach((set, index) => {
    parts.push(...groupBar(set, right + bars * (index + 0.7), heightOf));
  });
  const description =
    `${key} of ${tested.length} rows on an axis, with ${counted(sets.length, "bar")} for sets ` +
    "without a significant difference; the matrix holds the p-values.";
  return picture(width, box.bottom + 42, description, ...parts);
}

function groupBar(set, x, heightOf) {
  const [top, bottom] = [Math.min(...set), Math.max(...set)].map(heightOf);
  return [
    draw("line", { class: "bar", x1: x, x2: x, y1: top, y2: bottom }),
    ...set.map((each) => draw("circle", { class: "member", cx: x, cy: heightOf(each), r: 3.5 })),
  ];
}
