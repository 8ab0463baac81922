"use strict";
const $ = (id) => document.getElementById(id);
const [FAULT, HANDLED, FRAME, FRAME_FREE, HEAP, HEAP_FREE, SPACE] = [0, 1, 2, 3, 4, 5, 6];
const STEP = 8192; // events between two states that are kept
const number = (value) => value.toLocaleString("en");
const hex = (value) => "0x" + value.toString(16);
let run, moments, rows, at = 0;

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function svg(parent, name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

function colour(name) {
  let hash = 7;
  for (const letter of name) hash = (hash * 31 + letter.charCodeAt(0)) % 9973;
  return `hsl(${(hash * 47) % 360} 55% ${45 + (hash % 3) * 7}%)`;
}

// What is held at an event: states are kept now and then, and played forward from there.

const kept = [];
function apply(state, row) {
  const [kind, a, b, c] = [run.kind[row], run.a[row], run.b[row], run.c[row]];
  if (kind === FRAME) for (let ppn = a; ppn < a + b; ppn++) state.frames.set(ppn, c);
  else if (kind === FRAME_FREE) for (let ppn = a; ppn < a + b; ppn++) state.frames.delete(ppn);
  else if (kind === HEAP) state.blocks.set(a, [b, c]);
  else if (kind === HEAP_FREE) state.blocks.delete(a);
}
function held(position) {
  if (position >= rows) { // only the maps tell
    const state = { frames: new Map(), blocks: new Map(), partly: true };
    for (const [ppn, count, chain] of run.maps[position - rows][1])
      for (let frame = ppn; frame < ppn + count; frame++) state.frames.set(frame, chain);
    return state;
  }
  const known = Math.min(Math.floor((position + 1) / STEP), kept.length - 1);
  let state = known < 0 ? { frames: new Map(), blocks: new Map() } : copy(kept[known]);
  for (let row = Math.max(0, known) * STEP; row <= position; row++) {
    if (row % STEP === 0 && kept.length === row / STEP) kept.push(copy(state));
    apply(state, row);
  }
  return state;
}
const copy = (state) => ({ frames: new Map(state.frames), blocks: new Map(state.blocks) });

const moment = (position) => (position < rows ? moments[position] : run.maps[position - rows][0]);
const place = (row) => run.places[run.place[row]];
const owner = (chain) => run.places[run.chains[chain][0]].function;
const callers = (chain) => run.chains[chain].map((index) => run.places[index].name).join(" ← ");

function sentence(row) {
  const [kind, a, b, c] = [run.kind[row], run.a[row], run.b[row], run.c[row]];
  if (kind === FRAME || kind === FRAME_FREE) return `PPN:${hex(a)}${b > 1 ? ` and ${b - 1} more` : ""} at ${callers(c)}`;
  if (kind === HEAP || kind === HEAP_FREE) return `${hex(a)} ${number(b)} bytes at ${callers(c)}`;
  return run.texts[c] ?? "";
}

// Panels.

function drawCurves() {
  const [times, frames, heap] = run.curves.length ? run.curves : [[], [], []];
  const end = Math.max(1, run.instructions);
  const line = (values, top, bottom, stroke) => {
    const most = Math.max(1, ...values);
    let path = `M0 ${bottom}`;
    values.forEach((value, index) => { path += `H${(1000 * times[index] / end).toFixed(1)}V${(bottom - (bottom - top) * value / most).toFixed(1)}`; });
    svg($("curves"), "path", { d: path + "H1000", fill: "none", stroke, "stroke-width": 1.5, "vector-effect": "non-scaling-stroke" });
  };
  for (const fault of run.faults) {
    const x = 1000 * moments[fault.row] / end;
    svg($("curves"), "path", { d: `M${x.toFixed(1)} 150V160`, stroke: "var(--bad)", "vector-effect": "non-scaling-stroke" });
  }
  line(frames, 5, 72, "var(--accent)");
  line(heap, 78, 145, "hsl(32 80% 50%)");
  svg($("curves"), "path", { id: "cursor", d: "", stroke: "currentColor", "vector-effect": "non-scaling-stroke" });
  $("curves").addEventListener("click", (click) => {
    const box = $("curves").getBoundingClientRect();
    go(nearest(end * (click.clientX - box.left) / box.width));
  });
}

function nearest(wanted) {
  let low = 0, high = rows + run.maps.length - 1;
  while (low < high) { const middle = (low + high) >> 1; if (moment(middle) < wanted) low = middle + 1; else high = middle; }
  return low;
}

function drawEvent() {
  const row = Math.min(at, rows - 1);
  $("kind").textContent = at < rows ? run.kinds[run.kind[row]] : "many events: what is held, only";
  $("kind").className = run.kind[row] === FAULT ? "fault" : "";
  $("sentence").textContent = sentence(row);
  const { path, line, name, instruction } = place(row);
  $("source").replaceChildren();
  const excerpt = run.sources[path];
  if (excerpt) {
    for (const [number, text] of Object.entries(excerpt)) if (Math.abs(number - line) <= 5) {
      const span = document.createElement("span");
      span.textContent = `${String(number).padStart(5)}  ${text}\n`;
      if (Number(number) === line) span.className = "here";
      $("source").append(span);
    }
  }
  if (instruction) $("source").append(`${place(row).address}  ${instruction}    ${excerpt ? "" : name}`);
  $("list").replaceChildren();
  for (let other = Math.max(0, row - 4); other < Math.min(rows, row + 8); other++) {
    const item = document.createElement("li");
    item.textContent = `${number(moments[other]).padStart(13)} ${run.kinds[run.kind[other]].padEnd(8)} ${sentence(other)}`;
    if (run.kind[other] === FAULT) item.className = "fault";
    if (other === row) item.setAttribute("aria-current", "true");
    item.addEventListener("click", () => go(other));
    $("list").append(item);
  }
}

const LETTERS = "DAGUXWRV";
function rights(pte) {
  return [...LETTERS].map((letter, index) => ((pte >> BigInt(7 - index)) & 1n ? letter : "_")).join("");
}
function drawWalk() {
  const picture = $("walk");
  picture.replaceChildren();
  const fault = run.faults.findLast((each) => each.row <= at);
  $("walked").textContent = fault ? `${fault.access} ${fault.address}` : "no page fault so far";
  if (!fault) return;
  const address = BigInt(fault.address), levels = fault.levels, width = 640 / (levels + 1.4);
  const box = (x, wide, title, value) => {
    svg(picture, "rect", { x: x + 2, y: 18, width: wide - 4, height: 26, fill: "none", stroke: "currentColor", rx: 4 });
    svg(picture, "text", { x: x + wide / 2, y: 12, "text-anchor": "middle", fill: "var(--dim)" }, title);
    svg(picture, "text", { x: x + wide / 2, y: 36, "text-anchor": "middle", fill: "currentColor" }, value);
  };
  for (let level = levels - 1, x = 0; level >= 0; level--, x += width)
    box(x, width, `VPN[${level}]`, String((address >> BigInt(12 + 9 * level)) & 511n));
  box(levels * width, 1.4 * width, "offset", hex(address & 4095n));
  fault.steps.forEach(([level, where, bits], index) => {
    const pte = BigInt(bits), last = index === fault.steps.length - 1, y = 68 + 22 * index;
    const text = `level ${level}  PTE at ${where}  ${pte ? `PPN:${hex((pte >> 10n) & 0xfffffffffffn)} ${rights(pte)}` : "all zero"}`;
    svg(picture, "text", { x: 4, y, fill: last ? "var(--bad)" : "currentColor" }, text);
    if (!last) svg(picture, "text", { x: 620, y: y + 11, fill: "var(--dim)" }, "↓");
  });
  const words = fault.refusal.match(/.{1,84}(\s|$)/g) ?? [];
  const handled = run.texts[run.c.find((_, row) => row > fault.row && row <= at && run.kind[row] === HANDLED && run.texts[run.c[row]].includes(fault.address))];
  if (handled) words.push(...(handled.match(/.{1,84}(\s|$)/g) ?? []).map((text) => `✓ ${text}`));
  words.forEach((text, index) => svg(picture, "text", { x: 4, y: 80 + 22 * fault.steps.length + 16 * index, fill: text.startsWith("✓") ? "currentColor" : "var(--bad)" }, text));
}

let range;
function frameRange() {
  let low = Infinity, high = 0;
  for (let row = 0; row < rows; row++) if (run.kind[row] === FRAME) { low = Math.min(low, run.a[row]); high = Math.max(high, run.a[row] + run.b[row]); }
  for (const [, runs] of run.maps) for (const [ppn, count] of runs) { low = Math.min(low, ppn); high = Math.max(high, ppn + count); }
  return low < high ? [low, high] : [run.memory[0], run.memory[0] + 1];
}
function drawMap(state) {
  const picture = $("map"), [low, high] = range, count = high - low;
  const across = Math.min(64, Math.max(8, Math.ceil(Math.sqrt(count * 2.5)))), down = Math.min(24, Math.ceil(count / across));
  const each = Math.ceil(count / (across * down)), side = Math.min(640 / across, 256 / down);
  picture.replaceChildren();
  $("frames").textContent = `${number(state.frames.size)} in use, ${each === 1 ? "a square each" : `${each} a square`}`;
  for (let cell = 0; cell * each < count; cell++) {
    const first = low + cell * each, owners = [];
    for (let ppn = first; ppn < Math.min(first + each, high); ppn++) if (state.frames.has(ppn)) owners.push(state.frames.get(ppn));
    const box = svg(picture, "rect", {
      x: (cell % across) * side + 0.5, y: Math.floor(cell / across) * side + 0.5, width: side - 1, height: side - 1, rx: 1.5,
      fill: owners.length ? colour(owner(owners[0])) : "var(--line)", "fill-opacity": owners.length ? 0.35 + 0.65 * owners.length / each : 0.5,
    });
    box.addEventListener("mouseenter", () => {
      $("under").textContent = `PPN:${hex(first)}${each > 1 ? ` .. ${hex(first + each - 1)}: ${owners.length} in use` : ""}${owners.length ? ` ${callers(owners[0])}` : " free"}`;
    });
  }
}

function drawBlocks(state) {
  const picture = $("blocks"), lines = 4;
  picture.replaceChildren();
  let bytes = 0;
  for (const [size] of state.blocks.values()) bytes += size;
  $("heap").textContent = state.partly ? "not known here" : `${number(state.blocks.size)} blocks, ${number(bytes)} bytes`;
  let low = Infinity, high = 0;
  for (const [address, [size]] of state.blocks) { low = Math.min(low, address); high = Math.max(high, address + size); }
  if (low > high) return;
  const span = Math.max(64, (high - low) / lines);
  for (let line = 0; line < lines; line++) {
    svg(picture, "rect", { x: 0, y: 4 + line * 32, width: 640, height: 22, fill: "var(--line)", "fill-opacity": 0.5 });
    svg(picture, "text", { x: 2, y: 34 + line * 32, fill: "var(--dim)", "font-size": 9 }, hex(Math.floor(low + line * span)));
  }
  for (const [address, [size, chain]] of state.blocks) {
    const line = Math.min(lines - 1, Math.floor((address - low) / span)), x = 640 * (address - low - line * span) / span;
    const box = svg(picture, "rect", { x, y: 4 + line * 32, width: Math.max(0.7, 640 * size / span), height: 22, fill: colour(owner(chain)), stroke: "var(--card)", "stroke-width": 0.3 });
    svg(box, "title", {}, `${hex(address)} ${number(size)} bytes ${callers(chain)}`);
  }
}

function drawFlame(state) {
  const picture = $("flame"), root = { name: "all", size: 0, parts: new Map() };
  picture.replaceChildren();
  for (const chain of state.frames.values()) {
    let node = root;
    node.size++;
    for (const index of run.chains[chain].toReversed()) {
      const name = run.places[index].function;
      if (!node.parts.has(name)) node.parts.set(name, { name, size: 0, parts: new Map() });
      node = node.parts.get(name);
      node.size++;
    }
  }
  $("held").textContent = root.size ? "frames by callers, the outermost below" : "no frame is in use";
  const draw = (node, x, width, depth) => {
    if (depth > 9 || width < 1) return;
    const box = svg(picture, "g", {}), y = 180 - depth * 20;
    svg(box, "rect", { x: x + 0.5, y, width: width - 1, height: 19, rx: 2, fill: depth ? colour(node.name) : "var(--line)", "fill-opacity": 0.8 });
    svg(box, "title", {}, `${node.name}: ${node.size}`);
    if (width > 40) svg(box, "text", { x: x + 4, y: y + 14, fill: "currentColor" }, `${node.name} ${node.size}`.slice(0, Math.floor(width / 7.3)));
    for (const part of [...node.parts.values()].sort((one, other) => other.size - one.size)) {
      draw(part, x, width * part.size / node.size, depth + 1);
      x += width * part.size / node.size;
    }
  };
  if (root.size) draw(root, 0, 640, 0);
}

function go(position) {
  at = Math.max(0, Math.min(rows + run.maps.length - 1, position));
  $("slider").value = at;
  const now = moment(at), state = held(at);
  $("moment").textContent = `${number(now)} of ${number(run.instructions)} instructions, event ${number(at + 1)} of ${number(run.events)}`;
  $("slider").setAttribute("aria-valuetext", $("moment").textContent);
  const x = (1000 * now / Math.max(1, run.instructions)).toFixed(1);
  $("cursor").setAttribute("d", `M${x} 0V160`);
  drawEvent();
  drawWalk();
  drawMap(state);
  drawBlocks(state);
  drawFlame(state);
  $("console").textContent = run.console.filter(([when]) => when <= now || at === rows + run.maps.length - 1).map(([, text]) => text).join("");
  $("console").scrollTop = $("console").scrollHeight;
}

const toFault = (step) => {
  for (let row = at + step; row >= 0 && row < rows; row += step) if (run.kind[row] === FAULT) return go(row);
};
function search() {
  const word = $("search").value.toLowerCase();
  for (let tried = 1; word && tried <= rows; tried++) {
    const row = (at + tried) % rows;
    if (`${run.kinds[run.kind[row]]} ${sentence(row)}`.toLowerCase().includes(word)) return go(row);
  }
}
const DO = {
  "first": () => go(0), "last": () => go(rows + run.maps.length - 1), "back": () => go(at - 1), "on": () => go(at + 1),
  "back-fault": () => toFault(-1), "on-fault": () => toFault(1),
  "theme": () => {
    const dark = document.documentElement.dataset.theme
      ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = dark ? "light" : "dark";
  },
};
const KEYS = { ArrowLeft: "back", ArrowRight: "on", Home: "first", End: "last", n: "on-fault", p: "back-fault", t: "theme" };

function save(name) {
  const style = getComputedStyle(document.documentElement);
  const text = new XMLSerializer().serializeToString($(name)).replace(/var\((--\w+)\)/g, (_, variable) => style.getPropertyValue(variable).trim());
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text.replace("<svg ", `<svg style="color:${style.getPropertyValue("--text")};font:12px monospace" `)], { type: "image/svg+xml" }));
  link.download = `${name}.svg`;
  link.click();
}

