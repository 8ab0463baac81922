// Frames by owner; the heap by orders or by address, with what its allocator has free.

let range;
const NAMED = 9; // owners of frames that are told below the map
function frameRange() {
  let low = Infinity, high = 0;
  for (let row = 0; row < rows; row++) if (run.kind[row] === FRAME) { low = Math.min(low, run.a[row]); high = Math.max(high, run.a[row] + run.b[row]); }
  for (const [, runs] of run.maps) for (const [ppn, count] of runs) { low = Math.min(low, ppn); high = Math.max(high, ppn + count); }
  return low < high ? [low, high] : [run.memory[0], run.memory[0] + 1];
}
let cells; // a square for some frames: they stay, and are coloured anew
function cellsOf(picture, across, down) {
  const [low, high] = range, count = high - low, each = Math.ceil(count / (across * down)), side = Math.min(640 / across, 256 / down);
  const drawn = Array.from({ length: Math.ceil(count / each) }, (_, cell) => {
    const x = (cell % across) * side, y = Math.floor(cell / across) * side;
    const box = svg(picture, "rect", { x: x + 0.5, y: y + 0.5, width: side - 1, height: side - 1, rx: 1.5 });
    const part = { box, x, y, width: side, first: low + cell * each, owners: [], told: () => {
      const { first, owners } = part, span = each > 1 ? ` .. ${hex(first + each - 1)}: ${owners.length} in use` : "";
      return `PPN:${hex(first)}${span}${owners.length ? `${typed(owners[0])} at ${callers(owners[0])}` : " free"}`;
    } };
    return part;
  });
  return { drawn, each, below: Math.ceil(drawn.length / across) * side, legend: svg(picture, "g", {}) };
}
function drawMap(state) {
  const picture = $("map"), [low, high] = range, across = Math.min(64, Math.max(8, Math.ceil(Math.sqrt((high - low) * 2.5))));
  cells ??= cellsOf(picture, across, Math.min(24, Math.ceil((high - low) / across)));
  const { drawn, each, below, legend } = cells, counts = new Map();
  $("frames").textContent = `${number(state.frames.size)} in use, ${each === 1 ? "a square each" : `${each} a square`}`;
  for (const [chain] of state.frames.values()) counts.set(owner(chain), (counts.get(owner(chain)) ?? 0) + 1);
  for (const part of drawn) {
    part.owners = [];
    for (let ppn = part.first; ppn < Math.min(part.first + each, high); ppn++) if (state.frames.has(ppn)) part.owners.push(state.frames.get(ppn)[0]);
    const held = part.owners.length, fill = held ? colour(owner(part.owners[0])) : "var(--line)", look = `${fill} ${held}`;
    if (part.look === look) continue;
    part.look = look;
    part.box.setAttribute("fill", fill);
    part.box.setAttribute("fill-opacity", held ? 0.35 + 0.65 * held / each : 0.5);
  }
  const names = [...counts].sort((one, other) => other[1] - one[1]), most = names.length > NAMED ? NAMED - 1 : NAMED;
  const told = names.slice(0, most).map(([name, held]) => [colour(name), `${name.slice(0, 20)} ${number(held)}`]);
  if (names.length > most) told.push(["none", `${number(names.length - most)} others ${number(names.slice(most).reduce((sum, [, held]) => sum + held, 0))}`]);
  legend.replaceChildren();
  told.forEach(([fill, text], place) => {
    const x = (place % 3) * 214, y = below + 6 + 18 * Math.floor(place / 3);
    svg(legend, "rect", { x: x + 0.5, y, width: 11, height: 11, rx: 1.5, fill });
    svg(legend, "text", { x: x + 17, y: y + 10, fill: "currentColor", "font-size": 11 }, text);
  });
  picture.setAttribute("viewBox", `0 0 640 ${Math.ceil(below + 6 + 18 * Math.ceil(told.length / 3))}`);
  looked("map", drawn);
}

// Free pieces: what came and went behind each call is played forward from the moment that was shown last.

