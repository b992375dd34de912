/**
 * The token map in the browser. Python worked out every number and every colour step; this draws them.
 *
 * `data` is a frame: u32 length, JSON options {key, live}, then a packed view (lib/packed.py, lib/view.py).
 * Token text is hostile: it only ever becomes a text node.
 */

const UNSURE = 4; // the first step that counts as unsure
const BLOCK = 250; // cells after which a block ends at the next line break, …
const LONGEST = 4000; // … and after which it ends anyway
const FOLLOW = 32; // pixels from the end within which the reader counts as being there
const Kind = { SPECIAL: 1, STOP: 2, REASONING: 3, TOOL: 4, IMAGE: 5 };

/** One map per shadow root. @type {WeakMap<Node, TokenMap>} */
const maps = new WeakMap();

/** What the reader chose, by the map's key: outlives the elements, as pages come and go. */
const choices = new Map();

/** Called by Streamlit whenever the data or the theme changed. */
export default function draw({ data, parentElement, setStateValue }) {
  if (!maps.has(parentElement)) maps.set(parentElement, new TokenMap(parentElement));
  const map = maps.get(parentElement);
  map.send = (pin) => setStateValue("pinned", pin);
  map.update(decode(data));
  return () => {
    map.remove();
    maps.delete(parentElement);
  };
}

// --- the packed view ------------------------------------------------------------------------------------------------

const ARRAYS = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, i4: Int32Array, f4: Float32Array, f8: Float64Array };
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** @param {Uint8Array} frame @returns {View} */
function decode(frame) {
  const length = new DataView(frame.buffer, frame.byteOffset).getUint32(0, true);
  const options = JSON.parse(utf8.decode(frame.subarray(4, 4 + length)));
  const blob = frame.slice(4 + length); // a copy, as typed arrays need aligned offsets
  const start = 12 + new DataView(blob.buffer).getUint32(8, true);
  const header = JSON.parse(utf8.decode(blob.subarray(12, start)));
  const columns = {};
  for (const [name, type, , offset, bytes] of header.columns) {
    const Column = ARRAYS[type];
    columns[name] = new Column(blob.buffer, start + offset, bytes / Column.BYTES_PER_ELEMENT);
  }
  return new View(options, header.meta, columns);
}

/** The columns of lib/view.py, with what is missing as null. */
class View {
  constructor(options, meta, columns) {
    this.options = options;
    this.meta = meta;
    this.columns = columns;
    this.length = columns["cell.kind"].length;
    this.tokens = columns["token.ref"].length;
    this.kinds = columns["cell.kind"];
    this.text = utf8.decode(columns["cell.text"]);
    this.starts = running(columns["cell.chars"]);
    this.first = running(columns["cell.size"]);
    this.pieces = utf8.decode(columns["piece.text"]);
    this.pieceStarts = running(columns["piece.chars"]);
    this.ids = idsOf(columns["token.ref"], columns["piece.id"]);
  }

  textOf(cell) {
    return this.text.slice(this.starts[cell], this.starts[cell + 1]);
  }

  steps(metric) {
    return this.columns[`step.${metric}`];
  }

  /** The row of the piece table that token `token` points to, or null. */
  ref(token) {
    return known(this.columns["token.ref"], token);
  }

  pieceText(ref) {
    return ref === null ? "" : this.pieces.slice(this.pieceStarts[ref], this.pieceStarts[ref + 1]);
  }

  /** One token, or null for each of its numbers that is not known. Logprobs in nats, -Infinity for (almost) nothing. */
  token(token) {
    return {
      ref: this.ref(token),
      text: this.pieceText(this.ref(token)),
      id: this.ids[token],
      logprob: this.logprob("token.logprob", token),
      rank: this.columns["token.rank"][token] || null,
      others: this.quantity("token.others", token),
    };
  }

  /** The alternatives at a position, likeliest first. */
  alternatives(token) {
    const found = [];
    for (let row = token * this.meta.k; row < (token + 1) * this.meta.k; row++) {
      const ref = known(this.columns["top.ref"], row);
      const logprob = this.logprob("top.logprob", row);
      if (ref !== null && logprob !== null) found.push({ ref, text: this.pieceText(ref), logprob });
    }
    return found;
  }