async function main() {
  run = await unpacked($("data").textContent);
  let sum = 0;
  moments = run.moments.map((difference) => (sum += difference));
  rows = moments.length;
  if (!rows) { $("moment").textContent = "nothing that this page tells of has happened"; $("console").textContent = run.console.map(([, text]) => text).join(""); document.body.dataset.ready = "true"; return; }
  range = frameRange();
  $("slider").max = rows + run.maps.length - 1;
  $("slider").addEventListener("input", () => go(Number($("slider").value)));
  for (const [id, act] of Object.entries(DO)) $(id).addEventListener("click", act);
  for (const button of document.querySelectorAll(".save")) button.addEventListener("click", () => save(button.dataset.of));
  $("search").addEventListener("keydown", (key) => { if (key.key === "Enter") search(); });
  document.addEventListener("keydown", (key) => {
    if (key.target === $("search") || key.ctrlKey || key.metaKey || key.altKey) return;
    if (key.key === "/") { $("search").focus(); key.preventDefault(); }
    else if (KEYS[key.key]) { DO[KEYS[key.key]](); key.preventDefault(); }
  });
  drawCurves();
  const first = run.kind.indexOf(FRAME);
  go((run.faults.find((fault) => fault.row > first) ?? run.faults[0] ?? { row: 0 }).row);
  document.body.dataset.ready = "true";
}
main();
