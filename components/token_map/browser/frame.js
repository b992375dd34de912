// Frames of packed columns (lib/core/columnar.py, lib/display/token_map_view.py) and the view they add up to.

import { shared } from "./shared.js";

const ARRAYS = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, i4: Int32Array, f4: Float32Array, f8: Float64Array };
export const Kind = { SPECIAL: 1, STOP: 2, REASONING: 3, TOOL: 4, IMAGE: 5, FORCED: 6 };
const Flag = { KIND: 0x07, JOINS: 0x08, word: 0x10, sentence: 0x20, line: 0x40, TEMPLATE: 0x80 };
const BEGINS = Flag.word | Flag.sentence | Flag.line;
const PASSAGES = ["word", "sentence", "line"];
const NONE = 0xffffffff; // a ref that points to nothing
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * A frame: u32 length, JSON options, then a packed view, and flags if the options say so, or nothing; deflated where the
 * options say so.
 * @param {Uint8Array} data
 * @returns {Promise<{options: object, meta: object, columns: object, flags: {meta: object, columns: object} | null}>}
 */
export async function readFrame(data) {
  const length = new DataView(data.buffer, data.byteOffset).getUint32(0, true);
  const options = JSON.parse(utf8.decode(data.subarray(4, 4 + length)));
  const rest = data.subarray(4 + length);
  if (!rest.length) return { options, meta: null, columns: {}, flags: null };
  // A copy either way, as typed arrays need aligned offsets.
  const blob = await (options.deflated ? inflate(rest) : rest.slice().buffer);
  const flags = options.flags ? unpacked(blob, blob.byteLength - options.flags[0]) : null;
  return { options, ...unpacked(blob, 0), flags };
}

/** The header and the columns that begin at a place in a buffer. */
function unpacked(blob, at) {
  const start = at + 12 + new DataView(blob).getUint32(at + 8, true);
  const header = JSON.parse(utf8.decode(new Uint8Array(blob, at + 12, start - at - 12)));
  const columns = {};
  for (const [name, type, , offset, bytes] of header.columns) {
    const Column = ARRAYS[type];
    columns[name] = new Column(blob, start + offset, bytes / Column.BYTES_PER_ELEMENT);
  }
  return { meta: header.meta, columns };
}

function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

/** The texts and ids that tokens refer to. Grown by later frames, each of which brings those it uses. */
class Pieces {
  constructor() {
    this.texts = [];
    this.ids = [];
    this.places = null; // from what makes a piece one to its row; only a view that grows needs it
  }

  /** Take the pieces of a frame; returns what its refs become. */
  take(columns) {
    const [texts, ids] = [textsOf(columns, "piece"), columns["piece.id"]];
    if (!this.texts.length) {
      this.texts = texts;
      this.ids = Array.from(ids);
      return null;
    }
    this.places ??= new Map(this.texts.map((text, row) => [keyOf(this.ids[row], text), row]));
    return Uint32Array.from(texts, (text, row) => this.add(ids[row], text));
  }

  add(id, text) {
    const key = keyOf(id, text);
    if (!this.places.has(key)) {
      this.places.set(key, this.texts.length);
      this.texts.push(text);
      this.ids.push(id);
    }
    return this.places.get(key);
  }
}

function keyOf(id, text) {
  return id < 0 ? `"${text}` : id;
}

/** The texts of a column of UTF-8 and its lengths in UTF-16 units. */
export function textsOf(columns, name) {
  const text = utf8.decode(columns[`${name}.text`]);
  const texts = [];
  let start = 0;
  for (const length of columns[`${name}.chars`]) texts.push(text.slice(start, (start += length)));
  return texts;
}

/** All that is known of a completion: columns over tokens, over cells, and over groups of cells. */
export class View {
  /** The view of one frame, or of an earlier view's tokens before the frame's base and those of the frame. */
  constructor(frame, before = null) {
    const { meta, columns } = frame;
    const kept = before === null ? 0 : meta.base;
    this.options = frame.options;
    this.k = meta.k;
    this.pieces = kept ? before.pieces : new Pieces();
    this.readTokens(columns, kept, before);
    this.readCells(columns, kept, before, meta.boundary);
    this.asked = meta.pattern;
    this.missing = new Set(kept ? meta.missing.filter((name) => before.missing.has(name)) : meta.missing);
    this.groups.pattern = columns["pattern.first"]
      ? new Groups(columns["pattern.first"], stepsOf(columns, "pattern"), this.length)
      : null;
  }

