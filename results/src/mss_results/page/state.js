// What is chosen, and how it stands in the address:
// #board/metric?sort=-bass&text=tak&extra=no&since=2018&hide=claimed+variant&...

const KINDS = ["measured", "claimed", "oracle", "baseline", "variant"];

const chosen = {
  board: null,
  metric: "",
  stem: "", // whose ranks, plots and tests are shown
  sort: { title: "", direction: -1 }, // of the table, by the title of a column
  filter: { text: "", extra: "", since: "", hide: [] },
  reference: "", // row ids
  pair: ["", ""],
};

function addressOf() {
  const { board, metric, stem, sort, filter, reference, pair } = chosen;
  const isLead = stem === board.leads[metric];
  const isByStem = sort.title === stem;
  const isUsual = isLead && isByStem && sort.direction < 0;
  const parts = {
    stem: isLead || isByStem ? "" : stem,
    sort: isUsual ? "" : (sort.direction < 0 ? "-" : "") + sort.title,
    text: filter.text,
    extra: filter.extra,
    since: filter.since,
    hide: filter.hide.join(" "),
    against: reference,
    x: pair[0],
    y: pair[1],
  };
  const query = new URLSearchParams(Object.entries(parts).filter(([, value]) => value));
  const text = query.toString();
  return `#${board.name}/${encodeURIComponent(metric)}${text ? `?${text}` : ""}`;
}

// An address may be typed, or cut by a mail program: what can't be decoded is taken as it is.
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function readAddress() {
  const [path, query] = location.hash.slice(1).split("?");
  const [name, metric] = path.split("/").map(decoded);
  const parts = Object.fromEntries(new URLSearchParams(query ?? ""));
  const word = parts.sort ?? "";
  return {
    name,
    metric,
    stem: parts.stem ?? "",
    sort: { title: word.replace(/^-/, ""), direction: word.startsWith("-") ? -1 : 1 },
    filter: {
      text: parts.text ?? "",
      extra: EXTRAS.includes(parts.extra) ? parts.extra : "",
      since: /^\d{4}$/.test(parts.since ?? "") ? parts.since : "",
      hide: KINDS.filter((kind) => (parts.hide ?? "").split(" ").includes(kind)),
    },
    reference: parts.against ?? "",
    pair: [parts.x ?? "", parts.y ?? ""],
  };
}

// Keeps what the board has, and replaces the rest by the usual.
function settle(board, wish) {
  const metric = board.metrics.includes(wish.metric) ? wish.metric : board.metrics[0];
  const stems = stemsOf(board, metric);
  const stem = stems.includes(wish.stem) ? wish.stem : board.leads[metric];
  Object.assign(chosen, { board, metric, stem, filter: wish.filter });
  const column = columnsOf(board, metric, stem).find((each) => each.title === wish.sort.title);
  if (column?.stem) chosen.stem = column.stem;
  chosen.sort = column?.sortable ? wish.sort : { title: chosen.stem, direction: -1 };
  const ids = runsOf(board, `${chosen.stem} ${metric}`).map((row) => row.id);
  const has = (id) => (ids.includes(id) ? id : "");
  chosen.reference = has(wish.reference);
  chosen.pair = wish.pair.map(has);
}

const stemsOf = (board, metric) =>
  board.stems.filter((stem) => board.shown.some((row) => row.cells[`${stem} ${metric}`]));

// The rows with scores by track.
const runsOf = (board, key) =>
  board.shown.filter((row) => row.songs[key]?.some((value) => value !== null));

// A new entry in the history, or a change of the present one.
function writeAddress(isNew) {
  const address = addressOf();
  document.title = `${chosen.board.name} ${chosen.metric}`;
  if (address === location.hash) return;
  if (isNew) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}
