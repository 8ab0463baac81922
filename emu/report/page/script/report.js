// The moment that is shown, and how the reader moves it.

function go(position) {
  at = Math.max(0, Math.min(end(), position));
  $("slider").value = at;
  const now = moment(at), state = held(at);
  const which = at < rows ? `event ${number(at + 1)} of ${number(run.events)}` : at < end() ? `one of ${number(run.events)} events` : `the end, behind ${number(run.events)} events`;
  $("moment").textContent = `${number(now)} of ${number(run.instructions)} instructions, ${which}`;
  $("slider").setAttribute("aria-valuetext", $("moment").textContent);
  for (const plot of plots) plot.redraw(false);
  drawEvent();
  drawWalk();
  drawMap(state);
  drawBlocks(state);
  drawHeld(state);
  drawProcesses(state, now);
  drawCosts(now);
  drawCalls(now);
  drawConsole(now);
}
let written = -1; // lines of the console that are shown
function drawConsole(now) {
  const shown = run.console.filter(([when]) => when <= now || at === end());
  if (shown.length === written) return;
  written = shown.length;
  $("console").textContent = shown.map(([, text]) => text).join("");
  $("console").scrollTop = $("console").scrollHeight;
}
// A slider that is dragged tells of more places than a screen shows: the last one of each picture is drawn.
let wanted = null;
function slide() {
  if (wanted === null) requestAnimationFrame(() => { const place = wanted; wanted = null; go(place); });
  wanted = Number($("slider").value);
}

const toFault = (step) => {
  for (let row = at + step; row >= 0 && row < rows; row += step) if (isFault(row)) return go(row);
};
function search() {
  const word = $("search").value.toLowerCase();
  for (let tried = 1; word && tried <= rows; tried++) {
    const row = (at + tried) % rows;
    if (`${run.kinds[run.kind[row]]} ${sentence(row)}`.toLowerCase().includes(word)) return go(row);
  }
}
const DO = {
  "first": () => go(0), "last": () => go(end()), "back": () => go(at - 1), "on": () => go(at + 1),
  "back-fault": () => toFault(-1), "on-fault": () => toFault(1),
  "closer": () => zoomBy(0.5), "further": () => zoomBy(2), "whole": () => zoom(),
  "theme": () => {
    const dark = document.documentElement.dataset.theme
      ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = dark ? "light" : "dark";
    drawPlots();
  },
};
const KEYS = { ArrowLeft: "back", ArrowRight: "on", Home: "first", End: "last", n: "on-fault", p: "back-fault", t: "theme", "+": "closer", "=": "closer", "-": "further", 0: "whole" };

function save(name) {
  const plot = plots.find((one) => one.root.parentNode === $(name)), picture = plot ? plotPicture(plot) : $(name);
  const text = new XMLSerializer().serializeToString(picture).replace(/var\((--\w+)\)/g, (_, variable) => style(variable));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text.replace("<svg ", `<svg style="color:${style("--text")};font:12px monospace" `)], { type: "image/svg+xml" }));
  link.download = `${name}.svg`;
  link.click();
}

// A panel that no moment of the run has anything for has no place on the page.
function hideEmpty() {
  const has = (...kinds) => kinds.some((kind) => run.kind.includes(kind)), [, held, heaped] = run.curves;
  const frames = has(FRAME, FRAME_FREE) || held?.some(Boolean), heap = has(HEAP, HEAP_FREE) || heaped?.some(Boolean);
  const shown = { sentence: rows, walk: run.faults.length, map: frames, flame: frames, blocks: heap, fragmentation: heap, bands: rows, costs: run.costs.functions.length, console: run.console.length };
  for (const [id, wanted] of Object.entries(shown)) $(id).closest("section").hidden = !wanted;
  for (const part of document.querySelectorAll("#time > :not(.head), #time .save")) part.hidden = !rows;
}

async function main() {
  run = await unpacked($("data").textContent);
  moments = undone(run.moments);
  rows = moments.length;
  marked = [...run.kind.keys()].filter(isFault);
  switches = undone(run.spaces.moments);
  hideEmpty();
  for (const button of document.querySelectorAll(".save")) button.addEventListener("click", () => save(button.dataset.of));
  for (const id of ["map", "blocks", "flame", "calls"]) lookable(id);
  [spaces, costs, calls] = [run.spaces, run.costs, run.calls].map(({ timeline }) => new Counted(timeline));
  if (!rows) {
    $("moment").textContent = "no allocation, trap or change of address space was seen";
    $("console").textContent = run.console.map(([, text]) => text).join("");
    $("theme").addEventListener("click", DO.theme);
    drawCalls(run.instructions);
    document.body.dataset.ready = "true";
    return;
  }
  range = frameRange();
  $("slider").max = end();
  $("slider").addEventListener("input", slide);
  for (const [id, act] of Object.entries(DO)) $(id).addEventListener("click", act);
  $("search").addEventListener("keydown", (key) => { if (key.key === "Enter") search(); });
  document.addEventListener("keydown", (key) => {
    if (key.target === $("search") || key.ctrlKey || key.metaKey || key.altKey) return;
    if (key.key === "/") { $("search").focus(); key.preventDefault(); }
    else if (KEYS[key.key]) { DO[KEYS[key.key]](); key.preventDefault(); }
  });
  drawPlots();
  const watcher = new ResizeObserver(() => { for (const plot of plots) fit(plot); });
  for (const id of ["curves", "fragmentation"]) watcher.observe($(id));
  const first = run.kind.indexOf(FRAME);
  go((run.faults.find((fault) => fault.row > first) ?? run.faults[0] ?? { row: marked[0] ?? 0 }).row);
  document.body.dataset.ready = "true";
}
main();
