"use strict";
const $ = (id) => document.getElementById(id);
const [FAULT, HANDLED, FRAME, FRAME_FREE, HEAP, HEAP_FREE, SPACE, TRAP, ECALL, INTERRUPT] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const isFault = (row) => run.kind[row] === FAULT || run.kind[row] === TRAP; // neither asked for nor an interrupt
const STEP = 8192; // events between two states that are kept
const number = (value) => value.toLocaleString("en");
const hex = (value) => "0x" + value.toString(16);
const address = (short) => hex((BigInt(run.regions[Math.floor(short / 2 ** 32)] ?? 0) << 32n) | BigInt(short % 2 ** 32));
const undone = (differences) => { let sum = 0; return differences.map((difference) => (sum += difference)); };
let run, moments, rows, marked = [], at = 0;

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

const hues = new Map(); // by name, in the order in which they are drawn first: each far from those before it
function colour(name) {
  if (!hues.has(name)) hues.set(name, hues.size);
  const place = hues.get(name);
  return `hsl(${Math.round(place * 137.508 + 200) % 360} 55% ${45 + (place % 3) * 7}%)`;
}

// What is held at an event: states are kept now and then, and played forward from there.

const kept = [];
function apply(state, row) {
  const [kind, a, b, c] = [run.kind[row], run.a[row], run.b[row], run.c[row]];
  if (kind === FRAME) for (let ppn = a; ppn < a + b; ppn++) state.frames.set(ppn, [c, moments[row]]);
  else if (kind === FRAME_FREE) for (let ppn = a; ppn < a + b; ppn++) state.frames.delete(ppn);
  else if (kind === HEAP) state.blocks.set(a, [b, c]);
  else if (kind === HEAP_FREE) state.blocks.delete(a);
}
const end = () => (run.maps.length ? rows + run.maps.length - 1 : rows); // the position of the run's end
function held(position) {
  if (position >= rows && !run.maps.length) position = rows - 1;
  if (position >= rows) { // only the maps tell
    const state = { frames: new Map(), blocks: new Map(), partly: true };
    for (const [ppn, count, chain] of run.maps[position - rows][1])
      for (let frame = ppn; frame < ppn + count; frame++) state.frames.set(frame, [chain, run.maps[position - rows][0]]);
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
// What was counted up to a moment: the steps between this one and the one that was asked for last are played.
class Counted {
  constructor({ moments, counts, keys, amounts }) {
    Object.assign(this, { moments: undone(moments), ends: undone(counts), keys, amounts, next: 0, sums: new Map() });
  }
  at(now) {
    while (this.next < this.moments.length && this.moments[this.next] <= now) this.play(this.next++, 1);
    while (this.next > 0 && this.moments[this.next - 1] > now) this.play(--this.next, -1);
    return this.sums;
  }
  play(step, sign) {
    for (let place = step ? this.ends[step - 1] : 0; place < this.ends[step]; place++)
      this.sums.set(this.keys[place], (this.sums.get(this.keys[place]) ?? 0) + sign * this.amounts[place]);
  }
}
const copy = (state) => ({ frames: new Map(state.frames), blocks: new Map(state.blocks) });

const moment = (position) => (position < rows ? moments[position] : run.maps[position - rows]?.[0] ?? run.instructions);
const place = (row) => run.places[run.place[row]];
const owner = (chain) => run.places[run.chains[chain][0]].function;
const typed = (chain) => (run.types[chain] ? ` of ${run.types[chain]}` : "");
const callers = (chain) => run.chains[chain].map((index) => run.places[index].name).join(" ← ");

function sentence(row) {
  const [kind, a, b, c] = [run.kind[row], run.a[row], run.b[row], run.c[row]];
  if (kind === FRAME || kind === FRAME_FREE) return `PPN:${hex(a)}${b > 1 ? ` and ${b - 1} more` : ""}${kind === FRAME ? typed(c) : ""} at ${callers(c)}`;
  if (kind === HEAP || kind === HEAP_FREE) return `${address(a)} ${number(b)} bytes${kind === HEAP ? typed(c) : ""} at ${callers(c)}`;
  return run.texts[c] ?? "";
}

function nearest(wanted) {
  let low = 0, high = end();
  while (low < high) { const middle = (low + high) >> 1; if (moment(middle) < wanted) low = middle + 1; else high = middle; }
  return low;
}
