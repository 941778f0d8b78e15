"use strict";
const byId = (id) => document.getElementById(id);
const facts = JSON.parse(byId("data").textContent);
const [height, width, channels] = facts.shape;
const NOTHING = -(2 ** 31); // of the whole numbers, that which stands for NaN
const stage = byId("stage"), cursor = byId("cursor"), readout = byId("readout");
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

// The inverse of `packed` in numbers.py.
async function unpacked(text) {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const count = bytes.length / 4, values = new Int32Array(count);
  for (let index = 0, value = 0; index < count; index++) {
    const signed = bytes[index] | (bytes[count + index] << 8) | (bytes[2 * count + index] << 16) | (bytes[3 * count + index] << 24);
    value = (value + ((signed >>> 1) ^ -(signed & 1))) | 0;
    values[index] = value;
  }
  return values;
}

// ------------------------------------------------------------------ sizes
const root = document.documentElement.style;
root.setProperty("--ratio", width / height);
const judgeSize = () => document.body.classList.toggle("coarse", stage.clientWidth > 1.5 * width);
new ResizeObserver(judgeSize).observe(stage);

// ------------------------------------------------------------------ before and after
const divider = byId("divider");
function split(percent) {
  const share = clamp(percent, 0, 100);
  root.setProperty("--split", share + "%");
  divider.setAttribute("aria-valuenow", Math.round(share));
  divider.setAttribute("aria-valuetext", `${Math.round(share)} % ${facts.before}`);
}
const splitNow = () => Number(divider.getAttribute("aria-valuenow"));
function shareOf(event) {
  const box = stage.getBoundingClientRect();
  return (100 * (event.clientX - box.left)) / box.width;
}
if (byId("before")) {
  divider.hidden = false;
  split(50);
  const moves = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10, Home: -100, End: 100 };
  divider.addEventListener("keydown", (event) => {
    if (!(event.key in moves)) return;
    event.preventDefault();
    event.stopPropagation();
    split(splitNow() + moves[event.key]);
  });
  divider.addEventListener("pointerdown", (event) => { divider.setPointerCapture(event.pointerId); event.stopPropagation(); });
  divider.addEventListener("click", (event) => event.stopPropagation());
  divider.addEventListener("pointermove", (event) => { if (divider.hasPointerCapture(event.pointerId)) split(shareOf(event)); });
}

// ------------------------------------------------------------------ pixel inspector
let value = null, half = null, here = null;
const shown = (whole) => (whole === NOTHING ? "–" : (whole / 10 ** facts.decimals).toFixed(facts.decimals).replace("-", "−"));
function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}
function describe(row, column) {
  const at = (channel) => (channel * height + row) * width + column;
  const where = element("p", `row ${row * facts.stride}, column ${column * facts.stride}`, "where");
  if (channels === 1) {
    const big = element("p", shown(value[at(0)]), "big");
    if (!half) return [where, big];
    const range = `${shown(value[at(0)] - half[at(0)])} to ${shown(value[at(0)] + half[at(0)])}`;
    big.append(element("span", ` ± ${shown(half[at(0)])}`));
    return [where, big, element("p", `${facts.level} % interval ${range}`, "where")];
  }
  const table = element("table");
  for (let channel = 0; channel < channels; channel++) {
    const line = table.insertRow();
    const name = channels === 3 ? ["red", "green", "blue"][channel] : `channel ${channel}`;
    const head = element("th", name, channels === 3 ? name : "");
    head.scope = "row";
    line.append(head, element("td", shown(value[at(channel)])));
    if (half) line.append(element("td", `± ${shown(half[at(channel)])}`));
  }
  return half ? [where, table, element("p", `± is half of the ${facts.level} % interval`, "where")] : [where, table];
}
function inspect(row, column) {
  if (!value) return;
  here = [clamp(row, 0, height - 1), clamp(column, 0, width - 1)];
  cursor.hidden = false;
  cursor.style.left = (100 * (here[1] + 0.5)) / width + "%";
  cursor.style.top = (100 * (here[0] + 0.5)) / height + "%";
  cursor.style.width = 100 / width + "%";
  cursor.style.height = 100 / height + "%";
  readout.replaceChildren(...describe(...here));
}
function follow(event) {
  const box = stage.getBoundingClientRect();
  inspect(Math.floor((height * (event.clientY - box.top)) / box.height), Math.floor((width * (event.clientX - box.left)) / box.width));
}
stage.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse") follow(event); });
stage.addEventListener("click", follow);
stage.addEventListener("dragstart", (event) => event.preventDefault()); // of the picture itself
stage.addEventListener("keydown", (event) => {
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  if (!(event.key in moves) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const far = event.shiftKey ? 10 : 1, [down, right] = moves[event.key];
  if (here) inspect(here[0] + far * down, here[1] + far * right);
  else inspect(Math.floor(height / 2), Math.floor(width / 2));
});

// ------------------------------------------------------------------ uncertainty overlay
function paint(canvas, columns, rows, colourAt) {
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d"), picture = context.createImageData(columns, rows);
  for (let index = 0; index < columns * rows; index++) {
    const colour = 3 * colourAt(index);
    for (let part = 0; part < 3; part++) picture.data[4 * index + part] = facts.colours[colour + part];
    picture.data[4 * index + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
}
function paintUncertainty() {
  const plane = height * width;
  paint(byId("overlay"), width, height, (pixel) => {
    let square = 0;
    for (let channel = 0; channel < channels; channel++) square += half[channel * plane + pixel] ** 2 / channels;
    return clamp(Math.round((255 * Math.sqrt(square)) / facts.top), 0, 255);
  });
  paint(byId("scale"), 256, 1, (index) => index);
}
byId("opacity").addEventListener("input", (event) => {
  byId("overlay").hidden = event.target.value === "0";
  byId("overlay").style.opacity = event.target.value / 100;
  byId("opacity-value").textContent = event.target.value + " %";
});

// ------------------------------------------------------------------ draws
const pages = [...document.querySelectorAll(".pages img")];
const SECONDS_A_PAGE = 0.4;
let page = 0, timer = null;
function turn(to) {
  page = (to + pages.length) % pages.length;
  pages.forEach((picture, index) => { picture.hidden = index !== page; });
  byId("page").textContent = `${page + 1} of ${pages.length}`;
}
function stop() {
  clearInterval(timer);
  timer = null;
  byId("play").textContent = "Play";
}
if (pages.length > 1) {
  byId("play").addEventListener("click", () => {
    if (timer) return stop();
    timer = setInterval(() => turn(page + 1), 1000 * SECONDS_A_PAGE);
    byId("play").textContent = "Pause";
  });
  byId("previous").addEventListener("click", () => { stop(); turn(page - 1); });
  byId("next").addEventListener("click", () => { stop(); turn(page + 1); });
}

// ------------------------------------------------------------------ citation
byId("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(byId("bibtex").textContent);
    byId("copied").textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren(byId("bibtex"));
    byId("copied").textContent = "Selected: copy it with Ctrl+C.";
  }
});

(async () => {
  facts.colours = bytesOf(facts.colours);
  value = await unpacked(facts.value);
  if (facts.half) {
    half = await unpacked(facts.half);
    paintUncertainty();
  }
  document.body.dataset.ready = "yes";
})();
