// The event, its source, and the page walk of the last fault.

function drawEvent() {
  const row = Math.min(at, rows - 1);
  $("kind").textContent = at < rows ? run.kinds[run.kind[row]] : run.maps.length ? "many events: what is held, only" : "the end, behind this event";
  $("kind").className = isFault(row) ? "fault" : "";
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
    item.textContent = `${number(moments[other]).padStart(13)} ${run.kinds[run.kind[other]].padEnd(9)} ${sentence(other)}`;
    if (isFault(other)) item.className = "fault";
    if (other === row) item.setAttribute("aria-current", "true");
    item.addEventListener("click", () => go(other));
    $("list").append(item);
  }
}

const LETTERS = "DAGUXWRV";
function rights(pte) {
  return [...LETTERS].map((letter, index) => ((pte >> BigInt(7 - index)) & 1n ? letter : "_")).join("");
}
const answers = new Map();
function handledAt(fault) { // the row that tells how this fault was handled
  if (!answers.has(fault)) {
    let row = fault.row + 1;
    while (row < rows && !(run.kind[row] === HANDLED && run.texts[run.c[row]].includes(fault.address))) row++;
    answers.set(fault, row < rows ? row : -1);
  }
  return answers.get(fault);
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
  const answer = handledAt(fault), handled = answer >= 0 && answer <= at ? run.texts[run.c[answer]] : "";
  if (handled) words.push(...(handled.match(/.{1,84}(\s|$)/g) ?? []).map((text) => `✓ ${text}`));
  picture.setAttribute("viewBox", `0 0 640 ${Math.max(210, 76 + 22 * fault.steps.length + 16 * words.length)}`);
  words.forEach((text, index) => svg(picture, "text", { x: 4, y: 80 + 22 * fault.steps.length + 16 * index, fill: text.startsWith("✓") ? "currentColor" : "var(--bad)" }, text));
}