  readTokens(columns, kept, before) {
    const renamed = this.pieces.take(columns);
    const [refs, logprobs] = listed(columns, this.k);
    const own = {
      flags: columns["token.flags"],
      ref: wide(refs, renamed),
      logprob: logprobs,
      rank: columns["token.rank"],
      others: columns["token.others"] ?? unknown(refs.length),
      low: columns["token.low"] ?? unknown(refs.length),
      high: columns["token.high"] ?? unknown(refs.length),
      topRef: wide(columns["top.ref"], renamed),
      topLogprob: columns["top.logprob"],
    };
    this.of = {};
    for (const [name, column] of Object.entries(own)) {
      const each = name.startsWith("top") ? this.k : 1;
      this.of[name] = kept ? joined(before.of[name], kept * each, column) : column;
    }
    this.tokens = this.of.flags.length;
    this.ids = new Int32Array(this.tokens);
    for (let token = 0; token < this.tokens; token++) this.ids[token] = this.pieces.ids[this.of.ref[token]] ?? -1;
  }

  readCells(columns, kept, before, boundary) {
    const { flags, ref } = this.of;
    const keptCells = kept ? before.cellOf(kept) : 0;
    const first = new Uint32Array(this.tokens - kept + 1);
    const begun = Object.fromEntries(PASSAGES.map((name) => [name, []]));
    const several = textsOf(columns, "joined");
    const { texts } = this.pieces;
    let [cells, next] = [0, 0];
    this.texts = kept ? before.texts.slice(0, keptCells) : [];
    for (let token = kept; token < this.tokens; token++) {
      const flag = flags[token];
      if (flag & Flag.JOINS) continue;
      if (flag & BEGINS) for (const name of PASSAGES) if (flag & Flag[name]) begun[name].push(keptCells + cells);
      first[cells++] = token;
      if (flags[token + 1] & Flag.JOINS) this.texts.push(several[next++]);
      else this.texts.push(ref[token] === NONE ? shared.unknown : texts[ref[token]]);
    }
    first[cells] = this.tokens;
    this.length = keptCells + cells;
    this.first = joined(kept ? before.first : new Uint32Array(0), keptCells, first.subarray(0, cells + 1));
    this.boundary = this.cellOf(boundary);
    const steps = grown(before?.groups.token, keptCells, stepsOf(columns, "token"));
    this.groups = { token: new Groups(null, steps, this.length) };
    for (const name of PASSAGES) {
      if (!columns[`${name}.step.${shared.scales[0].name}`]) continue; // not asked for
      const old = keptCells ? before.groups[name] : null;
      const stay = old ? old.before(keptCells) : 0;
      const starts = joined(old ? old.first : new Uint32Array(0), stay, Uint32Array.from(begun[name]));
      this.groups[name] = new Groups(starts, grown(old, stay, stepsOf(columns, name)), this.length);
    }
  }

  /** Whether a "word", "sentence" or "line" begins with a cell. */
  begins(cell, grouping) {
    return (this.of.flags[this.first[cell]] & Flag[grouping]) !== 0;
  }

  kind(cell) {
    return this.of.flags[this.first[cell]] & Flag.KIND;
  }

  /** Whether a cell belongs to the chat template, not to what was said: role names, and control tokens anywhere. */
  isTemplate(cell) {
    return (this.of.flags[this.first[cell]] & Flag.TEMPLATE) !== 0;
  }

  get hasTemplate() {
    return this.of.flags.some((flag) => flag & Flag.TEMPLATE);
  }

  /** The text of the first `end` cells without what the chat template adds. */
  ownText(end) {
    return this.texts.slice(0, end).filter((_, cell) => !this.isTemplate(cell)).join("");
  }

  /** The first cell that begins at or after a token. */
  cellOf(token) {
    return lowerBound(this.first, token, this.length);
  }

  /** One token, or null for each of its numbers that is not known. Logprobs in nats, -Infinity for (almost) nothing. */
  token(token) {
    const ref = this.of.ref[token];
    return {
      row: token,
      ref,
      text: ref === NONE ? shared.unknown : this.pieces.texts[ref],
      id: this.ids[token],
      logprob: negated(thousandths(this.of.logprob[token])),
      rank: this.of.rank[token] || null,
      others: thousandths(this.of.others[token]),
      low: thousandths(this.of.low[token]),
      high: thousandths(this.of.high[token]),
    };
  }

  tokensOf(cell) {
    const tokens = [];
    for (let row = this.first[cell]; row < this.first[cell + 1]; row++) tokens.push(this.token(row));
    return tokens;
  }

  /** The alternatives at a position, most likely first. */
  alternatives(token) {
    const found = [];
    for (let row = token * this.k; row < (token + 1) * this.k; row++) {
      const [ref, logprob] = [this.of.topRef[row], negated(thousandths(this.of.topLogprob[row]))];
      if (ref !== NONE && logprob !== null) found.push({ ref, text: this.pieces.texts[ref], logprob });
    }
    return found;
  }

  /** Whether this view shows the completion of `old`, perhaps grown. */
  continues(old) {
    if (old.tokens > this.tokens) return false;
    const [ours, theirs] = [this.of.logprob, old.of.logprob];
    for (let token = 0; token < old.tokens; token++) {
      if (ours[token] !== theirs[token] || this.ids[token] !== old.ids[token]) return false;
      if (this.ids[token] < 0 && this.token(token).text !== old.token(token).text) return false;
    }
    return true;
  }

