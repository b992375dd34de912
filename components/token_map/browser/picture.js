// A passage of the map as a picture: laid out again, out of sight, then drawn from the positions of that layout.

import { legendOf } from "./colours.js";
import { element } from "./words.js";

const WIDTH = 960; // pixels of the passage
const SCALE = 2; // of a PNG, for screens of twice the density
const TALLEST = 8000; // pixels; beyond twice that browsers give up on a canvas
const SVG = "http://www.w3.org/2000/svg";
const DASHES = { dotted: [1.5, 2], dashed: [4, 3] };

// Scripts whose letters do not depend on those beside them and stand in the order in which they are read.
const APART = "Latin Greek Cyrillic Armenian Georgian Han Hiragana Katakana Hangul Bopomofo Common Inherited";
const SIMPLE = new RegExp(`^[${APART.replace(/\S+ ?/g, (name) => `\\p{Script=${name.trim()}}`)}]*$`, "u");
const DIRECTED = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const RIGHT_TO_LEFT = "Hebrew Arabic Syriac Thaana Nko Samaritan Mandaic Adlam Hanifi_Rohingya Mende_Kikakui";
const TO_LEFT = new RegExp(`[${RIGHT_TO_LEFT.replace(/\S+ ?/g, (name) => `\\p{Script=${name.trim()}}`)}]`, "u");
const STRONG = /\p{L}/u;
const NEAR = 0.6; // pixels between two letters that stand side by side
const UNSEEN = "u.c"; // elements of what shows nothing: the mark in them is drawn instead
const MARKS = { n: () => "↵", t: () => "→", c: (each) => each.dataset.mark, e: () => "no text", stop: () => "stop" };

/**
 * Everything to be drawn, in order: tints, frames, lines and texts with places in pixels, from the picture's top left.
 * @param {HTMLElement} root the map
 * @param {Element[]} cells elements of the passage
 * @param {string} before what precedes it in its paragraph: it decides which way the paragraph is written
 * @param {object} scale the metric
 */
export function layOut(root, cells, before, scale) {
  const words = legendOf(scale).map((each, step) => element("i", { class: `s${step}` }, each || "–"));
  const legend = element("p", { class: "legend" }, `${scale.label}${scale.unit ? `, in ${scale.unit}` : ""}: sure `, ...words, " unsure");
  const strong = before.match(STRONG)?.[0];
  const block = element("div", {}, strong ? (TO_LEFT.test(strong) ? "\u200f" : "\u200e") : "", ...cells.map(copied));
  const text = element("div", { class: "text" }, block);
  const place = element("div", { class: "candor picture", "aria-hidden": "true" }, text, legend);
  for (const { name, value } of root.attributes) if (name.startsWith("data-") && name !== "data-keys") place.setAttribute(name, value);
  place.style.setProperty("--space", root.style.getPropertyValue("--space"));
  root.parentNode.append(place);
  const { left, top } = place.getBoundingClientRect();
  const found = { operations: [], cut: false, page: plainColour(getComputedStyle(place).backgroundColor) };
  const complex = !SIMPLE.test(block.textContent) || DIRECTED.test(block.textContent);
  for (const each of place.querySelectorAll("i, s")) found.operations.push(...tints(each, getComputedStyle(each)));
  for (const each of text.querySelectorAll(".p, .l")) found.operations.push(...dots(each, getComputedStyle(each)));
  if (complex) found.operations.push(...setInRuns(block));
  for (const each of (complex ? legend : place).querySelectorAll("*")) found.operations.push(...writing(each));
  if (complex) found.operations.push(...writing(legend));
  const height = place.getBoundingClientRect().height;
  place.remove();
  const lowest = Math.min(height, TALLEST);
  found.cut = height > TALLEST;
  found.operations = found.operations.filter((each) => each.y - top < lowest);
  for (const each of found.operations) {
    (each.x -= left), (each.y -= top);
    for (const part of each.parts ?? []) part.x -= left;
  }
  return { ...found, width: WIDTH, height: Math.ceil(lowest) };
}