const free = { next: 0, pieces: new Map() };
function play(change, back) {
  const [, came, went] = change, [gone, here] = back ? [came, went] : [went, came];
  for (let at = 0; at < gone.length; at += 3) free.pieces.delete(`${gone[at]} ${gone[at + 1]} ${gone[at + 2]}`);
  for (let at = 0; at < here.length; at += 3) free.pieces.set(`${here[at]} ${here[at + 1]} ${here[at + 2]}`, here.slice(at, at + 3));
}
function freeAt(row) {
  const { changes } = run.free;
  while (free.next < changes.length && changes[free.next][0] <= row) play(changes[free.next++], false);
  while (free.next > 0 && changes[free.next - 1][0] > row) play(changes[--free.next], true);
  return [...free.pieces.values()].sort((one, other) => one[0] - other[0] || one[1] - other[1]);
}

function bytes(size) {
  for (const [shift, unit] of [[30, "GiB"], [20, "MiB"], [10, "KiB"]])
    if (size >= 2 ** shift && size % 2 ** shift === 0) return `${number(size / 2 ** shift)} ${unit}`;
  return `${number(size)} bytes`;
}

function splitsAndJoins(row) {
  const change = run.free.changes[free.next - 1];
  if (!change || change[0] !== row || !run.free.lists) return "";
  const sizes = (flat) => { const found = []; for (let at = 0; at < flat.length; at += 3) found.push(flat[at + 2]); return found; };
  const [came, went] = [sizes(change[1]), sizes(change[2])], told = (list) => list.map(bytes).join(" + ");
  if (run.kind[row] === HEAP && went.length) return `taken from ${told(went)}${came.length ? `, split: ${told(came)} stay free` : ", as a whole"}`;
  if (run.kind[row] === HEAP_FREE && came.length) return went.length ? `joined with ${told(went)}: ${told(came)} free` : `${told(came)} free, joined with nothing`;
  return "";
}

const order = (size) => Math.ceil(Math.log2(Math.max(size, 1)));
const APART = 2 ** 24; // bytes between two blocks that lie in different areas, of which the fullest is drawn
const THIN = 0.5; // of a picture's 640 units of width: as far as blocks may be told apart
let heapRange;
function heapArea(state, pieces) {
  const all = [...[...state.blocks].map(([start, [size]]) => [start, size]), ...pieces.map(([, start, size]) => [start, size])].sort((one, other) => one[0] - other[0]);
  let best = null, area = null;
  for (const [start, size] of all) {
    if (area && start < area[1] + APART) { area[1] = Math.max(area[1], start + size); area[2]++; } else area = [start, start + size, 1];
    if (!best || area[2] > best[2]) best = area;
  }
  if (!best) return null;
  if (heapRange && heapRange[0] < best[1] + APART && best[0] < heapRange[1] + APART) heapRange = [Math.min(heapRange[0], best[0]), Math.max(heapRange[1], best[1])];
  else heapRange = best.slice(0, 2);
  return heapRange;
}

