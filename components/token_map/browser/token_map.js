/**
 * The token map in the browser. Python worked out every number, every step and every group; this draws them.
 *
 * Token text is hostile: it only ever becomes a text node.
 */

import { learn, shared } from "./shared.js";
import { Kind, View, readFrame } from "./frame.js";
import { edgesOf, remember, remembered, withUnit } from "./colours.js";
import { element } from "./words.js";
import { classesOf, estimate, fill, stepName, trim } from "./cells.js";
import { details, spoken } from "./tooltip.js";
import { Controls, TOGGLES } from "./controls.js";
import { lead, placeIn } from "./beside.js";
import { asPng, asSvg, layOut, save } from "./picture.js";

const BLOCK = 250; // cells after which a block ends at the next line
const FOLLOW = 32; // pixels from the end within which the reader counts as being there
const AT_ONCE = 4000; // cells that are drawn at once; of more, those out of sight follow bit by bit, …
const SLICE = 12; // … for so many milliseconds at a time
const GAP = 8; // pixels between the tooltip and its token, and the edges of the window
const TIP_WIDTH = 320; // pixels, as the style sheet has it
const ENOUGH = 320; // pixels of height that most tooltips need
const ROOM = 2400; // square pixels of the window per cell of the text that it shows
const LONGEST_HEADER = 16; // cells of markers that are looked past for what they open

/** One map per shadow root. @type {WeakMap<Node, TokenMap>} */
const maps = new WeakMap();
const living = new Set();

/** What the reader chose, by the map's key: outlives the elements, as pages come and go. */
const choices = new Map();

/** Called by Streamlit whenever the data or the theme changed. */
export default function draw({ data, parentElement, setStateValue }) {
  if (!maps.has(parentElement)) maps.set(parentElement, new TokenMap(parentElement));
  const map = maps.get(parentElement);
  map.send = setStateValue;
  map.receive(data);
  return () => {
    // Streamlit calls this, too, for data that newer data overtook, while the map is on the page to stay.
    if (parentElement.isConnected) return;
    map.remove();
    maps.delete(parentElement);
  };
}

class TokenMap {
  /** @param {ShadowRoot} parent */
  constructor(parent) {
    this.view = null;
    this.blocks = []; // the lines in runs: {element, first, end, turn}, by their cells
    this.cells = []; // one element per cell, in blocks that are drawn, …
    this.classes = []; // its classes without what metric and grouping say, …
    this.names = []; // … and with it
    this.at = null; // the cell that the keyboard is on
    this.described = null; // the cell that the tooltip is about, …
    this.beside = 0; // … and the line of it that the tooltip is beside
    this.within = []; // the cells of the group under the pointer
    this.pin = null; // what Python was told: {cell, tokens, fingerprint}
    this.pinned = null; // the cell that is, if the pin belongs to this completion
    this.column = null; // where Up and Down aim, in pixels
    this.led = null; // where another map has scrolled this one to
    this.parent = parent;
    this.received = Promise.resolve();
    this.gone = new AbortController();
  }

  remove() {
    living.delete(this);
    this.gone.abort();
    this.root?.remove();
  }