/** A cell, with the marks that the style sheet draws as elements, since they are to be drawn here. */
function copied(cell) {
  const copy = cell.cloneNode(true);
  for (const name of ["data-pin", "data-at", "data-within"]) copy.removeAttribute(name);
  for (const each of [copy, ...copy.querySelectorAll("u")]) {
    for (const [name, mark] of Object.entries(MARKS)) {
      if (each.classList.contains(name)) each.prepend(element("s", {}, mark(each)));
    }
  }
  return copy;
}

/** The background and the frame of an element, line by line. */
function* tints(each, { backgroundColor, borderTopWidth, borderTopColor }) {
  const [fill, frame] = [plainColour(backgroundColor), parseFloat(borderTopWidth) ? plainColour(borderTopColor) : null];
  const tinted = !/^(transparent|rgba\(.*, 0\))$/.test(fill);
  if (!tinted && !frame) return;
  for (const { left, top, width, height } of each.getClientRects()) {
    if (tinted) yield { x: left, y: top, width, height, fill };
    if (frame) yield { x: left + 0.5, y: top + 0.5, width: width - 1, height: height - 1, frame };
  }
}

/** The dots for spaces, as the style sheet has them. */
function* dots(each, { backgroundImage, backgroundRepeat, backgroundSize, fontSize, color }) {
  if (backgroundImage === "none") return;
  const [space, size] = [parseFloat(backgroundSize), 0.14 * parseFloat(fontSize)];
  for (const { left, top, width, height } of each.getClientRects()) {
    const count = backgroundRepeat === "no-repeat" ? 1 : Math.round(width / space);
    for (let at = 0; at < count; at++) {
      const [x, y] = [left + (at + 0.5) * space - size / 2, top + 0.55 * height - size / 2];
      yield { x, y, width: size, height: size, radius: size / 2, fill: color, opacity: 0.6 };
    }
  }
}

/** color(srgb 1 0 0 / 0.5), which nothing but a browser reads, as rgba(255, 0, 0, 0.5). */
function plainColour(colour) {
  const parts = colour.match(/^color\(srgb (\S+) (\S+) (\S+)(?: \/ (\S+))?\)$/)?.slice(1);
  if (!parts) return colour;
  const [red, green, blue, alpha = 1] = parts.map((part) => part && Number(part));
  return `rgba(${[red, green, blue].map((each) => Math.round(255 * each)).join(", ")}, ${alpha})`;
}

/** How the letters of an element look. */
function looks(parent) {
  const style = getComputedStyle(parent);
  const marked = getComputedStyle(parent.closest("i") ?? parent);
  return {
    font: `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`,
    style: { family: style.fontFamily, size: parseFloat(style.fontSize), weight: style.fontWeight, slant: style.fontStyle },
    fill: plainColour(style.color),
    underline: parent.localName !== "s" && marked.textDecorationLine.includes("underline")
      ? { style: marked.textDecorationStyle, width: parseFloat(marked.textDecorationThickness) || 1 }
      : null,
  };
}

