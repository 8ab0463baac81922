// Address spaces in time, who holds frames, where the instructions went, and what the allocators' calls cost.

let switches, spaces, costs, calls; // the last three as `Counted`
const [SPENT, SWITCHES, FAULTS, SYSCALLS] = [0, 1, 2, 3];
const figureOf = (sums, space, figure) => sums.get(space * 4 + figure) ?? 0;
function spaceAt(now) {
  let low = 0, high = switches.length;
  while (low < high) { const middle = (low + high) >> 1; if (switches[middle] <= now) low = middle + 1; else high = middle; }
  return low ? run.spaces.space[low - 1] : 0;
}
function spaceName(number) {
  const satp = BigInt(run.spaces.satp[number]), asid = (satp >> 44n) & 0xffffn;
  return satp >> 60n ? `PPN:${hex(satp & 0xfffffffffffn)}${asid ? ` ASID ${asid}` : ""}` : "paging off";
}
const CELLS = 320;
let bands; // what of the picture stays as it is: the spaces that are drawn, by name, frames' figure and line
function bandsOf() {
  const end = Math.max(1, run.instructions), found = run.spaces.satp.map(() => new Float64Array(CELLS));
  const fill = (space, from, to) => {
    const [first, last] = [from * CELLS / end, to * CELLS / end];
    for (let cell = Math.floor(first); cell < Math.min(CELLS, last); cell++) found[space][cell] += Math.min(last, cell + 1) - Math.max(first, cell);
  };
  let space = 0, since = 0;
  switches.forEach((now, at) => { fill(space, since, now); [space, since] = [run.spaces.space[at], now]; });
  fill(space, since, end);
  return found;
}
function drawBands() {
  const picture = $("bands"), whole = spaces.at(run.instructions), cells = bandsOf(), spent = (space) => figureOf(whole, space, SPENT);
  const shown = [...run.spaces.satp.keys()].filter((space) => spent(space) || figureOf(whole, space, SWITCHES)).sort((one, other) => spent(other) - spent(one)).slice(0, 14);
  picture.replaceChildren();
  picture.setAttribute("viewBox", `0 0 640 ${22 * shown.length + 16}`);
  const figure = (text, column, y, style = {}) => svg(picture, "text", { x: 450 + 46 * column, y, "text-anchor": "end", fill: "currentColor", "font-size": 10, ...style }, text);
  const lines = shown.map((space, line) => {
    const y = 14 + 22 * line;
    const name = svg(picture, "text", { x: 0, y: y + 10, "font-size": 10 }, spaceName(space));
    cells[space].forEach((part, cell) => { if (part > 0.002) svg(picture, "rect", { x: 150 + cell * 250 / CELLS, y, width: 250 / CELLS + 0.2, height: 14, fill: colour(spaceName(space)), "fill-opacity": 0.25 + 0.75 * Math.min(1, part) }); });
    return { space, name, figures: [0, 1, 2, 3, 4].map((column) => figure("", column, y + 10)) };
  });
  ["instr.", "times", "faults", "syscalls", "frames"].forEach((text, column) => figure(text, column, 8, { fill: "var(--dim)", "font-size": 9 }));
  return { lines, now: svg(picture, "path", { stroke: "currentColor" }) };
}
function drawProcesses(state, now) {
  const current = spaceAt(now), frames = new Map();
  bands ??= drawBands();
  const sums = spaces.at(now);
  for (const [, since] of state.frames.values()) { const space = spaceAt(since); frames.set(space, (frames.get(space) ?? 0) + 1); }
  for (const { space, name, figures } of bands.lines) {
    name.setAttribute("fill", space === current ? "var(--accent)" : "currentColor");
    name.setAttribute("font-weight", space === current ? 700 : 400);
    const counted = [SWITCHES, FAULTS, SYSCALLS].map((figure) => number(figureOf(sums, space, figure))), share = 100 * figureOf(sums, space, SPENT) / Math.max(1, now);
    [`${share.toFixed(1)} %`, ...counted, frames.get(space) ? number(frames.get(space)) : ""].forEach((text, column) => { figures[column].textContent = text; });
  }
  const x = 150 + 250 * now / Math.max(1, run.instructions), more = run.spaces.satp.length - bands.lines.length;
  bands.now.setAttribute("d", `M${x.toFixed(1)} 12V${14 + 22 * bands.lines.length}`);
  $("processes").textContent = `now ${spaceName(current)}${more > 0 ? `; ${number(more)} more are not drawn` : ""}`;
}