  logprob(name, row) {
    const column = this.columns[name];
    if (column[row] === largest(column) - 1) return -Infinity;
    const value = this.quantity(name, row);
    return value === null ? null : -value;
  }

  quantity(name, row) {
    const value = known(this.columns[name], row);
    return value === null ? null : value * this.meta.quantum;
  }

  /** Whether this view shows the completion of `old`, perhaps grown. */
  continues(old) {
    if (old.tokens > this.tokens) return false;
    const [ours, theirs] = [this.columns["token.logprob"], old.columns["token.logprob"]];
    for (let token = 0; token < old.tokens; token++) {
      if (ours[token] !== theirs[token] || this.ids[token] !== old.ids[token]) return false;
      if (this.ids[token] < 0 && this.pieceText(this.ref(token)) !== old.pieceText(old.ref(token))) return false;
    }
    return true;
  }

  /** How many cells from the first on are drawn alike in both views. */
  cellsInCommon(old) {
    if (old.meta.boundary !== this.meta.boundary) return 0;
    let cell = 0;
    const end = Math.min(old.length, this.length);
    while (cell < end && this.first[cell + 1] === old.first[cell + 1] && this.starts[cell + 1] === old.starts[cell + 1]
      && this.kinds[cell] === old.kinds[cell] && this.textOf(cell) === old.textOf(cell)) cell++;
    return cell;
  }

  /** What tells the first `count` tokens from those of another completion; __init__.py works out the same. */
  fingerprint(count) {
    const logprobs = this.columns["token.logprob"].slice(0, count);
    return crc32(new Uint8Array(logprobs.buffer), crc32(new Uint8Array(this.ids.buffer, 0, 4 * count)));
  }
}

/** Offsets from lengths: one more, from 0 on. */
function running(lengths) {
  const offsets = new Uint32Array(lengths.length + 1);
  for (let i = 0; i < lengths.length; i++) offsets[i + 1] = offsets[i] + lengths[i];
  return offsets;
}

/** The vocabulary id of every token, -1 where it has none. */
function idsOf(refs, pieceIds) {
  const ids = new Int32Array(refs.length).fill(-1);
  const none = largest(refs);
  for (let token = 0; token < refs.length; token++) if (refs[token] !== none) ids[token] = pieceIds[refs[token]];
  return ids;
}

function largest(column) {
  return 2 ** (8 * column.BYTES_PER_ELEMENT) - 1;
}