/** The text of an element itself, line by line; a line's last white space is left out. */
function* writing(parent) {
  const nodes = [...parent.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
  if (!nodes.length || parent.matches(UNSEEN)) return;
  const look = looks(parent);
  for (const node of nodes) {
    for (const [text, rect] of lines(node)) {
      if (!rect.width || !text.trim()) continue;
      yield { x: rect.left, y: rect.top, width: rect.width, height: rect.height, text: text.replace(/[\r\n\t]/g, " "), ...look };
    }
  }
}

/**
 * The text of a block word by word, as letters of a word may join across tokens, and stand from right to left.
 * The browser's own letter positions give the direction of the text, so no bidi rules are needed here.
 */
function* setInRuns(block) {
  for (const { letters, toLeft } of runsOf(block)) {
    for (const word of wordsOf(letters)) {
      const [text, parts] = [word.map((letter) => letter.text).join(""), tokensOf(word)];
      if (toLeft || !SIMPLE.test(text)) {
        if (text.trim()) yield { ...word[0].look, underline: null, ...boxOf(word), text, toLeft, parts };
      } else {
        for (const part of parts) if (part.text.trim()) yield { ...part, underline: null };
      }
      for (const part of parts) if (part.underline && part.width) yield { ...part, text: "" };
    }
  }
}

/** The parts of a word by the tokens that they belong to: how each looks, its text and its place. */
function tokensOf(word) {
  const parts = [];
  word.forEach((letter, at) => {
    if (!at || word[at - 1].node !== letter.node) parts.push([]);
    parts.at(-1).push(letter);
  });
  return parts.map((letters) => ({
    ...letters[0].look, ...boxOf(letters), text: letters.map((letter) => letter.text).join(""),
  }));
}

/** Letters in the order of reading that stand side by side: {letters, toLeft}. */
function* runsOf(block) {
  let run = null;
  for (const letter of lettersOf(block)) {
    const last = run?.letters.at(-1);
    const alike = last && letter.text !== "\n" && letter.look.font === last.look.font
      && Math.abs(letter.top - last.top) < 2 && Math.abs(letter.bottom - last.bottom) < 2;
    const onward = alike && run.toLeft !== true && Math.abs(letter.left - last.right) < NEAR;
    const back = alike && run.toLeft !== false && Math.abs(letter.right - last.left) < NEAR;
    if (!onward && !back) {
      if (run) yield settled(run);
      run = { letters: [], toLeft: null };
    } else if (onward !== back) run.toLeft = back;
    if (letter.text === "\n") run = null;
    else run.letters.push(letter);
  }
  if (run) yield settled(run);
}

/** A run of one letter shows no way: it goes that of its script, or that of its paragraph. */
function settled(run) {
  const [{ text, paragraph }] = run.letters;
  return { ...run, toLeft: run.toLeft ?? (STRONG.test(text) ? TO_LEFT.test(text) : paragraph.toLeft === true) };
}

function* lettersOf(block) {
  const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });
  const [walker, range] = [document.createTreeWalker(block, NodeFilter.SHOW_TEXT), document.createRange()];
  let paragraph = { toLeft: null };
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const [look, hidden] = [looks(node.parentElement), node.parentElement.matches(UNSEEN)];
    for (const { segment, index } of graphemes.segment(node.textContent)) {
      if (/[\r\n]/.test(segment)) {
        paragraph = { toLeft: null };
        yield { text: "\n" };
        continue;
      }
      const strong = paragraph.toLeft === null && (segment.match(STRONG)?.[0] ?? segment.match(/[\u200e\u200f]/)?.[0]);
      if (strong) paragraph.toLeft = strong === "\u200f" || TO_LEFT.test(strong);
      if (hidden || DIRECTED.test(segment)) continue;
      range.setStart(node, index);
      range.setEnd(node, index + segment.length);
      const rects = [...range.getClientRects()];
      const { left, right, top, bottom } = rects.find((each) => each.width) ?? rects[0] ?? {};
      if (left !== undefined) yield { text: segment.replace("\t", " "), node, look, paragraph, left, right, top, bottom };
    }
  }
}

/** A run cut before each word's white space. */
function wordsOf(letters) {
  const words = [];
  letters.forEach((letter, at) => {
    const blank = (each) => !each.text.trim();
    if (!at || (blank(letter) && !blank(letters[at - 1]))) words.push([]);
    words.at(-1).push(letter);
  });
  return words;
}

