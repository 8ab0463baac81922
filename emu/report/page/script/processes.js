// Address spaces in time, who holds frames, where the instructions went, and what the allocators' calls cost.

let switches;
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
let bands;
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
function drawProcesses(state, now) {
  const picture = $("bands"), { instructions, switches: times, faults, syscalls } = run.spaces, current = spaceAt(now);
  const shown = instructions.map((_, space) => space).filter((space) => instructions[space] || times[space]).sort((one, other) => instructions[other] - instructions[one]).slice(0, 14);
  const frames = new Map();
  for (const [, since] of state.frames.values()) { const space = spaceAt(since); frames.set(space, (frames.get(space) ?? 0) + 1); }
  picture.replaceChildren();
  picture.setAttribute("viewBox", `0 0 640 ${22 * shown.length + 16}`);
  bands ??= bandsOf();
  shown.forEach((space, line) => {
    const y = 14 + 22 * line, share = 100 * instructions[space] / Math.max(1, run.instructions);
    svg(picture, "text", { x: 0, y: y + 10, fill: space === current ? "var(--accent)" : "currentColor", "font-size": 10, "font-weight": space === current ? 700 : 400 }, spaceName(space));
    bands[space].forEach((part, cell) => { if (part > 0.002) svg(picture, "rect", { x: 150 + cell * 250 / CELLS, y, width: 250 / CELLS + 0.2, height: 14, fill: colour(spaceName(space)), "fill-opacity": 0.25 + 0.75 * Math.min(1, part) }); });
    const told = [`${share.toFixed(1)} %`, number(times[space]), number(faults[space]), number(syscalls[space]), frames.get(space) ? number(frames.get(space)) : ""];
    told.forEach((text, column) => svg(picture, "text", { x: 450 + 46 * column, y: y + 10, "text-anchor": "end", fill: "currentColor", "font-size": 10 }, text));
  });
  ["instr.", "times", "faults", "syscalls", "frames"].forEach((text, column) => svg(picture, "text", { x: 450 + 46 * column, y: 8, "text-anchor": "end", fill: "var(--dim)", "font-size": 9 }, text));
  const x = 150 + 250 * now / Math.max(1, run.instructions);
  svg(picture, "path", { d: `M${x.toFixed(1)} 12V${14 + 22 * shown.length}`, stroke: "currentColor" });
  const more = instructions.length - shown.length;
  $("processes").textContent = `now ${spaceName(current)}${more > 0 ? `; ${number(more)} more are not drawn` : ""}`;
}

// Flame graphs: a node is [name, size, calls, parts]. A click makes a node the whole; on the lowest it goes back.
function flame(picture, root, told, go) {
  picture.replaceChildren();
  const draw = (node, x, width, depth) => {
    if (depth > 12 || width < 1) return;
    const box = svg(picture, "g", { class: "part" }), y = 240 - depth * 20;
    svg(box, "rect", { x: x + 0.5, y, width: Math.max(width - 1, 0.5), height: 19, rx: 2, fill: depth ? colour(node[0]) : "var(--line)", "fill-opacity": 0.8 });
    svg(box, "title", {}, told(node));
    if (width > 40) svg(box, "text", { x: x + 4, y: y + 14, fill: "currentColor" }, `${node[0]} ${number(node[1])}`.slice(0, Math.floor(width / 7.3)));
    if (go) box.addEventListener("click", () => go(depth ? node : null));
    for (const part of node[3].toSorted((one, other) => other[1] - one[1])) {
      const wide = width * part[1] / node[1];
      draw(part, x, wide, depth + 1);
      x += wide;
    }
  };
  if (root[1]) draw(root, 0, 640, 0);
}
function drawHeld(state) {
  const root = ["all", 0, 0, []];
  for (const [chain] of state.frames.values()) {
    let node = root;
    node[1]++;
    for (const index of run.chains[chain].toReversed()) {
      const name = run.places[index].function;
      let part = node[3].find((one) => one[0] === name);
      if (!part) node[3].push(part = [name, 0, 0, []]);
      part[1]++;
      node = part;
    }
  }
  $("held").textContent = root[1] ? "frames by callers, the outermost below" : "no frame is in use";
  flame($("flame"), root, ([name, size]) => `${name}: ${number(size)} frames`);
}
function drawCalls(root = null) {
  const whole = run.calls[1];
  $("called").textContent = `${number(whole)} instructions by callers, the outermost below; a click looks closer`;
  const shown = root ?? ["all", whole, 0, run.calls[3]];
  flame($("calls"), shown, ([name, size, calls]) => `${name}: ${number(size)} instructions (${(100 * size / Math.max(1, whole)).toFixed(1)} %)${calls ? `, called ${number(calls)} times` : ""}`, drawCalls);
}

function drawCosts() {
  const { splits, joins, every, lists } = run.free, table = $("costs");
  const row = (cells, name) => {
    const line = table.insertRow();
    for (const cell of cells) { const made = document.createElement(name); made.textContent = cell; line.append(made); }
  };
  if (run.costs.length) row(["function", "calls", "instructions: median", "most", "all"], "th");
  for (const [name, ...figures] of run.costs) row([name, ...figures.map(number)], "td");
  const seen = every > 1 ? ` in every ${number(every)}th call that was looked at` : "";
  $("splits").textContent = !run.costs.length ? "no allocator is known" : lists ? `${number(splits)} splits, ${number(joins)} joins${seen}` : "where its free lists lie is not described: what is free is told by the gaps between blocks";
}