const boxes = new Map(); // the parts that are drawn, which stay where they stay as they are
let ground;
function drawBlocks(state) {
  const picture = $("blocks"), row = Math.min(at, rows - 1), pieces = state.partly ? [] : freeAt(row);
  ground ??= svg(picture, "g", {});
  ground.replaceChildren();
  let held = 0;
  for (const [size] of state.blocks.values()) held += size;
  $("split").textContent = state.partly ? "" : splitsAndJoins(row);
  drawLists(pieces);
  drawKinds(state.blocks);
  const area = state.partly ? null : heapArea(state, pieces);
  const [low, high] = area ?? [0, 1], inside = ([start]) => start >= low && start < high;
  const blocks = [...state.blocks].filter(inside), parts = pieces.filter((piece) => inside(piece.slice(1))), elsewhere = state.blocks.size - blocks.length;
  $("heap").textContent = state.partly ? "not known here" : `${number(state.blocks.size)} block${state.blocks.size === 1 ? "" : "s"}, ${number(held)} bytes${area && elsewhere ? `; ${number(elsewhere)} of them in other areas` : ""}`;
  if (!area) return keepOnly([]);
  const byOrder = run.free.by_order, orders = byOrder ? [...new Set([...blocks.map(([, [size]]) => order(size)), ...parts.map(([, , size]) => order(size))])].sort((one, other) => other - one) : [];
  const lines = byOrder ? Math.max(orders.length, 1) : 4, left = byOrder ? 96 : 0, height = byOrder ? 20 : 32;
  const span = byOrder ? high - low : Math.max(64, (high - low) / lines), wide = 640 - left, tall = height - (byOrder ? 4 : 10);
  picture.setAttribute("viewBox", `0 0 640 ${lines * height + 22}`);
  for (let line = 0; line < lines; line++) {
    svg(ground, "rect", { x: left, y: 4 + line * height, width: wide, height: tall, fill: "var(--line)", "fill-opacity": 0.3 });
    if (byOrder) svg(ground, "text", { x: 0, y: 16 + line * height, fill: "var(--dim)", "font-size": 10 }, `${String(orders[line]).padStart(2)} ${bytes(2 ** orders[line])}`);
    else svg(ground, "text", { x: 2, y: 34 + line * height, fill: "var(--dim)", "font-size": 9 }, address(Math.floor(low + line * span)));
  }
  if (byOrder) for (const [x, anchor, end] of [[left, "start", low], [640, "end", high]])
    svg(ground, "text", { x, y: lines * height + 16, "text-anchor": anchor, fill: "var(--dim)", "font-size": 10 }, address(end));
  const drawn = [], edges = {};
  const block = (start, size, kind, fill, told) => {
    const line = byOrder ? orders.indexOf(order(size)) : Math.min(lines - 1, Math.floor((start - low) / span));
    const x = left + wide * (start - low - (byOrder ? 0 : line * span)) / span, width = Math.max(0.7, wide * size / span), y = 4 + line * height;
    const edge = `${kind} ${line}`, key = `${kind} ${start}`, look = `${x} ${width} ${y} ${fill}`;
    if (x + width <= edges[edge] + THIN) return; // what lies under this is as good as covered
    edges[edge] = x + width;
    let part = boxes.get(key);
    if (!part) boxes.set(key, part = { box: svg(picture, "rect", { class: kind, stroke: "var(--card)", "stroke-width": 0.3, "fill-opacity": kind === "free" ? 0.35 : 1 }) });
    if (part.look !== look) for (const [name, value] of Object.entries({ x, y, width, height: tall, fill })) part.box.setAttribute(name, value);
    drawn.push(Object.assign(part, { x, y, width, look, told }));
  };
  for (const [list, start, size] of parts.toSorted(([, one], [, other]) => one - other))
    block(start, size, "free", "var(--dim)", () => `${address(start)} ${bytes(size)} free${list < 0 ? "" : `, list ${list}`}`);
  for (const [start, [size, chain]] of blocks.sort(([one], [other]) => one - other))
    block(start, size, "held", colour(owner(chain)), () => `${address(start)} ${number(size)} bytes${typed(chain)} at ${callers(chain)}`);
  keepOnly(drawn);
}
function keepOnly(drawn) {
  const kept = new Set(drawn);
  for (const [key, part] of boxes) if (!kept.has(part)) { part.box.remove(); boxes.delete(key); }
  looked("blocks", drawn);
}

function drawKinds(blocks) { // what is held, by type or slab cache, where that is known
  const kinds = new Map();
  for (const [size, chain] of blocks.values()) {
    const name = run.types[chain] ?? "", [count, sum] = kinds.get(name) ?? [0, 0];
    kinds.set(name, [count + 1, sum + size]);
  }
  const sorted = [...kinds].sort(([, [, one]], [, [, other]]) => other - one), known = kinds.size > (kinds.has("") ? 1 : 0);
  $("kinds").replaceChildren();
  for (const [name, [count, sum]] of known ? sorted.slice(0, 24) : []) {
    const item = document.createElement("li");
    item.textContent = `${name || "not known"}: ${number(count)} block${count === 1 ? "" : "s"}, ${number(sum)} bytes`;
    $("kinds").append(item);
  }
  if (known && sorted.length > 24) $("kinds").append(`and ${number(sorted.length - 24)} more`);
}

function drawLists(pieces) {
  const lists = new Map();
  for (const [list, start, size] of pieces) {
    if (!lists.has(list)) lists.set(list, []);
    lists.get(list).push([start, size]);
  }
  $("lists").replaceChildren();
  for (const [list, found] of [...lists].slice(0, 16)) {
    const item = document.createElement("li"), shown = found.slice(0, 8).map(([start, size]) => `${address(start)} (${bytes(size)})`);
    item.textContent = `${list < 0 ? "between blocks" : `free list ${list}`}: ${shown.join(list < 0 ? ", " : " → ")}${found.length > 8 ? ` and ${number(found.length - 8)} more` : ""}`;
    $("lists").append(item);
  }
}
