// Scripts of data, loaded when they are needed: boards/ and runs/.

const loaded = new Map(); // file -> its data
const loading = new Map(); // file -> promise of its data

// Called by the scripts in boards/, while document.currentScript is theirs.
function keepBoard(board, rows) {
  board.rows = rows;
  rows.forEach((row, index) => Object.assign(row, { index, id: rowId(row) }));
  const taken = new Set(rows.map((row) => row.claim).filter((claim) => claim !== null));
  board.shown = rows.filter((row) => !taken.has(row.index)); // claims stand in their run's row
  loaded.set(document.currentScript.dataset.file, board);
}

// Called by the scripts in runs/.
function keepFrames(file, tracks) {
  loaded.set(file, tracks);
}

function load(file) {
  if (loaded.has(file)) return Promise.resolve(loaded.get(file));
  if (!loading.has(file)) loading.set(file, request(file));
  return loading.get(file);
}

function request(file) {
  return new Promise((resolve, reject) => {
    const address = file.split("/").map(encodeURIComponent).join("/");
    const script = make("script", { src: address, "data-file": file });
    script.addEventListener("load", () => resolve(loaded.get(file)));
    script.addEventListener("error", () => {
      loading.delete(file);
      script.remove();
      reject(new Error(`${file} is missing: run mss-results build`));
    });
    document.head.append(script);
  });
}
