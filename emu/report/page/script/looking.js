// Pictures whose parts are looked at one by one: under the mouse, or by the arrow keys while the picture has the focus.

const looking = {};
function lookable(id) {
  const picture = $(id), own = looking[id] = { parts: [], on: null, line: $(`${id}-told`), byBox: new WeakMap() };
  picture.setAttribute("tabindex", "0");
  picture.setAttribute("aria-describedby", `${id}-told`);
  picture.addEventListener("focus", () => look(own, own.on ?? own.parts[0]));
  picture.addEventListener("blur", () => own.on?.box.classList.remove("looked"));
  picture.addEventListener("mouseover", (mouse) => {
    const part = own.byBox.get(mouse.target) ?? own.byBox.get(mouse.target.parentNode);
    if (part) own.line.textContent = part.told();
  });
  picture.addEventListener("keydown", (key) => {
    if (key.ctrlKey || key.metaKey || key.altKey) return;
    if (key.key === "Enter" && own.on?.act) {
      const { act } = own.on;
      own.on = null; // the part becomes the whole, which is drawn first
      act();
    } else if (/^(Arrow|Home$|End$)/.test(key.key)) look(own, beside(own, key.key));
    else return;
    key.preventDefault();
    key.stopPropagation();
  });
}
// A picture was drawn anew: what was looked at is looked at again, or what is drawn in its place.
function looked(id, parts) {
  const own = looking[id], place = own.parts.indexOf(own.on);
  Object.assign(own, { parts, on: parts[Math.max(0, Math.min(place, parts.length - 1))] ?? null });
  for (const part of parts) own.byBox.set(part.box, part);
  if (document.activeElement === $(id)) look(own, own.on); else own.line.textContent = "";
}
function look(own, part) {
  own.on?.box.classList.remove("looked");
  own.on = part ?? own.on;
  own.on?.box.classList.add("looked");
  own.line.textContent = own.on ? own.on.told() : "";
}
function beside({ parts, on }, key) {
  if (!on) return parts[0];
  const middle = on.x + on.width / 2, row = parts.filter((part) => Math.abs(part.y - on.y) < 1).sort((one, other) => one.x - other.x);
  if (key === "Home") return row[0];
  if (key === "End") return row.at(-1);
  if (key === "ArrowRight") return row.find((part) => part.x > on.x);
  if (key === "ArrowLeft") return row.findLast((part) => part.x < on.x);
  const there = parts.filter((part) => (key === "ArrowUp" ? part.y < on.y - 1 : part.y > on.y + 1));
  const next = there.reduce((best, { y }) => (best === null || (key === "ArrowUp" ? y > best : y < best) ? y : best), null);
  const apart = (part) => Math.max(part.x - middle, middle - part.x - part.width);
  return there.filter(({ y }) => Math.abs(y - next) < 1).reduce((best, part) => (best === null || apart(part) < apart(best) ? part : best), null);
}
