// What of an answer is flagged: terms with scores (lib/display/flag_columns.py), and the passages that those make
// which reach a threshold. No elements here: flag_panel.js shows them.

import { textsOf } from "./frame.js";
import { marked } from "./words.js";

export const SEVERITIES = ["mild", "clear", "strong"];
export const SUDDEN = "sudden drop";
export const Mark = { SEVERITY: 0x03, BEGINS: 0x04, ENDS: 0x08 }; // in a cell's mark; severity 1 is mild, 0 no flag
const BETWEEN = /^[\s\p{P}\p{Cf}`]*$/u; // what may lie between two terms that make one passage
const LINE = /[\n\r\u2028\u2029]/; // … unless it has one of these
const STEPS = 200; // about as many places on the slider
const BEFORE = 40; // characters of what precedes a passage

/** The terms of a view: where they are, how doubtful, and what could be there instead. */
export class Terms {
  /**
   * @param {{meta: any, columns: any}} flags of a frame
   * @param {import("./frame.js").View} view
   */
  constructor({ meta, columns }, view) {
    this.meta = meta;
    this.view = view;
    this.first = columns.first;
    this.last = columns.last;
    this.scores = columns.score;
    this.sudden = columns.sudden; // 1 for a sudden drop
    this.length = this.first.length;
    this.listed = Uint32Array.from({ length: this.length + 1 }, () => 0);
    for (let each = 0; each < this.length; each++) this.listed[each + 1] = this.listed[each] + columns.listed[each];
    this.texts = textsOf(columns, "text");
    this.probabilities = columns.probability;
    this.solid = new Uint32Array(view.length + 1); // cells before each that keep what is on both sides of them apart
    for (let cell = 0; cell < view.length; cell++) this.solid[cell + 1] = this.solid[cell] + (isSolid(view.texts[cell]) ? 1 : 0);
    this.slider = sliderOf(this.scores, meta);
  }

  get unscored() {
    return this.scores.reduce((count, score) => count + (Number.isNaN(score) ? 1 : 0), 0);
  }

  /** 1, 2 or 3 for a score that is flagged. */
  severity(score) {
    return 1 + Number(score >= Math.fround(this.meta.clear)) + Number(score >= Math.fround(this.meta.strong));
  }

  /**
   * The flagged passages in reading order. Flagged terms with only white space or punctuation between them are one.
   * @returns {{first: number, last: number, score: number, severity: number, of: number[]}[]}
   */
  passages(threshold) {
    const from = Math.fround(threshold); // as the scores, so that a score equal to it reaches it
    const found = [];
    for (let each = 0; each < this.length; each++) {
      const score = this.scores[each];
      if (!(score >= from)) continue;
      const [first, last] = [this.first[each], this.last[each]];
      const before = found.at(-1);
      if (before && this.touch(before.last, first)) {
        before.last = Math.max(before.last, last);
        before.score = Math.max(before.score, score);
        before.of.push(each);
      } else found.push({ first, last, score, severity: 0, of: [each] });
    }
    for (const each of found) each.severity = this.severity(each.score);
    return found;
  }

  /** Whether nothing but white space and punctuation is between the cell `last` and the cell `first`. */
  touch(last, first) {
    return first <= last || this.solid[first] === this.solid[last];
  }

  /** Whether a term of a passage is far less likely than the tokens before it. */
  isSudden({ of }) {
    return of.some((each) => this.sudden[each] === 1);
  }

  /** Alternatives to a term, most likely first. */
  alternatives(term) {
    const found = [];
    for (let row = this.listed[term]; row < this.listed[term + 1]; row++) {
      found.push({ text: this.texts[row], probability: this.probabilities[row] });
    }
    return found;
  }

  /** The text of some cells on one line. */
  textOf(first, last) {
    return oneLine(this.view.texts.slice(first, last).join(""));
  }

  /** The end of what precedes a cell in its part of the text, from a word on. */
  before(cell) {
    const { texts, boundary } = this.view;
    const least = cell >= boundary ? boundary : 0;
    let [from, length] = [cell, 0];
    while (from > least && length <= 2 * BEFORE) length += texts[--from].length;
    const letters = [...oneLine(texts.slice(from, cell).join(""))];
    if (letters.length <= BEFORE) return (from > least ? "… " : "") + letters.join("");
    const end = letters.slice(-BEFORE).join("");
    return `… ${end.slice(end.search(/\s/) + 1)}`;
  }

  /** The mark of every cell. */
  marks(passages) {
    const marks = new Uint8Array(this.view.length);
    for (const { first, last, severity } of passages) {
      marks.fill(severity, first, last);
      marks[first] |= Mark.BEGINS;
      marks[last - 1] |= Mark.ENDS;
    }
    return marks;
  }
}

/** The passage that a cell is in; undefined if it is in none. */
export function passageAt(passages, cell) {
  let [low, high] = [0, passages.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (passages[middle].last <= cell) low = middle + 1;
    else high = middle;
  }
  return passages[low]?.first <= cell ? passages[low] : undefined;
}

/** Passages with the most doubtful first; those alike in reading order. */
export function bySeverity(passages) {
  return [...passages].sort((a, b) => b.score - a.score || a.first - b.first);
}

function isSolid(text) {
  return !BETWEEN.test(text) || LINE.test(text);
}

function oneLine(text) {
  return marked(text).replace(/\s+/g, " ").trim();
}

/** The slider's ends and step: every score and every preset is between them. */
function sliderOf(scores, { presets, threshold }) {
  let [least, most] = [Infinity, -Infinity];
  for (const each of [...scores, threshold, ...presets.map(([, value]) => value)]) {
    if (!Number.isFinite(each)) continue;
    least = Math.min(least, each);
    most = Math.max(most, each);
  }
  least = Math.min(least, 0); // most scores cannot be less
  const step = roundStep((most - least) / STEPS);
  return { least: step * Math.floor(least / step), most: step * (Math.floor(most / step) + 1), step };
}

/** The next of 1, 2 and 5, times a power of 10, that is not below a number. */
function roundStep(least) {
  const power = 10 ** Math.floor(Math.log10(least > 0 ? least : 0.01));
  return power * [1, 2, 5, 10].find((each) => each * power >= least * (1 - 1e-9));
}

/** A score or a threshold, with as many digits as one can use. */
export function amount(value) {
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2).replace(/^-(?=[0.]+$)/, "").replace("-", "−");
}
