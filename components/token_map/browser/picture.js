// A passage of the map as a picture: laid out anew, out of sight, then drawn from where everything came to stand.

import { legendOf } from "./scales.js";
import { element } from "./words.js";

const WIDTH = 960; // pixels of the passage
const SCALE = 2; // of a PNG, for screens of twice the density
const TALLEST = 8000; // pixels; beyond twice that browsers give up on a canvas
const SVG = "http://www.w3.org/2000/svg";
const DASHES = { dotted: [1.5, 2], dashed: [4, 3] };

/**
 * Everything to be drawn, in order: {rect} and {text} with places in pixels, from the top left of the picture.
 * @param {Element} root the map, @param {Element[]} cells elements of the passage, @param {object} scale the metric
 */
export function layOut(root, cells, scale) {
  const words = legendOf(scale).map((each, step) => element("i", { class: `s${step}` }, each || "–"));
  const legend = element("p", { class: "legend" }, `${scale.label}${scale.unit ? `, in ${scale.unit}` : ""}: sure `, ...words, " unsure");
  const text = element("div", { class: "text" }, ...cells.map(copied));
  const place = element("div", { class: "candor picture", "aria-hidden": "true" }, text, legend);
  for (const { name, value } of root.attributes) if (name.startsWith("data-") && name !== "data-keys") place.setAttribute(name, value);
  root.parentNode.append(place);
  const { left, top } = place.getBoundingClientRect();
  const found = { operations: [], cut: false, page: getComputedStyle(place).backgroundColor };
  for (const each of place.querySelectorAll("i, p, u")) {
    const style = getComputedStyle(each);
    if (each.localName === "i") found.operations.push(...tints(each, style));
    for (const node of each.childNodes) if (node.nodeType === Node.TEXT_NODE) found.operations.push(...writing(node, style));
  }
  const height = place.getBoundingClientRect().height;
  place.remove();
  const lowest = Math.min(height, TALLEST);
  found.cut = height > TALLEST;
  found.operations = found.operations.filter((each) => each.y - top < lowest);
  for (const each of found.operations) (each.x -= left), (each.y -= top);
  return { ...found, width: WIDTH, height: Math.ceil(lowest) };
}

function copied(cell) {
  const copy = cell.cloneNode(true);
  for (const name of ["data-pin", "data-at", "data-within"]) copy.removeAttribute(name);
  return copy;
}

function* tints(each, { backgroundColor }) {
  if (/^(transparent|rgba\(.*, 0\))$/.test(backgroundColor)) return;
  for (const { left, top, width, height } of each.getClientRects()) {
    yield { x: left, y: top, width, height, fill: backgroundColor };
  }
}

/** The text of a node, line by line; a line's last white space is left out. */
function* writing(node, style) {
  const font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  const marked = getComputedStyle(node.parentElement.closest("i") ?? node.parentElement);
  const underline = marked.textDecorationLine.includes("underline")
    ? { style: marked.textDecorationStyle, width: parseFloat(marked.textDecorationThickness) || 1 }
    : null;
  for (const [text, rect] of lines(node)) {
    if (!rect.width || !text.trim()) continue;
    yield { x: rect.left, y: rect.top, width: rect.width, height: rect.height, text: text.replace(/[\r\n\t]/g, " "), font, style: {
      family: style.fontFamily, size: parseFloat(style.fontSize), weight: style.fontWeight, slant: style.fontStyle,
    }, fill: style.color, underline };
  }
}

function* lines(node) {
  const range = document.createRange();
  range.selectNodeContents(node);
  const rects = range.getClientRects();
  if (rects.length <= 1) {
    if (rects.length) yield [node.data, rects[0]];
    return;
  }
  let [start, last] = [0, null];
  const upTo = (end) => {
    range.setStart(node, start);
    range.setEnd(node, end);
    return [node.data.slice(start, end), range.getBoundingClientRect()];
  };
  let offset = 0;
  for (const letter of node.data) {
    range.setStart(node, offset);
    range.setEnd(node, offset + letter.length);
    const { top, width } = range.getBoundingClientRect();
    if (last !== null && width && Math.abs(top - last) > 2) {
      yield upTo(offset);
      start = offset;
    }
    if (width) last = top;
    offset += letter.length;
  }
  yield upTo(offset);
}

/** How far below the top of its box the letters of a text stand. */
function baseline({ font, height, text }, context) {
  context.font = font;
  const { fontBoundingBoxAscent: up, fontBoundingBoxDescent: down } = context.measureText(text);
  return up + (height - up - down) / 2;
}

/** The picture as SVG. Texts are set as texts, never written as markup. */
export function asSvg({ operations, page, width, height }) {
  const context = document.createElement("canvas").getContext("2d");
  const made = document.implementation.createDocument(SVG, "svg");
  const root = made.documentElement;
  const add = (name, attributes, text) => {
    const each = made.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) each.setAttribute(key, typeof value === "number" ? +value.toFixed(2) : value);
    if (text !== undefined) {
      each.setAttributeNS("http://www.w3.org/XML/1998/namespace", "xml:space", "preserve");
      each.textContent = text;
    }
    root.append(each);
  };
  for (const [name, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}` })) root.setAttribute(name, value);
  add("rect", { width, height, fill: page });
  for (const each of operations) {
    if (each.text === undefined) {
      add("rect", { x: each.x, y: each.y, width: each.width, height: each.height, rx: 3, fill: each.fill });
      continue;
    }
    const line = each.y + baseline(each, context);
    add("text", {
      x: each.x, y: line, fill: each.fill, "font-family": each.style.family, "font-size": each.style.size,
      "font-weight": each.style.weight, "font-style": each.style.slant, textLength: each.width,
      lengthAdjust: "spacingAndGlyphs",
    }, wellFormed(each.text));
    if (each.underline) {
      const y = line + each.style.size * 0.14;
      add("line", { x1: each.x, x2: each.x + each.width, y1: y, y2: y, stroke: each.fill, "stroke-width": each.underline.width,
        "stroke-dasharray": (DASHES[each.underline.style] ?? ["none"]).join(" ") });
    }
  }
  return new Blob([new XMLSerializer().serializeToString(made)], { type: "image/svg+xml" });
}

/** Without what XML cannot hold. */
function wellFormed(text) {
  return text.replace(/[\0-\x08\v\f\x0e-\x1f\ufffe\uffff]/g, "\ufffd").toWellFormed();
}

/** The picture as PNG, at twice its size. */
export function asPng({ operations, page, width, height }) {
  const canvas = Object.assign(document.createElement("canvas"), { width: SCALE * width, height: SCALE * height });
  const context = canvas.getContext("2d");
  context.scale(SCALE, SCALE);
  context.fillStyle = page;
  context.fillRect(0, 0, width, height);
  for (const each of operations) {
    context.fillStyle = context.strokeStyle = each.fill;
    if (each.text === undefined) {
      context.beginPath();
      context.roundRect(each.x, each.y, each.width, each.height, 3);
      context.fill();
      continue;
    }
    const line = each.y + baseline(each, context);
    context.fillText(each.text, each.x, line, each.width + 1);
    if (!each.underline) continue;
    context.lineWidth = each.underline.width;
    context.setLineDash(DASHES[each.underline.style] ?? []);
    context.beginPath();
    context.moveTo(each.x, line + each.style.size * 0.14);
    context.lineTo(each.x + each.width, line + each.style.size * 0.14);
    context.stroke();
  }
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

/** Let the browser save it. */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
