// Curves in time, by uPlot: frames and heap, fragmentation. Both zoom together; what is shown is drawn across them.

const plots = [];
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const ORANGE = "hsl(32 80% 50%)", GREEN = "hsl(150 45% 42%)";
const POWERS = Array.from({ length: 45 }, (_, power) => 2 ** power), WHOLE = POWERS.flatMap((_, power) => (power < 15 ? [1, 2, 5].map((digit) => digit * 10 ** power) : []));
const share = (value) => (value === null || value === undefined ? "–" : `${Math.round(100 * value)} %`);

function curves() {
  const [times, frames, heap] = run.curves.length ? run.curves.map(undone) : [[0, run.instructions], [0, 0], [0, 0]];
  const both = [
    { values: frames, label: "frames", scale: "frames", stroke: () => style("--accent"), told: number },
    { values: heap, label: "heap", scale: "bytes", stroke: () => ORANGE, told: bytes },
  ], some = both.filter(({ values }) => values.some(Boolean)), series = some.length ? some : both.slice(0, 1);
  return { id: "curves", height: 150, data: [times, ...series.map(({ values }) => values)], series, axes: [{ scale: "frames", told: number }, { scale: "bytes", told: short, side: 1 }].filter((axis) => series.some(({ scale }) => scale === axis.scale)) };
}
function fragmentation() {
  const [times, free, largest, requested, granted] = run.free.curves.length ? run.free.curves.map(undone) : [[], [], [], [], []];
  const external = times.map((_, at) => (free[at] ? 1 - largest[at] / free[at] : 0));
  const internal = times.map((_, at) => (granted[at] && run.free.lists ? 1 - requested[at] / granted[at] : run.free.lists ? 0 : null));
  return { id: "fragmentation", height: 170, data: [times, free, largest, external, internal], series: [
    { label: "free", scale: "bytes", stroke: () => style("--dim"), told: bytes },
    { label: "in the largest piece", scale: "bytes", stroke: () => GREEN, told: bytes },
    { label: "external", scale: "share", stroke: () => style("--bad"), told: share },
    { label: "internal", scale: "share", stroke: () => ORANGE, told: share },
  ], axes: [{ scale: "bytes", told: short }, { scale: "share", told: share, side: 1 }], ranges: { share: [0, 1] } };
}
const short = (size) => { for (const [shift, unit] of [[30, "G"], [20, "M"], [10, "K"]]) if (size >= 2 ** shift) return `${+(size / 2 ** shift).toFixed(1)} ${unit}`; return String(size); };