// Flame graphs: a node is [name, size, calls, parts, number]. A click makes a node the whole; on the lowest it goes back.
const DEEPEST = 12;
function flame(id, root, deepest, told, go) {
  const picture = $(id), parts = [], levels = Math.min(deepest, DEEPEST) + 1;
  picture.replaceChildren();
  picture.setAttribute("viewBox", `0 0 640 ${20 * levels + 2}`);
  const draw = (node, x, width, depth) => {
    if (depth >= levels || !(width >= 1)) return;
    const box = svg(picture, "g", { class: "part" }), y = 20 * (levels - 1 - depth);
    svg(box, "rect", { x: x + 0.5, y, width: Math.max(width - 1, 0.5), height: 19, rx: 2, fill: depth ? colour(node[0]) : "var(--line)", "fill-opacity": 0.8 });
    svg(box, "title", {}, told(node));
    if (width > 40) svg(box, "text", { x: x + 4, y: y + 14, fill: "currentColor" }, `${node[0]} ${number(node[1])}`.slice(0, Math.floor(width / 7.3)));
    const act = go && (() => go(depth ? node : null));
    if (act) box.addEventListener("click", act);
    parts.push({ box, x, y, width, told: () => told(node), act });
    for (const part of node[3].toSorted((one, other) => other[1] - one[1])) {
      const wide = width * part[1] / node[1];
      draw(part, x, wide, depth + 1);
      x += wide;
    }
  };
  draw(root, 0, 640, 0);
  looked(id, parts);
}
let heldNow, heldDeepest; // what is drawn, and how many callers any has
function drawHeld(state) {
  const root = ["all", 0, 0, []], below = new Map([[root, new Map()]]), counts = new Map();
  for (const [chain] of state.frames.values()) counts.set(chain, (counts.get(chain) ?? 0) + 1);
  const told = JSON.stringify([...counts]);
  if (told === heldNow) return;
  heldNow = told;
  for (const [chain, count] of counts) {
    let node = root;
    node[1] += count;
    for (const index of run.chains[chain].toReversed()) {
      const name = run.places[index].function, parts = below.get(node);
      let part = parts.get(name);
      if (!part) { parts.set(name, part = [name, 0, 0, []]); below.set(part, new Map()); node[3].push(part); }
      part[1] += count;
      node = part;
    }
  }
  $("held").textContent = root[1] ? "frames by callers, the outermost below" : "no frame is in use";
  heldDeepest ??= run.chains.reduce((most, chain) => Math.max(most, chain.length), 0);
  flame("flame", root, heldDeepest, ([name, size]) => `${name}: ${number(size)} frames`);
}
const closer = { path: 0, drawn: "" }; // the path that is the whole, and what is drawn
function callsAt(now) { // the paths with what they have had so far, as nodes
  const { parents, functions, names } = run.calls, sums = calls.at(now), spent = new Float64Array(parents.length);
  for (let path = parents.length - 1; path >= 0; path--) {
    spent[path] += sums.get(path * 2) ?? 0;
    if (path) spent[parents[path]] += spent[path];
  }
  const nodes = parents.map((_, path) => [path ? names[functions[path]] : "all", spent[path], sums.get(path * 2 + 1) ?? 0, [], path]);
  for (const node of nodes) if (node[4] && node[1]) nodes[parents[node[4]]][3].push(node);
  return nodes;
}
function deepest(parents) { // of the tree, whose callers stand before those they call
  const deep = [];
  for (const parent of parents) deep.push(parent < 0 ? 0 : deep[parent] + 1);
  return deep.reduce((one, other) => Math.max(one, other));
}
function drawCalls(now) {
  const nodes = callsAt(now), whole = nodes[0][1], drawn = `${closer.path} ${calls.next}`;
  if (drawn === closer.drawn) return;
  closer.drawn = drawn;
  $("called").textContent = `the first ${whole === 1 ? "instruction" : `${number(whole)} instructions`} by callers, the outermost below; a click or Enter looks closer`;
  const told = ([name, size, times]) => `${name}: ${number(size)} instructions (${(100 * size / Math.max(1, whole)).toFixed(1)} %)${times ? `, called ${number(times)} times` : ""}`;
  closer.deepest ??= deepest(run.calls.parents);
  flame("calls", nodes[closer.path], closer.deepest, told, (node) => { closer.path = node ? node[4] : 0; drawCalls(now); });
}

let lines; // of the table, by function
function linesOfCosts() {
  const table = $("costs"), line = (cells, name) => {
    const row = table.insertRow();
    return cells.map((cell) => { const made = document.createElement(name); made.textContent = cell; row.append(made); return made; });
  };
  line(["function", "calls", "median instr.", "most", "all"], "th");
  return run.costs.functions.map((name) => {
    const [first, ...figures] = line([name.length > 34 ? `…${name.slice(-33)}` : name, "", "", "", ""], "td");
    first.title = name;
    return figures;
  });
}
function drawCosts(now) {
  const { functions, kinds } = run.costs, { every, lists, curves } = run.free, found = functions.map(() => []);
  lines ??= linesOfCosts();
  for (const [kind, times] of costs.at(now)) if (times) found[kinds[kind][0]].push([kinds[kind][1], times]);
  found.forEach((each, line) => {
    each.sort(([one], [other]) => one - other);
    const calls = each.reduce((sum, [, times]) => sum + times, 0), all = each.reduce((sum, [cost, times]) => sum + cost * times, 0);
    let half = Math.ceil(calls / 2);
    const median = each.find(([, times]) => (half -= times) <= 0)?.[0], most = each.at(-1)?.[0];
    [calls, median, most, all].forEach((figure, column) => { lines[line][column].textContent = figure === undefined ? "–" : number(figure); });
  });
  const sample = lists && curves.length ? splitsCurves().findLast(([moment]) => moment <= now) ?? [0, 0, 0] : [0, 0, 0];
  const seen = every > 1 ? ` in every ${number(every)}th call that was looked at` : "";
  $("splits").textContent = lists ? `${number(sample[1])} splits, ${number(sample[2])} joins${seen}` : "where its free lists lie is not described: what is free is told by the gaps between blocks";
}
let splitsKnown; // moment, splits and joins so far of each sample
function splitsCurves() {
  if (!splitsKnown) {
    const [moments, splits, joins] = [0, 5, 6].map((column) => undone(run.free.curves[column]));
    splitsKnown = moments.map((moment, place) => [moment, splits[place], joins[place]]);
  }
  return splitsKnown;
}