  /** How many cells, from the first on, are drawn alike in both views, where the first `sure` are known to be. */
  cellsInCommon(old, sure) {
    if (old.boundary !== this.boundary) return Math.min(sure, old.boundary, this.boundary);
    let cell = sure;
    const end = Math.min(old.length, this.length);
    while (cell < end && this.first[cell + 1] === old.first[cell + 1] && this.texts[cell] === old.texts[cell]
      && this.of.flags[this.first[cell]] === old.of.flags[old.first[cell]]) cell++;
    return cell;
  }

  /** What tells the first `count` tokens from those of another completion; lib/display/token_map_columns.py computes the same. */
  fingerprint(count) {
    const logprobs = this.of.logprob.slice(0, count);
    return crc32(new Uint8Array(logprobs.buffer), crc32(new Uint8Array(this.ids.buffer, 0, 4 * count)));
  }
}

/** Cells in groups, with a fine step per metric and group. Without `first`, every cell is its own. */
class Groups {
  constructor(first, steps, cells) {
    this.first = first;
    this.steps = steps;
    this.cells = cells;
    this.length = first ? first.length : cells;
  }

  /** The group of every cell, or null where every cell is its own. */
  get of() {
    if (!this.first || this.found) return this.found ?? null;
    this.found = new Uint32Array(this.cells);
    for (let group = 0; group < this.length; group++) this.found.fill(group, this.first[group], this.end(group));
    return this.found;
  }

  group(cell) {
    return this.first ? lowerBound(this.first, cell + 1, this.length) - 1 : cell;
  }

  start(group) {
    return this.first ? this.first[group] : group;
  }

  end(group) {
    return group + 1 < this.length ? this.start(group + 1) : this.cells;
  }

  /** How many groups begin before a cell. */
  before(cell) {
    return lowerBound(this.first, cell, this.length);
  }
}

function stepsOf(columns, grouping) {
  return Object.fromEntries(shared.scales.map(({ name }) => [name, columns[`${grouping}.step.${name}`]]));
}

/** The steps of the first `kept` groups of an earlier view, and more. */
function grown(before, kept, steps) {
  if (!kept) return steps;
  return Object.fromEntries(shared.scales.map(({ name }) => [name, joined(before.steps[name], kept, steps[name])]));
}

/** Refs, as the frame numbers them, and logprobs of the tokens; the lists hold them for most. */
function listed(columns, k) {
  const places = columns["token.place"];
  const [listedRefs, listedLogprobs] = [columns["top.ref"], columns["top.logprob"]];
  const [otherRefs, otherLogprobs] = [columns["unlisted.ref"], columns["unlisted.logprob"]];
  const [refs, logprobs] = [new otherRefs.constructor(places.length), new Uint16Array(places.length)];
  const out = largest(places);
  let unlisted = 0;
  for (let token = 0; token < places.length; token++) {
    if (places[token] === out) {
      refs[token] = otherRefs[unlisted];
      logprobs[token] = otherLogprobs[unlisted++];
    } else {
      refs[token] = listedRefs[token * k + places[token]];
      logprobs[token] = listedLogprobs[token * k + places[token]];
    }
  }
  return [refs, logprobs];
}

/** A frame's refs as those of the pieces: the same unless they were renamed. NONE where there is none. */
function wide(refs, renamed) {
  const [wider, none] = [new Uint32Array(refs), largest(refs)];
  if (renamed) for (let i = 0; i < refs.length; i++) wider[i] = renamed[refs[i]];
  for (let i = refs.indexOf(none); i >= 0; i = refs.indexOf(none, i + 1)) wider[i] = NONE;
  return wider;
}

/** The first `count` of one typed array, then all of another, of the first one's type or wider. */
function joined(first, count, second) {
  const Wider = first.BYTES_PER_ELEMENT > second.BYTES_PER_ELEMENT ? first.constructor : second.constructor;
  const both = new Wider(count + second.length);
  both.set(first.subarray(0, count));
  both.set(second, count);
  return both;
}

/** The first of `count` sorted values that is not below `value`. */
export function lowerBound(values, value, count) {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function largest(column) {
  return 2 ** (8 * column.BYTES_PER_ELEMENT) - 1;
}

/** A number sent in thousandths; null where there is none, Infinity where it is too large for that. */
function thousandths(value) {
  if (value === 0xffff) return null;
  return value === 0xfffe ? Infinity : value / 1000;
}

function unknown(count) {
  return new Uint16Array(count).fill(0xffff);
}

function negated(value) {
  return value === null ? null : -value;
}

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes, start = 0) {
  let value = ~start;
  for (let i = 0; i < bytes.length; i++) value = CRC[(value ^ bytes[i]) & 0xff] ^ (value >>> 8);
  return ~value >>> 0;
}