  /** Put everything in its place, once it is known what there is to choose. */
  build() {
    this.controls = new Controls({
      changed: () => {
        this.coloursChanged();
        for (const map of this.others) map.follow(this.controls.chosen);
      },
      moved: () => living.forEach((map) => map.thresholdsMoved()),
      shown: (name, shown) => {
        for (const map of [this, ...this.others]) map.showMarks(name, shown);
      },
      asked: () => {
        this.ask();
        for (const map of this.others) if (map.controls.pattern !== this.controls.pattern) map.follow(this.controls.chosen);
      },
      pictured: (form) => this.picture(form),
    });
    this.count = element("span");
    this.back = element("button", { type: "button", title: "Previous unsure place (N)", "aria-label": "Previous unsure place" }, "‹");
    this.on = element("button", { type: "button", title: "Next unsure place (n)", "aria-label": "Next unsure place" }, "›");
    this.text = element("div", {
      class: "text", tabindex: "0", role: "application", "aria-roledescription": "token map",
      "aria-label": "Token map. Left and right move by token, n to the next unsure place, Enter pins.",
    });
    this.tip = element("div", { class: "tip", role: "tooltip", popover: "manual" });
    this.panel = element("aside", { class: "pinned", "aria-label": "Pinned token" });
    this.status = element("div", { class: "status", role: "status", "aria-live": "polite" });
    const hint = element("p", { class: "hint" }, "Click a token to pin it. Keys: ", ...keys("← → ↑ ↓"), " move, ",
      ...keys("n N"), " next and previous unsure place, ", ...keys("Enter"), " pins, ", ...keys("Esc"), " unpins.");
    const seek = element("span", { class: "seek" }, this.back, this.count, this.on);
    this.root = element("div", { class: "candor" },
      ...this.controls.elements(seek), this.text, hint, this.panel, this.tip, this.status);
    this.listen();
    this.parent.append(this.root);
    living.add(this);
  }

  listen() {
    const { text } = this;
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
    text.onscroll = () => this.scrolled();
    const options = { capture: true, passive: true, signal: this.gone.signal };
    for (const target of [text, document]) target.addEventListener("scroll", () => this.moveTip(), options);
  }

  // --- what Python sends ---

  /** Take a frame, after those that came before it. */
  receive(data) {
    this.received = this.received.then(() => readFrame(data)).then((frame) => {
      if (!this.gone.signal.aborted) this.update(frame);
    }).catch((error) => console.error(error)); // and the next frame is read all the same
  }

  update(frame) {
    learn(frame.options.shared);
    const { base, before } = frame.meta;
    const old = this.view;
    if (base > 0 && !(old && old.tokens >= base && old.k === frame.meta.k && old.fingerprint(base) === before)) {
      this.send("gap", { at: Date.now() }); // a frame was lost on the way; Python then sends everything
      return;
    }
    if (old === null) this.build();
    const view = new View(frame, base > 0 ? old : null);
    const grew = old !== null && (base > 0 || view.continues(old));
    const follow = view.options.live && this.isAtEnd();
    this.view = this.controls.view = view;
    this.root.hidden = view.length === 0;
    if (old === null) this.recall();
    this.dress();
    const kept = grew ? view.cellsInCommon(old, base > 0 ? view.cellOf(base) : 0) : 0;
    this.drop(kept);
    this.controls.offer(view);
    this.add(kept);
    this.paint(kept === 0);
    this.countUnsure();
    this.validatePin();
    if (follow) this.text.scrollTop = this.text.scrollHeight;
    else if (!grew) this.text.scrollTop = 0;
    if (!view.options.whole) requestAnimationFrame(() => setTimeout(() => this.ask())); // once this is on the screen
  }

  // --- maps beside this one ---

  /** The others that are read side by side with it: what is chosen in one holds for all. */
  get others() {
    const { beside } = this.view.options;
    return beside ? [...living].filter((map) => map !== this && map.view?.options.beside === beside) : [];
  }

  /** Take up what was chosen in another. */
  follow(chosen) {
    this.controls.recall(chosen);
    this.controls.offer(this.view);
    this.coloursChanged();
    if (this.controls.missing) this.ask();
  }

  /** Take the others along, where it is the reader who scrolls. */
  scrolled() {
    const led = this.text.scrollTop === this.led;
    if (led || !this.root.matches(":hover, :focus-within")) return;
    this.led = null;
    for (const map of this.others) {
      lead(map, placeIn(this));
      map.led = map.text.scrollTop;
    }
  }

  isAtEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.text;
    return scrollHeight - scrollTop - clientHeight < FOLLOW;
  }

  /** What choices are kept under: of maps side by side, they are all maps'. */
  get name() {
    const { beside, key } = this.view.options;
    return beside || key;
  }

  /** Take up what the reader chose when this was last on the page. */
  recall() {
    const { key } = this.view.options;
    const chosen = choices.get(this.name) ?? remembered("sessionStorage", `candor.${this.name}`);
    this.controls.recall(chosen);
    this.retold = choices.get(key)?.retold ?? -Infinity;
    this.pin = choices.get(key)?.pin ?? null;
    for (const name of Object.keys(TOGGLES)) this.showMarks(name, Boolean(chosen[name]));
    // Streamlit forgets what a component said once its page is left. But a page that mounts the map anew in every run
    // must not be told in every run, as telling it is what makes it run.
    if (performance.now() - this.retold < 2000) return;
    const [ours, asks] = [this.pin && this.isOurs(this.pin), this.controls.missing];
    if (ours || asks) this.retold = performance.now();
    if (ours) this.tell();
    if (asks) this.ask();
  }

  keep() {
    const { key } = this.view.options;
    const shown = Object.fromEntries(Object.entries(this.controls.toggles).map(([name, input]) => [name, input.checked]));
    const chosen = { ...this.controls.chosen, ...shown };
    choices.set(key, { ...choices.get(key), pin: this.pin, retold: this.retold });
    choices.set(this.name, { ...choices.get(this.name), ...chosen });
    remember("sessionStorage", `candor.${this.name}`, chosen);
  }

  /** Follow the theme, and measure what depends on its font. */
  dress() {
    this.root.style.backgroundColor = "var(--st-background-color)";
    const [red, green, blue] = getComputedStyle(this.root).backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [255, 255, 255];
    this.root.style.backgroundColor = "";
    this.root.dataset.theme = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 110 ? "dark" : "light";
    this.root.toggleAttribute("data-live", this.view.options.live);
    this.measure();
  }

  /** Find out how wide a space is, for the dots that mark spaces, whenever the font is another. */
  async measure() {
    const { font } = getComputedStyle(this.text);
    if (font === this.font) return;
    this.font = font;
    await document.fonts.ready;
    const probe = element("span", { class: "status probe" }, " ".repeat(100));
    this.text.append(probe);
    const width = probe.getBoundingClientRect().width;
    probe.remove();
    if (width) this.root.style.setProperty("--space", `${width / 100}px`);
  }

  // --- the text ---

  /** Remove the cells from `first` on. */
  drop(first) {
    if (first === this.names.length) return;
    this.hideTip();
    if (this.at >= first) this.at = null;
    while (this.blocks.length && this.blocks.at(-1).first >= first) this.blocks.pop().element.remove();
    const last = this.blocks.at(-1);
    if (last && last.end > first) this.shorten(last, first);
    this.cells.length = this.classes.length = this.names.length = first;
  }

  shorten(block, end) {
    block.end = end;
    if (block.turn === null) block.element.textContent = this.plainText(block);
    else trim(block.element, end);
  }

  /** Add blocks for the cells from `first` on, as plain text: it can be read, searched and scrolled to at once. */
  add(first) {
    const { view } = this;
    this.names.length = view.length;
    let block = this.blocks.at(-1);
    for (let cell = first; cell < view.length; cell++) {
      if (!block || (cell - block.first >= BLOCK && view.begins(cell, "line"))) {
        block = { element: this.text.appendChild(element("div")), first: cell, end: cell, turn: null };
        this.blocks.push(block);
      }
      if (block.turn !== null) this.drawCell(block, cell);
      block.end = cell + 1;
    }
    for (const each of this.blocks) {
      if (each.end <= first) continue;
      estimate(each.element, each.end - each.first);
      if (each.turn === null) each.element.textContent = this.plainText(each);
    }
  }

  plainText({ first, end }) {
    return this.view.texts.slice(first, end).join("");
  }

  drawCell({ element: parent }, cell) {
    const text = this.view.texts[cell];
    const label = this.label(cell);
    if (label) parent.append(element("b", { "data-label": label, class: this.endsLine(cell - 1) ? "start" : "" }));
    const drawn = document.createElement("i");
    this.classes[cell] = classesOf(this.view.kind(cell), text);
    drawn.className = this.names[cell] = this.nameOf(cell);
    drawn.cell = cell;
    fill(drawn, text);
    this.cells[cell] = drawn;
    parent.append(drawn);
  }

  /** The element of a cell; there is one, or none yet, or there will never be one. */
  element(cell) {
    if (cell === null || cell < 0 || cell >= this.view.length) return undefined;
    if (!this.cells[cell]) this.paintBlock(this.blockOf(cell));
    return this.cells[cell];
  }

  blockOf(cell) {
    let [low, high] = [0, this.blocks.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.blocks[middle].first <= cell) low = middle;
      else high = middle;
    }
    return this.blocks[low];
  }

  endsLine(cell) {
    return cell < 0 || this.view.texts[cell].endsWith("\n");
  }

  /** The name of the part that begins with a cell, or null where none begins. */
  label(cell) {
    const part = this.part(cell);
    return cell > 0 && this.part(cell - 1) === part ? null : part;
  }

  part(cell) {
    if (cell < this.view.boundary) return "prompt";
    // Markers belong to what they open.
    const last = Math.min(cell + LONGEST_HEADER, this.view.length - 1);
    while (cell < last && this.view.kind(cell) === Kind.SPECIAL) cell++;
    return this.view.kind(cell) === Kind.REASONING ? "reasoning" : "answer";
  }

  copy(event) {
    const copied = this.selected();
    if (!copied) return;
    event.clipboardData.setData("text/plain", copied.toString());
    event.preventDefault();
  }

  showMarks(name, shown) {
    this.controls.toggles[name].checked = shown;
    this.root.toggleAttribute(`data-${name}`, shown);
    this.keep();
    this.measure();
  }

  // --- colours ---

  /** The colour of a cell, which is that of its group. */
  colour(cell) {
    const { groups, metric, colours } = this.controls;
    const { of } = groups;
    return colours[groups.steps[metric][of ? of[cell] : cell]];
  }

  /** The classes of a cell; one that goes on a group that the cell before belongs to joins it. */
  nameOf(cell) {
    const { of } = this.controls.groups;
    const joins = of && cell > 0 && of[cell] === of[cell - 1] && cell !== this.view.boundary;
    return `${this.classes[cell]}${joins ? "j " : ""}${stepName(this.colour(cell))}`;
  }

  /**
   * Draw all cells with their present colours: those in sight at once, and of many the others bit by bit.
   * @param {boolean} fresh nothing was there before, so that what is in sight is the beginning
   */
  paint(fresh = false) {
    const turn = (this.turn = {});
    this.root.toggleAttribute("data-grouped", this.controls.grouping !== "token");
    const [first, last] = this.view.length <= AT_ONCE ? [0, this.blocks.length] : fresh ? this.firstInSight() : this.inSight();
    for (let block = first; block < last; block++) this.paintBlock(this.blocks[block]);
    const later = [...this.blocks.slice(last), ...this.blocks.slice(0, first)];
    const more = () => {
      const until = performance.now() + SLICE;
      while (later.length && this.turn === turn && performance.now() < until) this.paintBlock(later.shift());
      if (later.length && this.turn === turn && !this.gone.signal.aborted) setTimeout(more);
    };
    if (later.length) requestAnimationFrame(() => setTimeout(more)); // once what is in sight is on the screen
  }

  /** The blocks, from one to before another, that a screen can show; as a guess, since layout would take long. */
  firstInSight() {
    const cells = (window.innerWidth * window.innerHeight) / ROOM;
    const last = this.blocks.findIndex(({ end }) => end > cells);
    return [0, last < 0 ? this.blocks.length : last + 1];
  }

  /** The blocks that are in sight, or nearly. */
  inSight() {
    const { top, bottom } = this.text.getBoundingClientRect();
    const near = ({ element: each }) => {
      const box = each.getBoundingClientRect();
      return box.bottom > top - 100 && box.top < bottom + 100;
    };
    const first = Math.max(0, this.blocks.findIndex(near));
    const beyond = this.blocks.findIndex((block, i) => i > first && !near(block));
    return [first, beyond < 0 ? this.blocks.length : beyond];
  }

  paintBlock(block) {
    if (block.turn === this.turn) return;
    const undrawn = block.turn === null;
    block.turn = this.turn;
    if (undrawn) block.element.replaceChildren();
    for (let cell = block.first; cell < block.end; cell++) {
      if (undrawn) this.drawCell(block, cell);
      else this.repaint(cell);
    }
  }

  repaint(cell) {
    const name = this.nameOf(cell);
    if (this.names[cell] !== name) this.cells[cell].className = this.names[cell] = name;
  }

  /** Another metric, or another grouping. */
  coloursChanged() {
    this.hideTip();
    this.showPinned();
    this.keep();
    this.paint();
    this.countUnsure();
    this.status.textContent = "";
  }

  thresholdsMoved() {
    if (!this.view) return;
    this.controls.show();
    this.coloursChanged();
  }

  /** Tell Python what the reader wants to group by. */
  ask() {
    this.keep();
    const { wantedGrouping: grouping, pattern } = this.controls;
    this.send("asked", { grouping, pattern, whole: this.view.fingerprint(this.view.tokens) });
  }

  isUnsure(group) {
    const { groups, metric, colours } = this.controls;
    const colour = colours[groups.steps[metric][group]];
    return colour >= shared.unsure && colour < shared.colours;
  }

  countUnsure() {
    const { groups, scale } = this.controls;
    let [read, written] = [0, 0];
    for (let group = 0; group < groups.length; group++) {
      if (!this.isUnsure(group)) continue;
      if (groups.start(group) < this.view.boundary) read++;
      else written++;
    }
    const answer = this.view.boundary < this.view.length;
    const more = answer && read ? ` + ${read.toLocaleString("en")} in the prompt` : "";
    this.count.textContent = `${(answer ? written : read).toLocaleString("en")} unsure${more}`;
    const limit = scale.words[edgesOf(scale)[shared.unsure - 1]];
    this.count.title = `${scale.label} ${scale.rising ? "above" : "below"} ${withUnit(scale, limit)}.`;
    this.back.disabled = this.on.disabled = read + written === 0;
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
    this.markGroup(null);
    this.tip.removeAttribute("data-shown");
    if (this.tip.matches(":popover-open")) this.tip.hidePopover();
  }

  /** Show what is known of a cell beside the line of it that is at height `y`, or its first. */
  showTip(cell, y, lines = [...this.element(cell).getClientRects()]) {
    this.beside = Math.max(0, lines.findIndex((rect) => rect.top <= y && y <= rect.bottom));
    this.described = cell;
    this.markGroup(cell);
    this.tip.replaceChildren(...details(this.view, cell, this.controls.grouping, this.controls.scale));
    this.tip.setAttribute("data-shown", "");
    if (this.tip.showPopover && !this.tip.matches(":popover-open")) this.tip.showPopover();
    this.placeTip(lines[this.beside]);
  }

  /** Mark the group that a cell belongs to, if cells are grouped. */
  markGroup(cell) {
    for (const each of this.within) each.removeAttribute("data-within");
    this.within = [];
    if (cell === null || this.controls.grouping === "token") return;
    const { groups } = this.controls;
    const group = groups.group(cell);
    for (let each = groups.start(group); each < groups.end(group); each++) this.within.push(this.element(each));
    for (const each of this.within) each.setAttribute("data-within", "");
  }

  /** Keep the tooltip beside its cell while something scrolls. */
  moveTip() {
    if (this.described === null) return;
    const line = this.element(this.described)?.getClientRects()[this.beside];
    const text = this.text.getBoundingClientRect();
    if (line && line.bottom > text.top && line.top < text.bottom) this.placeTip(line);
    else this.hideTip();
  }

  /** Put the tooltip below a line, or above where there is more room. Nothing is measured: that would cost a layout. */
  placeTip(line) {
    const { innerWidth: width, innerHeight: height } = window;
    const { style } = this.tip;
    const room = height - line.bottom - 2 * GAP;
    const below = room >= ENOUGH || room >= line.top - 2 * GAP;
    style.left = `${Math.max(GAP, Math.min(line.left, width - TIP_WIDTH - 2 * GAP))}px`;
    style.top = below ? `${Math.max(GAP, line.bottom + GAP)}px` : "auto";
    style.bottom = below ? "auto" : `${height - line.top + GAP}px`;
    style.maxHeight = `${below ? room : line.top - 2 * GAP}px`;
  }

  // --- pinning ---

  clicked(event) {
    const cell = event.target.closest("i")?.cell;
    const [x, y] = this.pressed ?? [event.clientX, event.clientY];
    const dragged = Math.hypot(event.clientX - x, event.clientY - y) > 4; // the reader selected text
    if (cell === undefined || dragged) return;
    this.moveTo(cell);
    this.toggle(cell);
    if (event.pointerType === "touch") this.touched(cell, event.clientY); // a finger does not hover
  }

  /** Show what is known of a cell that was pinned by touch, and the cell beside it; hide it with the pin. */
  touched(cell, y) {
    if (this.pinned === null) {
      this.hideTip();
      return;
    }
    this.showTip(cell, y);
    const [line, sheet] = [this.element(cell).getBoundingClientRect(), this.tip.getBoundingClientRect()];
    if (line.bottom > sheet.top && line.top < sheet.bottom) this.element(cell).scrollIntoView({ block: "center" });
  }

  toggle(cell) {
    const tokens = this.view.tokens;
    this.pin = cell === this.pinned ? null : { cell, tokens, fingerprint: this.view.fingerprint(tokens) };
    this.validatePin();
    this.tell();
  }

  tell() {
    this.keep();
    this.send("pinned", this.pin);
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
    this.element(this.pinned)?.removeAttribute("data-pin");
    this.pinned = this.pin && this.isOurs(this.pin) ? this.pin.cell : null;
    this.element(this.pinned)?.setAttribute("data-pin", "");
    this.showPinned();
  }

  /** In a file there is no page around the map that shows what is pinned. */
  showPinned() {
    if (!this.view.options.file) return;
    const { grouping, scale } = this.controls;
    this.panel.replaceChildren(...(this.pinned === null ? [] : details(this.view, this.pinned, grouping, scale)));
  }

  // --- pictures ---

  /** Save a passage as "png" or "svg". */
  async picture(form) {
    this.hideTip();
    const passage = this.passage();
    const cells = passage.map((cell) => this.element(cell));
    const found = layOut(this.root, cells, this.paragraphBefore(passage[0]), this.controls.scale);
    save(form === "svg" ? asSvg(found) : await asPng(found), `candor.${form}`);
    this.status.textContent = found.cut ? "The passage was too long: the picture shows its beginning." : "Saved as a picture.";
    this.controls.explanation.textContent = this.status.textContent;
  }

  /** The cells of a picture: those of the selection, or of the group or line of the pinned one, or those in sight. */
  passage() {
    const { groups, grouping } = this.controls;
    const range = this.selected();
    const own = this.pinned ?? this.at;
    let [first, last] = [0, this.view.length - 1];
    if (range && !range.collapsed) {
      const within = [...this.text.querySelectorAll("i")].filter((each) => range.intersectsNode(each) && each.cell !== undefined);
      [first, last] = [within[0]?.cell ?? 0, within.at(-1)?.cell ?? last];
    } else if (own !== null && grouping !== "token") {
      const group = groups.group(own);
      [first, last] = [groups.start(group), groups.end(group) - 1];
    } else if (own !== null) {
      const lines = this.view.groups.line;
      if (lines) [first, last] = [lines.start(lines.group(own)), lines.end(lines.group(own)) - 1];
    } else {
      const [from, to] = this.inSight();
      [first, last] = [this.blocks[from].first, this.blocks[to - 1].end - 1];
    }
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  }

  /** The text from the beginning of a cell's paragraph up to that cell. */
  paragraphBefore(cell) {
    let first = cell;
    while (!this.endsLine(first - 1)) first--;
    return this.view.texts.slice(first, cell).join("");
  }

  /** What of the text is selected, as a range; undefined where nothing is. */
  selected() {
    const [root, selection] = [this.root.getRootNode(), document.getSelection()];
    const own = root.getSelection?.();
    const range = selection.getComposedRanges?.({ shadowRoots: [root] })[0] ?? (own?.rangeCount ? own.getRangeAt(0) : undefined);
    if (!range || !this.text.contains(range.startContainer)) return undefined;
    const found = document.createRange();
    found.setStart(range.startContainer, range.startOffset);
    found.setEnd(range.endContainer, range.endOffset);
    return found;
  }

  // --- the keyboard ---

  focused() {
    if (!this.view?.length || !this.text.matches(":focus-visible")) return;
    this.root.setAttribute("data-keys", "");
    this.visit(this.at ?? this.pinned ?? 0);
  }

  pressedKey(event) {
    if (event.altKey || event.metaKey || !this.view?.length) return;
    const last = this.view.length - 1;
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
    this.element(this.at)?.removeAttribute("data-at");
    this.at = cell;
    this.element(cell).setAttribute("data-at", "");
    this.column = null;
  }

  /** Go to a cell: bring it into view, show its details, say what it is. */
  visit(cell) {
    // Where things are is read before anything is changed, as after that it would have to be worked out anew.
    let lines = [...this.element(cell).getClientRects()];
    const text = this.text.getBoundingClientRect();
    if (!lines.length || lines[0].top < Math.max(text.top, 0) || lines.at(-1).bottom > Math.min(text.bottom, innerHeight)) {
      this.element(cell).scrollIntoView({ block: "nearest", inline: "nearest" });
      lines = [...this.element(cell).getClientRects()];
    }
    this.moveTo(cell);
    this.showTip(cell, undefined, lines);
    this.status.textContent = spoken(this.view, cell, this.controls.grouping, this.controls.scale, this.colour(cell));
  }

  /** Go a visual line up or down, to the cell nearest to where the way began. */
  visitLine(way) {
    const at = this.at ?? 0;
    const column = this.column ?? middle(this.rect(at)).x;
    const there = this.endOfLine(at, way) + way;
    if (!this.element(there)) return;
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
    for (; this.element(cell); cell += way) {
      if (Math.abs(middle(this.rect(cell)).y - y) > 0.6 * height) return;
      yield cell;
    }
  }

  rect(cell) {
    return this.element(cell).getClientRects()[0] ?? this.element(cell).getBoundingClientRect();
  }

  /** Go to the next unsure group, around the end if need be. */
  seek(way) {
    const { groups } = this.controls;
    const count = groups.length;
    const from = this.at === null ? (way > 0 ? -1 : count) : groups.group(this.at);
    for (let passed = 1; passed <= count; passed++) {
      const group = (((from + way * passed) % count) + count) % count;
      if (this.isUnsure(group)) {
        this.root.setAttribute("data-keys", "");
        this.text.focus({ preventScroll: true });
        return this.visit(groups.start(group));
      }
    }
  }
}

function keys(names) {
  return names.split(" ").flatMap((name, i) => [i ? " " : "", element("kbd", {}, name)]);
}

function middle({ left, top, width, height }) {
  return { x: left + width / 2, y: top + height / 2, height };
}
