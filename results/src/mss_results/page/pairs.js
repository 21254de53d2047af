// The tests between pairs of rows, as the board's data holds them for each column.

const LEVEL = 0.05;

// The column's tests: `rows` are indices; `of(i, j)` is the comparison as seen from row i.
function testsOf(board, key) {
  const column = board.columns[key] ?? { rows: [], pairs: [], tracks: 0, separable: false };
  const known = new Map();
  for (const [better, worse, p, tracks, wins, losses, gap, low, high, raw] of column.pairs) {
    const seen = { p, raw, tracks, wins, losses, gap, low, high, isBetter: p < LEVEL };
    const turned = { wins: losses, losses: wins, gap: -gap, low: -high, high: -low };
    known.set(`${better} ${worse}`, seen);
    known.set(`${worse} ${better}`, { ...seen, ...turned, isBetter: false });
  }
  return { ...column, of: (one, other) => known.get(`${one} ${other}`) };
}

// Holm's step-down adjusted p-values, in the order of `ps`.
function holm(ps) {
  const order = ps.map((_, index) => index).sort((a, b) => ps[a] - ps[b]);
  const adjusted = ps.map(() => 0);
  let highest = 0;
  order.forEach((index, step) => {
    highest = Math.max(highest, Math.min(1, (ps.length - step) * ps[index]));
    adjusted[index] = highest;
  });
  return adjusted;
}

const pText = (p) => (p < 0.001 ? "<0.001" : fixed(p, 3));

const gapText = (gap) => `${gap < 0 ? "" : "+"}${fixed(gap)}`;

// What must be said where ranks can't be.
function separation(board, key) {
  const { rows, tracks, separable, friedman } = testsOf(board, key);
  if (separable || rows.length < 2) return "";
  const overall =
    friedman === null ? "" : ` Friedman's test over all of them gives p = ${pText(friedman)}.`;
  return (
    `${counted(tracks, "track")} cannot separate any two of ${counted(rows.length, "row")}, ` +
    `so there are no ranks in ${key}.${overall} Wins and differences are shown instead.`
  );
}

// Maximal sets of rows of which no two differ significantly (Bron and Kerbosch, with pivot).
function undecidedSets(indices, tests) {
  const alike = (one, other) => {
    const pair = tests.of(one, other);
    return one !== other && pair !== undefined && pair.p >= LEVEL;
  };
  const sets = [];
  const extend = (chosenOnes, possible, done) => {
    if (!possible.length && !done.length) sets.push(chosenOnes);
    const pivot = [...possible, ...done][0];
    for (const each of possible.filter((one) => !alike(one, pivot))) {
      const near = (other) => alike(each, other);
      extend([...chosenOnes, each], possible.filter(near), done.filter(near));
      possible = possible.filter((one) => one !== each);
      done = [...done, each];
    }
  };
  extend([], indices, []);
  return sets.filter((set) => set.length > 1);
}