function drawPlots() {
  for (const plot of plots.splice(0)) plot.destroy();
  for (const wanted of [curves(), fragmentation()]) if (wanted.data[0].length) plots.push(plotOf(wanted));
}
function plotOf(wanted) {
  const place = $(wanted.id), end = Math.max(1, run.instructions);
  const axis = ({ scale, told, side }) => ({ scale, side: side ? 1 : 3, size: 62, incrs: scale === "share" ? [0.25, 0.5] : scale === "bytes" ? POWERS : WHOLE, stroke: () => style("--dim"), grid: { show: !side, stroke: () => style("--line"), width: 0.5 }, ticks: { show: false }, values: (_, splits) => splits.map(told) });
  const plot = new uPlot({
    width: Math.max(200, place.clientWidth), height: wanted.height, padding: [8, 0, 0, 0],
    cursor: { sync: { key: "time", setSeries: false }, drag: { x: true, y: false }, points: { size: 5 } },
    scales: { x: { time: false, range: (_, low, high) => (zoomed ? zoomed : [0, end]) }, ...Object.fromEntries(Object.entries(wanted.ranges ?? {}).map(([name, range]) => [name, { range: () => range }])) },
    axes: [{ stroke: () => style("--dim"), grid: { show: false }, ticks: { stroke: () => style("--line"), width: 0.5 }, values: (_, splits) => splits.map(number), size: 26, space: 96, incrs: WHOLE }, ...wanted.axes.map(axis)],
    series: [{ label: "instruction", value: (_, value) => (value === null ? "–" : number(value)) }, ...wanted.series.map(({ label, scale, stroke, told }) => ({ label, scale, stroke, width: 1.5, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }), value: (_, value) => (value === null || value === undefined ? "–" : told(value)) }))],
    hooks: {
      draw: [marks],
      setSelect: [(own) => { if (own.select.width > 2) zoom(own.posToVal(own.select.left, "x"), own.posToVal(own.select.left + own.select.width, "x")); }],
    },
    legend: { live: true },
  }, wanted.data, place);
  plot.over.addEventListener("click", (click) => {
    const box = plot.over.getBoundingClientRect();
    if (!plot.select.width) go(nearest(plot.posToVal(click.clientX - box.left, "x")));
  });
  plot.over.addEventListener("dblclick", () => zoom());
  return plot;
}
function fit(plot) {
  const width = Math.max(200, plot.root.parentNode.clientWidth);
  if (width !== plot.width) plot.setSize({ width, height: plot.height });
}
function marks(plot) {
  const { ctx, bbox } = plot, line = (value, colour, top, bottom) => {
    const x = Math.round(plot.valToPos(value, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) return;
    ctx.strokeStyle = colour;
    ctx.beginPath(); ctx.moveTo(x, top); ctx.lineTo(x, bottom); ctx.stroke();
  };
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  const bottom = bbox.top + bbox.height;
  if (plot === plots[0] || !plots.length) for (const row of marked) line(moments[row], style("--bad"), bottom - 10 * devicePixelRatio, bottom);
  line(moment(at), style("--text"), bbox.top, bottom);
  ctx.restore();
}

let zoomed = null;
function zoom(low, high) {
  const end = Math.max(1, run.instructions);
  zoomed = low === undefined || high - low >= end ? null : [Math.max(0, low), Math.min(end, Math.max(high, low + 1))];
  for (const plot of plots) {
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    plot.setScale("x", { min: 0, max: end });
  }
}
function zoomBy(factor) {
  const [low, high] = zoomed ?? [0, Math.max(1, run.instructions)], now = Math.min(high, Math.max(low, moment(at))), part = (now - low) / (high - low);
  const wide = (high - low) * factor;
  zoom(now - part * wide, now + (1 - part) * wide);
}

// A plot as a file: the same curves as lines of SVG.
function plotPicture(plot) {
  const wide = 1000, tall = 260, [left, right, top, bottom] = [70, 930, 14, 200], picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  picture.setAttribute("viewBox", `0 0 ${wide} ${tall}`);
  const { min, max } = plot.scales.x, x = (value) => left + (right - left) * (value - min) / (max - min);
  svg(picture, "rect", { x: left, y: top, width: right - left, height: bottom - top, fill: "none", stroke: "var(--line)" });
  for (let tick = 0; tick <= 4; tick++) svg(picture, "text", { x: left + (right - left) * tick / 4, y: bottom + 16, "text-anchor": "middle", fill: "var(--dim)" }, number(Math.round(min + (max - min) * tick / 4)));
  let label = left;
  plot.series.forEach((series, place) => {
    if (!place || !series.show) return;
    const { min: low, max: high } = plot.scales[series.scale], [times, values] = [plot.data[0], plot.data[place]];
    const y = (value) => bottom - (bottom - top) * (value - low) / Math.max(high - low, 1e-9), stroke = typeof series.stroke === "function" ? series.stroke() : series.stroke;
    let path = "";
    values.forEach((value, at) => {
      if (value === null || times[at] < min || times[at] > max) return;
      path += path ? `H${x(times[at]).toFixed(1)}V${y(value).toFixed(1)}` : `M${x(times[at]).toFixed(1)} ${y(value).toFixed(1)}`;
    });
    if (path) svg(picture, "path", { d: `${path}H${right}`, fill: "none", stroke, "stroke-width": 1.5 });
    const text = `${series.label}: ${series.value(plot, low)} to ${series.value(plot, high)}`;
    svg(picture, "text", { x: label, y: bottom + 40, fill: stroke }, text);
    label += 8 * text.length + 14;
  });
  return picture;
}
