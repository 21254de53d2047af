// One tab stop for the table: the arrow keys move the focus from cell to cell.

const MOVES = {
  ArrowRight: [0, 1],
  ArrowLeft: [0, -1],
  ArrowDown: [1, 0],
  ArrowUp: [-1, 0],
  PageDown: [10, 0],
  PageUp: [-10, 0],
  Home: [0, -Infinity],
  End: [0, Infinity],
};

const place = { line: 0, column: 0 }; // of the focus, with the head as line 0

const linesOf = (table) => [...table.querySelectorAll("tr")];

// What takes the focus in a cell: what can be pressed there, or else the cell.
const targetOf = (cell) => cell.querySelector("button, a") ?? cell;

function prepareKeys(table) {
  for (const node of table.querySelectorAll("button, a, th, td")) node.tabIndex = -1;
  const lines = linesOf(table);
  place.line = Math.min(place.line, lines.length - 1);
  place.column = Math.min(place.column, lines[0].children.length - 1);
  targetAt(table).tabIndex = 0;
  table.addEventListener("keydown", moveFocus);
  table.addEventListener("focusin", (event) => keepPlace(table, event.target));
}

const targetAt = (table) => targetOf(linesOf(table)[place.line].children[place.column]);

function moveFocus(event) {
  const move = MOVES[event.key];
  if (!move || event.altKey || event.metaKey) return;
  event.preventDefault();
  const table = event.currentTarget;
  const lines = linesOf(table);
  const clamp = (value, most) => Math.max(0, Math.min(most, value));
  if (event.ctrlKey && move[0] === 0) place.line = move[1] < 0 ? 0 : lines.length - 1;
  const links = move[0] === 0 && !event.ctrlKey && siblingLink(event.target, move[1]);
  if (links) return links.focus();
  place.line = clamp(place.line + move[0], lines.length - 1);
  place.column = clamp(place.column + move[1], lines[place.line].children.length - 1);
  targetAt(table).focus();
}

// Links stand side by side in one cell.
function siblingLink(node, step) {
  if (node.tagName !== "A") return null;
  const links = [...node.parentNode.querySelectorAll("a")];
  return links[links.indexOf(node) + step] ?? null;
}

function keepPlace(table, target) {
  const cell = target.closest("th, td");
  if (!cell) return;
  targetAt(table).tabIndex = -1;
  place.line = linesOf(table).indexOf(cell.parentNode);
  place.column = [...cell.parentNode.children].indexOf(cell);
  for (const node of table.querySelectorAll("[tabindex='0']")) node.tabIndex = -1;
  target.tabIndex = 0;
}
