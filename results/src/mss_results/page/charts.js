// Figures, and the axes and marks in them, as SVG in the available width.

function figure(name, title, note, body, wide = false, legend = "") {
  return make(
    "figure",
    { class: wide ? "wide" : "", "data-figure": name },
    make("figcaption", {}, title, make("span", {}, note)),
    legend,
    body,
  );
}

const nothing = (text) => make("p", { class: "empty" }, text);

function ticksOf(low, high, count) {
  const rough = (high - low || 1) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from(
    { length: Math.max(0, last - first + 1) },
    (_, index) => (first + index) * step,
  );
}

function logTicks(low, high) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const factor of [1, 2, 5]) ticks.push(factor * 10 ** power);
  }
  return ticks.filter((tick) => tick >= low / 1.001 && tick <= high * 1.001);
}

// Maps values to pixels; a logarithmic scale needs positive bounds.
function scaleOf(low, high, from, to, log = false) {
  const position = (value) => (log ? Math.log10(value) : value);
  const width = position(high) - position(low) || 1;
  const map = (value) => from + ((position(value) - position(low)) / width) * (to - from);
  map.ticks = (count) => (log ? logTicks(low, high) : ticksOf(low, high, count));
  return map;
}

function padded(values, share = 0.06) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = (high - low) * share || 1;
  return [low - room, high + room];
}

const tickText = (value) => String(Number(value.toPrecision(6)));

function axisBelow(scale, box, count, title, write = tickText) {
  const parts = [];
  for (const tick of scale.ticks(count)) {
    const x = scale(tick);
    parts.push(draw("line", { class: "axis", x1: x, x2: x, y1: box.top, y2: box.bottom }));
    parts.push(
      draw("text", { class: "tick", x, y: box.bottom + 16, "text-anchor": "middle" }, write(tick)),
    );
  }
  const middle = (box.left + box.right) / 2;
  parts.push(draw("text", { x: middle, y: box.bottom + 34, "text-anchor": "middle" }, title));
  return parts;
}

function axisLeft(scale, box, count, title) {
  const parts = [];
  for (const tick of scale.ticks(count)) {
    const y = scale(tick);
    parts.push(draw("line", { class: "axis", x1: box.left, x2: box.right, y1: y, y2: y }));
    parts.push(
      draw(
        "text",
        { class: "tick", x: box.left - 6, y: y + 4, "text-anchor": "end" },
        tickText(tick),
      ),
    );
  }
  parts.push(draw("text", { x: 4, y: 14 }, title));
  return parts;
}

function picture(width, height, description, ...parts) {
  return draw(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": description },
    ...parts,
  );
}

const colour = (row) => (row.contaminated ? "var(--grey)" : `var(--kind, var(--${row.kind}))`);

// A filled dot is measured, a ring is claimed.
function dot(row, x, y, text) {
  const open = row.kind === "claimed";
  return draw(
    "circle",
    {
      cx: x,
      cy: y,
      r: 5,
      stroke: colour(row),
      "stroke-width": 2,
      fill: open ? "none" : colour(row),
    },
    draw("title", {}, text),
  );
}

// Labels beside dots, as many as fit without covering each other or another dot.
function namesOf(points, box) {
  const taken = points.map(({ x, y }) => ({
    left: x - 7,
    right: x + 7,
    top: y - 7,
    bottom: y + 7,
  }));
  const parts = [];
  for (const { x, y, row, name } of points) {
    const text = (name ?? rowName(row)).slice(0, 28);
    const width = 7.2 * text.length;
    const corners = [
      [x + 9, y],
      [x - 9 - width, y],
      [x - width / 2, y - 15],
      [x - width / 2, y + 17],
    ];
    const boxes = corners.map(([left, middle]) => ({
      left,
      right: left + width,
      top: middle - 8,
      bottom: middle + 7,
    }));
    const label = boxes.find(
      (each) =>
        each.left >= box.left &&
        each.right <= box.right &&
        each.top >= box.top &&
        each.bottom <= box.bottom &&
        taken.every((other) => isApart(each, other)),
    );
    if (!label) continue;
    taken.push(label);
    parts.push(draw("text", { x: label.left, y: label.top + 12 }, text));
  }
  return parts;
}

function isApart(one, other) {
  return (
    one.left > other.right ||
    one.right < other.left ||
    one.top > other.bottom ||
    one.bottom < other.top
  );
}

// The furthest values within 1.5 box lengths, of numbers in order.
function whiskers(sorted) {
  const [q1, q3] = [0.25, 0.75].map((share) => quartile(sorted, share));
  const reach = 1.5 * (q3 - q1);
  const low = sorted.find((value) => value >= q1 - reach);
  const high = sorted.findLast((value) => value <= q3 + reach);
  return [low, high];
}

function quartile(sorted, share) {
  const position = (sorted.length - 1) * share;
  const low = Math.floor(position);
  return sorted[low] + (position - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}