function boxOf(letters) {
  const [x, y] = [Math.min(...letters.map(({ left }) => left)), letters[0].top];
  return { x, y, width: Math.max(...letters.map(({ right }) => right)) - x, height: letters[0].bottom - y };
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
  const add = (name, attributes, parts, parent = root) => {
    const each = made.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) each.setAttribute(key, typeof value === "number" ? +value.toFixed(2) : value);
    if (name === "text") each.setAttributeNS("http://www.w3.org/XML/1998/namespace", "xml:space", "preserve");
    if (parts?.length === 1) each.textContent = wellFormed(parts[0].text);
    else for (const part of parts ?? []) add("tspan", { fill: part.fill }, [part], each);
    parent.append(each);
  };
  for (const [name, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}` })) root.setAttribute(name, value);
  add("rect", { width, height, fill: page });
  for (const each of operations) {
    if (each.text === undefined) {
      const { x, y, radius: rx = 3, opacity = 1, frame, fill } = each;
      add("rect", { x, y, width: each.width, height: each.height, rx, opacity, fill: frame ? "none" : fill, stroke: frame ?? "none" });
      continue;
    }
    const line = each.y + baseline(each, context);
    if (each.text) {
      add("text", {
        x: each.toLeft ? each.x + each.width : each.x, y: line, fill: each.fill, "font-family": each.style.family, "font-size": each.style.size,
        "font-weight": each.style.weight, "font-style": each.style.slant, textLength: each.width,
        lengthAdjust: "spacingAndGlyphs", ...(each.toLeft ? { direction: "rtl", "unicode-bidi": "bidi-override" } : {}),
      }, partsOf(each));
    }
    if (each.underline) {
      const y = line + each.style.size * 0.14;
      add("line", { x1: each.x, x2: each.x + each.width, y1: y, y2: y, stroke: each.fill, "stroke-width": each.underline.width,
        "stroke-dasharray": (DASHES[each.underline.style] ?? ["none"]).join(" ") });
    }
  }
  return new Blob([new XMLSerializer().serializeToString(made)], { type: "image/svg+xml" });
}

/** The parts of a text by their colours; one where they have the same. */
function partsOf({ text, fill, parts = [{ text, fill }] }) {
  return parts.every((part) => part.fill === parts[0].fill) ? [{ ...parts[0], text }] : parts;
}

/** Without what XML cannot hold. */
function wellFormed(text) {
  return text.replace(/[\0-\x08\v\f\x0e-\x1f\ufffe\uffff]/g, "\ufffd").toWellFormed();
}

/** Draw a text: where its parts differ in colour, all of it in each colour, and of that the part, so that letters join. */
function paint(each, line, context) {
  const parts = partsOf(each);
  if (parts.length === 1) {
    spell(each, line, context, parts[0].fill);
    return;
  }
  // On a sheet of its own: Chromium leaves out some of a text from right to left where it is clipped.
  const beyond = each.style.size; // for what of a letter reaches beyond its place
  const [left, top] = [each.x - beyond, each.y - beyond].map((place) => Math.floor(SCALE * place));
  const [width, height] = [each.width + 3 * beyond, each.height + 3 * beyond].map((size) => Math.ceil(SCALE * size));
  for (const part of parts) {
    const sheet = Object.assign(document.createElement("canvas"), { width, height });
    const own = sheet.getContext("2d");
    own.setTransform(SCALE, 0, 0, SCALE, -left, -top);
    spell(each, line, own, part.fill);
    const from = part.x <= each.x ? left : Math.round(SCALE * part.x);
    const to = part.x + part.width >= each.x + each.width ? left + width : Math.round(SCALE * (part.x + part.width));
    if (to <= from) continue;
    context.save();
    context.resetTransform();
    context.drawImage(sheet, from - left, 0, to - from, height, from, top, to - from, height);
    context.restore();
  }
}

function spell({ text, font, x, width, toLeft }, line, context, fill) {
  const way = { true: "\u202e", false: "\u202d" }[toLeft] ?? ""; // the way it stands in the map, whatever is in it
  Object.assign(context, { font, fillStyle: fill, direction: toLeft ? "rtl" : "ltr", textAlign: "left" });
  context.fillText(way + text, x, line, width + 1);
}

/** The picture as PNG, at twice its size. */
export function asPng({ operations, page, width, height }) {
  const canvas = Object.assign(document.createElement("canvas"), { width: SCALE * width, height: SCALE * height });
  const context = canvas.getContext("2d");
  context.scale(SCALE, SCALE);
  context.fillStyle = page;
  context.fillRect(0, 0, width, height);
  for (const each of operations) {
    context.fillStyle = context.strokeStyle = each.fill ?? each.frame;
    context.setLineDash([]);
    context.lineWidth = 1;
    if (each.text === undefined) {
      context.beginPath();
      context.roundRect(each.x, each.y, each.width, each.height, each.radius ?? 3);
      context.globalAlpha = each.opacity ?? 1;
      if (each.frame) context.stroke();
      else context.fill();
      context.globalAlpha = 1;
      continue;
    }
    const line = each.y + baseline(each, context);
    if (each.text) paint(each, line, context);
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
