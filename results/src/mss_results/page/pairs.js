// The tests between pairs of rows, as the board's data holds them for each column.

const LEVEL = 0.05;

// Rows scored on the same tracks form a pool; most columns have one.
const poolsOf = (board, key) => {
  const first = board.columns[key];
  return first ? [first, ...(first.more ?? [])] : [];
};

// The column's tests: `rows` are indices; `of(i, j)` is the comparison as seen from row i.
function testsOf(board, key) {
  const pools = poolsOf(board, key);
  const known = new Map();
  for (const { pairs, separable } of pools) {
    for (const pair of pairs) keepPair(known, pair, separable);
  }
  const rows = pools.flatMap((pool) => pool.rows);
  return { pools, rows, of: (one, other) => known.get(`${one} ${other}`) };
}

function keepPair(known, pair, separable) {
  const [better, worse, p, tracks, wins, losses, gap, low, high, raw] = pair;
  const minus = (value) => (value === null ? null : -value);
  const seen = { p, raw, tracks, wins, losses, gap, low, high, separable, isBetter: p < LEVEL };
  const ends = { low: minus(high), high: minus(low) };
  const turned = { wins: losses, losses: wins, gap: minus(gap), ...ends };
  known.set(`${better} ${worse}`, seen);
  known.set(`${worse} ${better}`, { ...seen, ...turned, isBetter: false });
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

const pText = (p, equals = "") => (p < 0.001 ? "< 0.001" : equals + fixed(p, 3));

const gapText = (gap) => (gap === null ? "" : signed(gap));

const rangeOfGap = ({ low, high }) => (low === null ? "" : `${signed(low)} to ${signed(high)}`);

// What must be said where ranks can't be.
function separation(board, key, rows) {
  const shown = new Set(rows.map((row) => row.index));
  const shows = (pool) => pool.rows.filter((index) => shown.has(index)).length > 1;
  return poolsOf(board, key)
    .filter(({ rows, separable }) => !separable && rows.length > 1)
    .map((pool) => {
      const { rows, tracks, friedman } = pool;
      const test = "Friedman's test that all score alike";
      const overall = friedman === null ? "" : ` ${test}: p ${pText(friedman, "= ")}.`;
      const instead = shows(pool) ? " Wins and differences are shown instead." : "";
      return (
        `${counted(tracks, "track")} cannot separate any two of ${counted(rows.length, "row")}, ` +
        `so there are no ranks in ${key}.${overall}${instead}`
      );
    })
    .join(" ");
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