/** The value, or null where the column holds its largest, which stands for none. */
function known(column, row) {
  return column[row] === largest(column) ? null : column[row];
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

// --- numbers and text in words --------------------------------------------------------------------------------------

/** A probability from its logprob. */
function percent(logprob) {
  if (logprob === -Infinity) return "< 1e-28";
  const p = Math.exp(logprob);
  if (p >= 0.09995) return `${(100 * p).toFixed(1)}%`;
  if (p >= 0.001) return `${(100 * p).toFixed(2)}%`;
  if (p >= 1e-6) return `${plain((100 * p).toPrecision(2))}%`;
  return p.toExponential(1).replace(/e-(\d)$/, "e-0$1");
}

/** 6.1e-7 written out: 0.00000061. */
function plain(number) {
  return number.includes("e") ? Number(number).toFixed(7) : number;
}

function nats(logprob) {
  return logprob === -Infinity ? "< −65.5" : logprob.toFixed(3).replace("-", "−");
}

function rest(mass) {
  return mass < 0.0005 ? "< 0.05%" : `${(100 * mass).toFixed(1)}%`;
}

const INVISIBLE = /[\0-\x08\v\f\x0e-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/u;
const DIRECTION = /[\u202a-\u202e\u2066-\u2069]/;
const JOINERS_ONLY = /^[\u200c\u200d\ufe00-\ufe0f]+$/;

function codePoints(text) {
  return Array.from(text, (each) => `U+${each.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`).join(" ");
}

/** Text with its white space and its invisible characters to be seen. */
function visible(text) {
  if (text === "") return "no text";
  if (JOINERS_ONLY.test(text)) return codePoints(text);
  return text.replace(/\r\n|\n/g, "↵").replaceAll("\t", "→").replaceAll(" ", "·").replaceAll("\r", "␍")
    .replace(new RegExp(INVISIBLE, "gu"), (each) => `‹${codePoints(each)}›`);
}

/** An element with a class, attributes and children; strings become text nodes. */
function element(name, { class: className, ...attributes } = {}, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// --- cells ----------------------------------------------------------------------------------------------------------

const ORDINARY = /^ ?[^\s\p{Cc}\p{Cf}]+$/u;
const PARTS = new RegExp(`(?<n>\\r\\n|\\n|\\r)|(?<t>\\t)|(?<p> +)|(?<c>${INVISIBLE.source})`, "gu");

/** The classes of a cell, without its step. */
function classesOf(kind, text) {
  const names = [];
  if (kind === Kind.SPECIAL || kind === Kind.STOP || kind === Kind.IMAGE) names.push("x");
  if (kind === Kind.STOP) names.push("stop");
  if (kind === Kind.REASONING) names.push("r");
  if (kind === Kind.TOOL) names.push("f");
  if (text === "") names.push("e");
  else if (!text.trim()) names.push("w");
  if (ORDINARY.test(text)) {
    if (text[0] === " ") names.push("l");
  } else if (DIRECTION.test(text)) names.push("b");
  return names.length ? `${names.join(" ")} ` : "";
}

/** Fill a cell with its text; white space and invisible characters get elements that CSS can mark. */
function fill(cell, text) {
  if (text === "" || ORDINARY.test(text)) {
    cell.textContent = text;
    return;
  }
  if (JOINERS_ONLY.test(text)) {
    cell.append(element("u", { class: "c", "data-mark": codePoints(text) }, text));
    return;
  }
  let done = 0;
  for (const match of text.matchAll(PARTS)) {
    const name = Object.keys(match.groups).find((each) => match.groups[each] !== undefined);
    const mark = name === "c" ? { "data-mark": codePoints(match[0]) } : {};
    cell.append(text.slice(done, match.index), element("u", { class: name, ...mark }, match[0]));
    done = match.index + match[0].length;
  }
  cell.append(text.slice(done));
}

// --- the tooltip ----------------------------------------------------------------------------------------------------

/** Everything there is to know of a cell, as children of the tooltip. */
function* details(view, cell) {
  const tokens = [];
  for (let row = view.first[cell]; row < view.first[cell + 1]; row++) tokens.push({ row, ...view.token(row) });
  if (tokens.length > 1) yield element("h6", {}, `${visible(view.textOf(cell))} is made of ${tokens.length} tokens`);
  for (const token of tokens) yield* facts(token);
  const unsure = leastSure(tokens);
  if (tokens.length > 1) yield element("h6", {}, "Instead of ", element("code", {}, visible(unsure.text)));
  yield alternatives(view, unsure);
}

function leastSure(tokens) {
  return tokens.reduce((a, b) => ((b.logprob ?? 0) < (a.logprob ?? 0) ? b : a));
}

function* facts(token) {
  const text = element("code", {}, visible(token.text));
  const id = token.id < 0 ? [] : [`id ${token.id}`];
  if (token.logprob === null) {
    yield element("header", {}, text);
    const why = token.row === 0 ? "not scored: nothing precedes the first token" : "not scored";
    yield element("div", { class: "facts" }, [why, ...id].join(" · "));
    return;
  }
  yield element("header", {}, text, element("strong", {}, percent(token.logprob)));
  const rank = token.rank === null ? "rank unknown" : `rank ${token.rank}`;
  yield element("div", { class: "facts" }, [`logprob ${nats(token.logprob)}`, rank, ...id].join(" · "));
}

/** The alternatives as bars, the chosen token among or after them, and what is left for all other tokens. */
function alternatives(view, token) {
  const list = element("ol");
  const listed = view.alternatives(token.row);
  for (const each of listed) list.append(bar(visible(each.text), each.logprob, each.ref === token.ref ? "chosen" : ""));
  const absent = token.logprob !== null && !listed.some((each) => each.ref === token.ref);
  if (absent) list.append(bar(visible(token.text), token.logprob, "chosen"));
  if (token.others !== null) {
    list.append(row("others", "all others", token.others, rest(token.others)));
  }
  if (!list.children.length) list.hidden = true;
  return list;
}

function bar(text, logprob, className) {
  return row(className, element("code", {}, text), Math.exp(logprob), percent(logprob));
}

function row(className, label, share, words) {
  const filled = element("span");
  filled.style.width = `${100 * share}%`;
  return element("li", { class: className }, element("span", {}, label), element("span", { class: "bar" }, filled),
    element("span", {}, words));
}

/** What a screen reader says of a cell. */
function spoken(view, cell, step) {
  const token = leastSure(Array.from({ length: view.first[cell + 1] - view.first[cell] },
    (_, offset) => view.token(view.first[cell] + offset)));
  const text = view.textOf(cell).trim() || visible(view.textOf(cell));
  if (token.logprob === null) return `${text}, not scored`;
  const rank = token.rank === null ? "rank unknown" : `rank ${token.rank}`;
  const doubt = step !== view.meta.unscored && step >= UNSURE ? ", unsure" : "";
  return `${text}, ${percent(token.logprob)}, ${rank}${doubt}`;
}

// --- the map --------------------------------------------------------------------------------------------------------

class TokenMap {
  /** @param {ShadowRoot} parent */
  constructor(parent) {
    this.view = null;
    this.cells = []; // one element per cell
    this.classes = []; // … and its classes without the step
    this.at = null; // the cell that the keyboard is on
    this.described = null; // the cell that the tooltip is about, …
    this.beside = 0; // … and the line of it that the tooltip is beside
    this.pin = null; // what Python was told: {cell, tokens, fingerprint}
    this.pinned = null; // the cell that is, if the pin belongs to this completion
    this.column = null; // where Up and Down aim, in pixels
    this.gone = new AbortController();
    this.build();
    this.listen();
    parent.append(this.root);
  }

  remove() {
    this.gone.abort();
    this.root.remove();
  }

  build() {
    this.metrics = element("div", { class: "metrics", role: "radiogroup", "aria-label": "Colour by" });
    this.spaces = element("input", { type: "checkbox" });
    this.count = element("span");
    this.back = element("button", { type: "button", title: "Previous unsure token (N)", "aria-label": "Previous unsure token" }, "‹");
    this.on = element("button", { type: "button", title: "Next unsure token (n)", "aria-label": "Next unsure token" }, "›");
    this.key = element("div", { class: "key", role: "group", "aria-label": "Legend" });
    this.explanation = element("p", { class: "explanation" });
    this.text = element("div", {
      class: "text", tabindex: "0", role: "application", "aria-roledescription": "token map",
      "aria-label": "Token map. Left and right move by token, n to the next unsure one, Enter pins.",
    });
    this.tip = element("div", { class: "tip", role: "tooltip", popover: "manual" });
    this.status = element("div", { class: "status", role: "status", "aria-live": "polite" });
    const hint = element("p", { class: "hint" }, "Click a token to pin it. Keys: ", ...keys("← → ↑ ↓"), " move, ",
      ...keys("n N"), " next and previous unsure token, ", ...keys("Enter"), " pins, ", ...keys("Esc"), " unpins.");
    this.root = element("div", { class: "candor" },
      element("div", { class: "bar" }, this.metrics,
        element("label", { class: "toggle" }, this.spaces, "Show spaces"),
        element("span", { class: "seek" }, this.back, this.count, this.on)),
      this.key, this.explanation, this.text, hint, this.tip, this.status);
  }

  listen() {
    const { text } = this;
    this.metrics.onclick = (event) => this.choose(event.target.closest("button"));
    this.metrics.onkeydown = (event) => this.chooseByKey(event);
    this.metrics.onpointerover = (event) => this.explain(event.target.closest("button"));
    this.metrics.onpointerleave = () => this.explain(null);
    this.spaces.onchange = () => this.showSpaces(this.spaces.checked);
    this.back.onclick = () => this.seek(-1);
    this.on.onclick = () => this.seek(+1);
    text.onpointerover = (event) => this.hover(event);
    text.onpointerleave = () => this.hideTip();
    text.onpointerdown = (event) => {
      this.pressed = [event.clientX, event.clientY];
      this.root.removeAttribute("data-keys");
    };
    text.onclick = (event) => this.clicked(event);
    text.onkeydown = (event) => this.pressedKey(event);
    text.onfocus = () => this.focused();
    text.onblur = () => this.hideTip();
    text.oncopy = (event) => this.copy(event);
    const options = { capture: true, passive: true, signal: this.gone.signal };
    for (const target of [text, document]) target.addEventListener("scroll", () => this.moveTip(), options);
  }

  // --- what Python sends ---

  /** @param {View} view */
  update(view) {
    const old = this.view;
    const grown = old !== null && view.continues(old);
    const { scrollTop, scrollHeight, clientHeight } = this.text;
    const follow = view.options.live && scrollHeight - scrollTop - clientHeight < FOLLOW;
    this.view = view;
    if (old === null) this.recall();
    this.root.hidden = view.length === 0;
    this.dress();
    const kept = grown ? view.cellsInCommon(old) : 0;
    this.drop(kept);
    this.offerMetrics();
    this.recolour(kept);
    this.add(kept);
    this.validatePin();
    if (follow) this.text.scrollTop = this.text.scrollHeight;
    else if (!grown) this.text.scrollTop = 0;
  }

  /** Take up what the reader chose when this key was last on the page. */
  recall() {
    const chosen = choices.get(this.view.options.key) ?? stored(this.view.options.key);
    this.retold = chosen.retold ?? -Infinity;
    this.wanted = chosen.metric ?? null;
    this.pin = chosen.pin ?? null;
    this.showSpaces(Boolean(chosen.spaces));
    // Streamlit forgets what a component said once its page is left. But a page that mounts the map anew in every run
    // must not be told in every run, as telling it is what makes it run.
    if (this.pin && this.isOurs(this.pin) && performance.now() - this.retold > 2000) {
      this.retold = performance.now();
      this.tell();
    }
  }

  keep() {
    const { key } = this.view.options;
    const chosen = { metric: this.wanted, spaces: this.spaces.checked, pin: this.pin, retold: this.retold };
    choices.set(key, chosen);
    store(key, { metric: chosen.metric, spaces: chosen.spaces });
  }

  /** Follow the theme, and measure what depends on its font. */
  dress() {
    this.root.style.backgroundColor = "var(--st-background-color)";
    const [red, green, blue] = getComputedStyle(this.root).backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [255, 255, 255];
    this.root.style.backgroundColor = "";
    this.root.dataset.theme = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 110 ? "dark" : "light";
    this.root.toggleAttribute("data-live", this.view.options.live);
    document.fonts.ready.then(() => this.measure());
  }

  measure() {
    const probe = element("span", { class: "status", style: "width: auto; white-space: pre" }, " ".repeat(100));
    this.text.append(probe);
    const width = probe.getBoundingClientRect().width;
    probe.remove();
    if (width) this.root.style.setProperty("--space", `${width / 100}px`);
  }

  // --- the text ---

  /** Remove the cells from `first` on. */
  drop(first) {
    if (first === this.cells.length) return;
    this.hideTip();
    if (this.at >= first) this.at = null;
    if (first === 0) this.text.replaceChildren();
    else for (const block of [...this.text.children].reverse()) if (!trim(block, first)) break;
    this.cells.length = this.classes.length = first;
  }

  /** Draw the cells from `first` on. */
  add(first) {
    const { view } = this;
    const steps = view.steps(this.metric);
    let block = this.text.lastElementChild;
    let size = block ? block.getElementsByTagName("i").length : 0;
    for (let cell = first; cell < view.length; cell++) {
      if (!block || size >= LONGEST || (size >= BLOCK && endsLine(view, cell - 1))) {
        estimate(block, size);
        block = this.text.appendChild(element("div"));
        size = 0;
      }
      const label = this.label(cell);
      if (label) block.append(element("b", { "data-label": label, class: endsLine(view, cell - 1) ? "start" : "" }));
      block.append(this.drawCell(cell, steps[cell]));
      size++;
    }
    estimate(block, size);
  }

  drawCell(cell, step) {
    const text = this.view.textOf(cell);
    const drawn = document.createElement("i");
    this.classes[cell] = classesOf(this.view.kinds[cell], text);
    drawn.className = this.classes[cell] + this.stepName(step);
    drawn.cell = cell;
    fill(drawn, text);
    this.cells[cell] = drawn;
    return drawn;
  }

  stepName(step) {
    return step === this.view.meta.unscored ? "su" : `s${step}`;
  }

  /** The name of the part that begins with a cell, or null where none begins. */
  label(cell) {
    const part = this.part(cell);
    return cell > 0 && this.part(cell - 1) === part ? null : part;
  }

  part(cell) {
    if (cell < this.view.meta.boundary) return "prompt";
    return this.view.kinds[cell] === Kind.REASONING ? "reasoning" : "answer";
  }

  /** Give the first `count` cells the step of the present metric. */
  recolour(count = this.cells.length) {
    const steps = this.view.steps(this.metric);
    for (let cell = 0; cell < count; cell++) {
      const name = this.classes[cell] + this.stepName(steps[cell]);
      if (this.cells[cell].className !== name) this.cells[cell].className = name;
    }
  }

  copy(event) {
    const [root, selection] = [this.root.getRootNode(), document.getSelection()];
    const range = selection.getComposedRanges?.({ shadowRoots: [root] })[0] ?? root.getSelection?.().getRangeAt(0);
    if (!range) return;
    const copied = document.createRange();
    copied.setStart(range.startContainer, range.startOffset);
    copied.setEnd(range.endContainer, range.endOffset);
    event.clipboardData.setData("text/plain", copied.toString());
    event.preventDefault();
  }

  showSpaces(shown) {
    this.spaces.checked = shown;
    this.root.toggleAttribute("data-spaces", shown);
    this.keep();
  }

  // --- metrics ---

  get scale() {
    return this.view.meta.scales.find((scale) => scale.name === this.metric);
  }

  /** Offer what this completion has; keep to the reader's metric if it is among it. */
  offerMetrics() {
    const { scales } = this.view.meta;
    const usable = scales.filter((scale) => !scale.missing);
    this.metric = (usable.find((scale) => scale.name === this.wanted) ?? usable[0] ?? scales[0]).name;
    while (this.metrics.children.length < scales.length) this.metrics.append(element("button", { type: "button", role: "radio" }));
    scales.forEach((scale, i) => {
      const button = this.metrics.children[i];
      button.textContent = scale.label;
      button.value = scale.name;
      button.title = scale.missing;
      button.setAttribute("aria-disabled", Boolean(scale.missing));
    });
    this.showMetric();
  }

  showMetric() {
    for (const button of this.metrics.children) {
      const chosen = button.value === this.metric;
      button.setAttribute("aria-checked", chosen);
      button.tabIndex = chosen ? 0 : -1;
    }
    this.drawLegend();
    this.explain(null);
    this.countUnsure();
  }

  choose(button) {
    if (!button) return;
    if (button.getAttribute("aria-disabled") === "true") return this.explain(button);
    this.metric = this.wanted = button.value;
    this.keep();
    this.showMetric();
    this.recolour();
  }

  chooseByKey(event) {
    const way = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const buttons = [...this.metrics.children];
    const from = buttons.indexOf(event.target);
    if (!way || from < 0) return;
    event.preventDefault();
    const next = buttons[(from + way + buttons.length) % buttons.length];
    next.focus();
    this.explain(next);
    this.choose(next);
  }

  /** Explain the present metric; for a button that cannot be chosen, say why. */
  explain(button) {
    const about = this.view.meta.scales.find((scale) => scale.name === button?.value && scale.missing) ?? this.scale;
    this.explanation.textContent = about.missing || about.explanation;
  }

  drawLegend() {
    const { legend, unit } = this.scale;
    const named = legend[0].includes(unit) ? "sure" : `sure, in ${unit}`;
    const steps = legend.map((words, step) => element("i", { class: `s${step}` }, words));
    this.key.replaceChildren(element("span", {}, named), element("span", { class: "ramp" }, ...steps),
      element("span", {}, "unsure"), element("i", { class: "su" }, "unscored"));
  }

  countUnsure() {
    const { unscored } = this.view.meta;
    const steps = this.view.steps(this.metric);
    const count = steps.reduce((sum, step) => sum + (step >= UNSURE && step !== unscored), 0);
    this.count.textContent = `${count.toLocaleString("en")} unsure`;
    this.count.title = `${this.scale.label} ${withUnit(this.scale, this.scale.legend[UNSURE])}, or less sure`;
    this.back.disabled = this.on.disabled = count === 0;
  }

  // --- the tooltip ---

  hover(event) {
    const cell = event.target.closest("i")?.cell;
    if (cell === undefined) return this.hideTip();
    if (cell === this.described) return;
    this.showTip(cell, event.clientY);
  }

  hideTip() {
    this.described = null;
    this.tip.removeAttribute("data-shown");
    if (this.tip.matches(":popover-open")) this.tip.hidePopover();
  }

  /** Show what is known of a cell beside the line of it that is at height `y`, or its first. */
  showTip(cell, y) {
    const lines = [...this.cells[cell].getClientRects()];
    this.beside = Math.max(0, lines.findIndex((rect) => rect.top <= y && y <= rect.bottom));
    this.described = cell;
    this.tip.replaceChildren(...details(this.view, cell));
    this.tip.setAttribute("data-shown", "");
    if (this.tip.showPopover && !this.tip.matches(":popover-open")) this.tip.showPopover();
    this.placeTip(lines[this.beside]);
  }

  /** Keep the tooltip beside its cell while something scrolls. */
  moveTip() {
    if (this.described === null) return;
    const line = this.cells[this.described].getClientRects()[this.beside];
    const text = this.text.getBoundingClientRect();
    if (line && line.bottom > text.top && line.top < text.bottom) this.placeTip(line);
    else this.hideTip();
  }

  placeTip(line) {
    const { offsetWidth: width, offsetHeight: height } = this.tip;
    const { clientWidth, clientHeight } = document.documentElement;
    const left = Math.max(8, Math.min(line.left, clientWidth - width - 8));
    const below = line.bottom + 8;
    const top = below + height <= clientHeight - 8 ? below : line.top - height - 8;
    this.tip.style.left = `${left}px`;
    this.tip.style.top = `${Math.max(8, top)}px`;
  }

  // --- pinning ---

  clicked(event) {
    const cell = event.target.closest("i")?.cell;
    const [x, y] = this.pressed ?? [event.clientX, event.clientY];
    const dragged = Math.hypot(event.clientX - x, event.clientY - y) > 4; // the reader selected text
    if (cell === undefined || dragged) return;
    this.moveTo(cell);
    this.toggle(cell);
    if (event.pointerType === "touch") this.showTip(cell, event.clientY); // a finger does not hover
  }

  toggle(cell) {
    const tokens = this.view.tokens;
    this.pin = cell === this.pinned ? null : { cell, tokens, fingerprint: this.view.fingerprint(tokens) };
    this.validatePin();
    this.tell();
  }

  tell() {
    this.keep();
    this.send(this.pin);
  }

  unpin() {
    if (this.pinned !== null) this.toggle(this.pinned);
  }

  /** Whether a pin was made on this completion, or on a beginning of it. Python asks the same. */
  isOurs({ cell, tokens, fingerprint }) {
    const { view } = this;
    return cell < view.length && view.first[cell + 1] <= tokens && tokens <= view.tokens
      && view.fingerprint(tokens) === fingerprint;
  }

  validatePin() {
    this.cells[this.pinned]?.removeAttribute("data-pin");
    this.pinned = this.pin && this.isOurs(this.pin) ? this.pin.cell : null;
    this.cells[this.pinned]?.setAttribute("data-pin", "");
  }

  // --- the keyboard ---

  focused() {
    if (!this.cells.length || !this.text.matches(":focus-visible")) return;
    this.root.setAttribute("data-keys", "");
    this.visit(this.at ?? this.pinned ?? 0);
  }

  pressedKey(event) {
    if (event.altKey || event.metaKey || !this.cells.length) return;
    const last = this.cells.length - 1;
    const at = this.at ?? 0;
    const far = event.ctrlKey;
    const acts = {
      ArrowLeft: () => this.visit(Math.max(0, at - 1)),
      ArrowRight: () => this.visit(Math.min(last, at + 1)),
      ArrowUp: () => this.visitLine(-1),
      ArrowDown: () => this.visitLine(+1),
      Home: () => this.visit(far ? 0 : this.endOfLine(at, -1)),
      End: () => this.visit(far ? last : this.endOfLine(at, +1)),
      Enter: () => this.toggle(at),
      " ": () => this.toggle(at),
      Escape: () => (this.hideTip(), this.unpin()),
      n: () => this.seek(+1),
      N: () => this.seek(-1),
    };
    if (!Object.hasOwn(acts, event.key) || (far && event.key !== "Home" && event.key !== "End")) return;
    event.preventDefault();
    event.stopPropagation();
    this.root.setAttribute("data-keys", "");
    acts[event.key]();
  }

  moveTo(cell) {
    this.cells[this.at]?.removeAttribute("data-at");
    this.at = cell;
    this.cells[cell].setAttribute("data-at", "");
    this.column = null;
  }

  /** Go to a cell: bring it into view, show its details, say what it is. */
  visit(cell) {
    this.moveTo(cell);
    this.cells[cell].scrollIntoView({ block: "nearest", inline: "nearest" });
    this.showTip(cell);
    this.status.textContent = spoken(this.view, cell, this.view.steps(this.metric)[cell]);
  }

  /** Go a visual line up or down, to the cell nearest to where the way began. */
  visitLine(way) {
    const at = this.at ?? 0;
    const column = this.column ?? middle(this.rect(at)).x;
    const there = this.endOfLine(at, way) + way;
    if (!this.cells[there]) return;
    let best = there;
    for (const cell of this.line(there, way)) {
      if (Math.abs(middle(this.rect(cell)).x - column) < Math.abs(middle(this.rect(best)).x - column)) best = cell;
    }
    this.visit(best);
    this.column = column;
  }

  /** The last cell, going `way`, of the visual line that a cell is on. */
  endOfLine(cell, way) {
    return [...this.line(cell, way)].at(-1);
  }

  /** The cells from `cell` on, going `way`, that are on one visual line. */
  *line(cell, way) {
    const { y, height } = middle(this.rect(cell));
    for (; this.cells[cell]; cell += way) {
      if (Math.abs(middle(this.rect(cell)).y - y) > 0.6 * height) return;
      yield cell;
    }
  }

  rect(cell) {
    return this.cells[cell].getClientRects()[0] ?? this.cells[cell].getBoundingClientRect();
  }

  /** Go to the next unsure cell, around the end if need be. */
  seek(way) {
    const steps = this.view.steps(this.metric);
    const count = steps.length;
    const from = this.at ?? (way > 0 ? -1 : count);
    for (let passed = 1; passed <= count; passed++) {
      const cell = (((from + way * passed) % count) + count) % count;
      if (steps[cell] >= UNSURE && steps[cell] !== this.view.meta.unscored) {
        this.root.setAttribute("data-keys", "");
        this.text.focus({ preventScroll: true });
        return this.visit(cell);
      }
    }
  }
}

function keys(names) {
  return names.split(" ").flatMap((name, i) => [i ? " " : "", element("kbd", {}, name)]);
}

/** A legend text with its unit, which percentages already have. */
function withUnit({ unit }, words) {
  return words.includes(unit) ? words : `${words} ${unit}`;
}

function middle({ left, top, width, height }) {
  return { x: left + width / 2, y: top + height / 2, height };
}

/** Tell how high a block will about be, so that the scroll bar is right before it is laid out. */
function estimate(block, cells) {
  if (block) block.style.containIntrinsicBlockSize = `auto ${Math.ceil(cells / 15) * 1.8}em`;
}

function endsLine(view, cell) {
  return cell < 0 || view.text[view.starts[cell + 1] - 1] === "\n";
}

/** Remove the cells from `first` on from a block, and the block once it is empty; false if none was left to remove. */
function trim(block, first) {
  let last = block.lastElementChild;
  if (last?.cell < first) return false;
  while (last && (last.cell === undefined || last.cell >= first)) {
    last.remove();
    last = block.lastElementChild;
  }
  if (!last) block.remove();
  return true;
}

/** Choices that outlive a reload. Storage may be forbidden; then they do not. */
function stored(key) {
  try {
    return JSON.parse(sessionStorage.getItem(`candor.${key}`)) ?? {};
  } catch {
    return {};
  }
}

function store(key, chosen) {
  try {
    sessionStorage.setItem(`candor.${key}`, JSON.stringify(chosen));
  } catch {
    // Then the choice lasts as long as the page.
  }
}
