/**
 * The token map in the browser. Python works out every number, every step and every group; this draws them.
 *
 * Token text is hostile: it only ever becomes a text node.
 */

import { learn, shared } from "./shared.js";
import { View, readFrame } from "./frame.js";
import { edgesOf, remember, remembered, withUnit } from "./colours.js";
import { element, excerpt } from "./words.js";
import { Controls, TOGGLES } from "./controls.js";
import { FlagPanel } from "./flag_panel.js";
import { Blocks } from "./blocks.js";
import { Tip } from "./tip.js";
import { Pin } from "./pin.js";
import { Keyboard, isUnsure } from "./keyboard.js";
import { passage, selected } from "./passage.js";
import { lead, placeIn } from "./beside.js";
import { asPng, asSvg, layOut, save } from "./picture.js";

const LABEL = "Token map. Left and right move by token";
const FOLLOW = 32; // pixels from the end within which the reader counts as being there

/** One map per shadow root. @type {WeakMap<Node, TokenMap>} */
const maps = new WeakMap();
/** @type {Set<TokenMap>} */
const living = new Set();

/** What the reader chose, by the map's key: outlives the elements, as pages come and go. */
const choices = new Map();

/**
 * Called by Streamlit whenever the data or the theme changed.
 * Feed: what fetches growing answers; null where there are none, as on an exported page.
 */
export default function draw({ data, parentElement, setStateValue }, Feed = null) {
  if (!maps.has(parentElement)) maps.set(parentElement, new TokenMap(parentElement, Feed));
  const map = maps.get(parentElement);
  map.send = setStateValue;
  map.receive(data);
  return () => {
    // Streamlit also calls this for data that newer data overtook, while the map stays on the page.
    if (parentElement.isConnected) return;
    map.remove();
    maps.delete(parentElement);
  };
}

export class TokenMap {
  /** @param {ShadowRoot} parent @param {typeof import("./feed.js").Feed | null} Feed */
  constructor(parent, Feed = null) {
    this.Feed = Feed;
    /** Tells Python. @type {(name: string, value: unknown) => void} */
    this.send = () => {};
    this.view = null;
    this.led = null; // where another map has scrolled this one to
    this.parent = parent;
    this.received = Promise.resolve();
    this.feed = null; // where the rest of a growing answer comes from
    this.progress = element("div", { class: "progress", hidden: "" });
    parent.append(this.progress);
    this.gone = new AbortController();
  }

  remove() {
    living.delete(this);
    this.feed?.stop();
    this.gone.abort();
    this.progress.remove();
    this.root?.remove();
  }

  /** Create every element, once it is known what there is to choose. */
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
    this.flags = new FlagPanel({
      moved: () => this.flagsMoved(),
      settled: () => this.tellThreshold(),
      opened: (cell) => this.open(cell),
      told: (text) => (this.status.textContent = text),
    });
    this.count = element("span");
    this.back = element("button", { type: "button", title: "Previous unsure place (N)", "aria-label": "Previous unsure place" }, "‹");
    this.on = element("button", { type: "button", title: "Next unsure place (n)", "aria-label": "Next unsure place" }, "›");
    this.text = element("div", {
      class: "text", tabindex: "0", role: "application", "aria-roledescription": "token map",
      "aria-label": LABEL,
    });
    this.opener = element("button", { type: "button", class: "fold", hidden: "", "aria-expanded": "false", title: "Show the prompt" });
    this.text.append(this.opener);
    this.blocks = new Blocks(this.text, this.controls, this.gone.signal);
    this.tip = new Tip(this.text, this.blocks, this.controls);
    this.pin = new Pin(this.blocks, this.controls, () => this.pinned());
    this.keyboard = new Keyboard(this);
    this.status = element("div", { class: "status", role: "status", "aria-live": "polite" });
    const hint = element("p", { class: "hint" }, "Click a token to pin it. Keys: ", ...keys("← → ↑ ↓"), " move, ",
      ...keys("n N"), " next and previous unsure place, ",
      element("span", { class: "of-flags" }, ...keys("f F"), " next and previous flag, "),
      ...keys("Enter"), " pins, ", ...keys("Esc"), " unpins.");
    const seek = element("span", { class: "seek" }, this.back, this.count, this.on);
    const reading = element("div", { class: "reading" }, element("div", {}, this.text, hint), this.flags.list);
    this.root = element("div", { class: "candor" },
      ...this.controls.elements(seek), this.flags.bar, reading, this.pin.panel, this.tip.element, this.status);
    this.flags.bar.append(this.controls.labels.plain);
    this.listen();
    this.parent.append(this.root);
    living.add(this);
  }

  listen() {
    const { text, tip, keyboard } = this;
    this.back.onclick = () => keyboard.seek(-1);
    this.on.onclick = () => keyboard.seek(+1);
    this.opener.onclick = () => this.controls.heard.shown("fold", !this.controls.toggles.fold.checked);
    text.onpointerover = (event) => tip.hover(event);
    text.onpointerleave = () => tip.hide();
    text.onpointerdown = (event) => {
      this.pressed = [event.clientX, event.clientY];
      this.root.removeAttribute("data-keys");
    };
    text.onclick = (event) => this.clicked(event);
    text.onkeydown = (event) => keyboard.pressed(event);
    text.onfocus = () => keyboard.focused();
    text.onblur = () => tip.hide();
    text.oncopy = (event) => this.copy(event);
    text.onscroll = () => this.scrolled();
    const options = { capture: true, passive: true, signal: this.gone.signal };
    for (const target of [text, document]) target.addEventListener("scroll", () => tip.follow(), options);
  }

  // --- what Python sends ---

  /** Take a frame, after those that came before it. */
  receive(data) {
    this.received = this.received.then(() => readFrame(data)).then((frame) => {
      if (!this.gone.signal.aborted) this.take(frame);
    }).catch((error) => console.error(error)); // and the next frame is read all the same
  }

  /** A whole text, or where to fetch one that grows. */
  take(frame) {
    const { feed } = frame.options;
    if (feed && feed === this.feed?.key) return; // the page was drawn again
    this.feed?.stop();
    this.feed = feed ? new this.Feed(feed, frame.options, this) : null;
    this.progress.hidden = !feed;
    if (feed) this.progress.textContent = "Starting";
    if (feed && this.root) this.root.hidden = true; // the answer before this one
    if (!feed) this.update(frame);
  }

  /** What a growing answer is doing. */
  tellProgress(status) {
    if (this.progress.textContent !== status) this.progress.textContent = status;
  }

  update(frame) {
    learn(frame.options.shared);
    const { base } = frame.meta;
    const old = this.view;
    if (old === null) this.build();
    const view = new View(frame, base > 0 ? old : null);
    const grew = old !== null && (base > 0 || view.continues(old));
    const follow = view.options.live && this.isAtEnd();
    this.view = this.controls.view = this.blocks.view = view;
    this.root.hidden = view.length === 0;
    this.flags.offer(frame, view, grew && view.length === old.length);
    if (old === null) this.recall();
    this.showFlags();
    this.dress();
    this.foldPrompt();
    const kept = grew ? view.cellsInCommon(old, base > 0 ? view.cellOf(base) : 0) : 0;
    this.drop(kept);
    this.controls.offer(view);
    this.blocks.add(kept);
    this.paint(kept === 0);
    this.countUnsure();
    this.pin.validate();
    if (follow) this.text.scrollTop = this.text.scrollHeight;
    else if (!grew) this.text.scrollTop = 0;
    if (!view.options.whole) requestAnimationFrame(() => setTimeout(() => this.ask())); // once this is on the screen
  }

  /** Remove the cells from `first` on. */
  drop(first) {
    if (first === this.blocks.names.length) return;
    this.tip.hide();
    if (this.keyboard.at >= first) this.keyboard.at = null;
    this.blocks.drop(first);
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

  /** Take the others along when it is the reader who scrolls. */
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

  // --- what the reader chose ---

  /** What choices are stored under: maps side by side share theirs. */
  get name() {
    const { beside, key } = this.view.options;
    return beside || key;
  }

  /** Take up what the reader chose when this was last on the page. */
  recall() {
    const { key, shown } = this.view.options;
    const chosen = choices.get(this.name) ?? remembered("sessionStorage", `candor.${this.name}`);
    this.controls.recall(chosen);
    this.flags.recall(chosen.flags);
    this.retold = choices.get(key)?.retold ?? -Infinity;
    this.pin.told = choices.get(key)?.pin ?? null;
    for (const name of Object.keys(TOGGLES)) this.showMarks(name, Boolean(chosen[name] ?? shown?.includes(name)));
    // Streamlit forgets what a component said once its page is left. But a page that mounts the map again in every run
    // must not be told in every run, as telling it is what makes it run.
    if (performance.now() - this.retold < 2000) return;
    const [ours, asks, moved] = [this.pin.isOurs, this.controls.missing, this.flags.isMoved];
    if (ours || asks || moved) this.retold = performance.now();
    if (ours) this.tell();
    if (asks) this.ask();
    if (moved) this.tellThreshold();
  }

  keep() {
    const { key } = this.view.options;
    const shown = Object.fromEntries(Object.entries(this.controls.toggles).map(([name, input]) => [name, input.checked]));
    const chosen = { ...this.controls.chosen, ...shown, flags: this.flags.chosen };
    choices.set(key, { ...choices.get(key), pin: this.pin.told, retold: this.retold });
    choices.set(this.name, { ...choices.get(this.name), ...chosen });
    remember("sessionStorage", `candor.${this.name}`, chosen);
  }

  /** Tell Python what is pinned. */
  tell() {
    this.keep();
    this.send("pinned", this.pin.told);
  }

  /** Tell Python the score that the reader wants flags from. */
  tellThreshold() {
    this.keep();
    this.send("threshold", this.flags.wanted);
  }

  /** Tell Python what the reader wants to group by. */
  ask() {
    this.keep();
    const { wantedGrouping: grouping, pattern } = this.controls;
    this.send("asked", { grouping, pattern, whole: this.view.fingerprint(this.view.tokens) });
  }

  showMarks(name, shown) {
    this.controls.toggles[name].checked = shown;
    this.root.toggleAttribute(`data-${name}`, shown);
    if (name === "fold") this.foldPrompt();
    this.keep();
    this.measure();
  }

  /** Fold the prompt to a line, if there is an answer to read instead; or open it. */
  foldPrompt() {
    const { view } = this;
    const { boundary } = view;
    const possible = boundary > 0 && boundary < view.length;
    const folded = possible && this.controls.toggles.fold.checked;
    this.opener.hidden = !folded;
    if (folded && !(view.options.live && this.blocks.folded)) {
      this.opener.textContent = `Prompt, ${excerpt(view.ownText(boundary))}`;
    }
    if (folded === this.blocks.folded) return;
    this.root.toggleAttribute("data-folded", folded);
    this.tip.hide();
    this.blocks.fold(folded);
  }

  // --- colours and fonts ---

  /** Follow the theme, and measure what depends on its font. */
  dress() {
    this.root.style.backgroundColor = "var(--st-background-color)";
    const [red, green, blue] = getComputedStyle(this.root).backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [255, 255, 255];
    this.root.style.backgroundColor = "";
    this.root.dataset.theme = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 110 ? "dark" : "light";
    this.root.toggleAttribute("data-live", this.view.options.live);
    this.measure();
  }

  /** Measure how wide a space is, for the dots that mark spaces, whenever the font changes. */
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

  /** Another metric, or another grouping. */
  coloursChanged() {
    this.tip.hide();
    this.pin.show();
    this.keep();
    this.paint();
    this.countUnsure();
    this.status.textContent = "";
  }

  paint(fresh = false) {
    this.root.toggleAttribute("data-grouped", this.controls.grouping !== "token");
    this.blocks.paint(fresh);
  }

  thresholdsMoved() {
    if (!this.view) return;
    this.controls.show();
    this.coloursChanged();
  }

  countUnsure() {
    const { groups, scale } = this.controls;
    let [inPrompt, inAnswer] = [0, 0];
    for (let group = 0; group < groups.length; group++) {
      if (!isUnsure(this.controls, group)) continue;
      if (groups.start(group) < this.view.boundary) inPrompt++;
      else inAnswer++;
    }
    const answer = this.view.boundary < this.view.length;
    const more = answer && inPrompt ? ` + ${inPrompt.toLocaleString("en")} in the prompt` : "";
    this.count.textContent = `${(answer ? inAnswer : inPrompt).toLocaleString("en")} unsure${more}`;
    const limit = scale.words[edgesOf(scale)[shared.unsure - 1]];
    this.count.title = `${scale.label} ${scale.rising ? "above" : "below"} ${withUnit(scale, limit)}.`;
    this.back.disabled = this.on.disabled = inPrompt + inAnswer === 0;
  }

  // --- flags ---

  /** Show the flags of the text, if it has any. They are drawn when the text is. */
  showFlags() {
    const { terms } = this.flags;
    this.root.toggleAttribute("data-flags", terms !== null);
    this.text.setAttribute("aria-label", `${LABEL}, n to the next unsure place, ${terms ? "f to the next flag, " : ""}Enter pins.`);
    this.flags.show();
    this.blocks.marks = this.flags.marks;
  }

  /** Another threshold, or another order of the list. */
  flagsMoved() {
    this.blocks.marks = this.flags.marks;
    this.paint();
    this.keep();
  }

  /** Pin the first cell of a passage, and bring it into sight. */
  open(cell) {
    this.tip.hide();
    this.reveal(cell);
    this.keyboard.moveTo(cell);
    if (this.pin.cell === cell) this.flags.choose(cell);
    else this.pin.toggle(cell);
  }

  /** Scroll to a cell, with the lines before it in sight as well. */
  reveal(cell) {
    const { text } = this;
    const drawn = this.blocks.element(cell);
    const [line, box] = [drawn.getBoundingClientRect(), text.getBoundingClientRect()];
    if (line.top < box.top || line.bottom > box.bottom) text.scrollTop += line.top - box.top - text.clientHeight / 3;
    drawn.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  // --- clicks, copies and pictures ---

  /** A cell was pinned or unpinned. */
  pinned() {
    this.flags.choose(this.pin.cell);
    this.tell();
  }

  clicked(event) {
    const cell = event.target.closest("i")?.cell;
    const [x, y] = this.pressed ?? [event.clientX, event.clientY];
    const dragged = Math.hypot(event.clientX - x, event.clientY - y) > 4; // the reader selected text
    if (cell === undefined || dragged) return;
    this.keyboard.moveTo(cell);
    this.pin.toggle(cell);
    if (event.pointerType === "touch") this.touched(cell, event.clientY); // a finger does not hover
  }

  /** Show what is known of a cell that was pinned by touch, with the cell in sight; hide it with the pin. */
  touched(cell, y) {
    if (this.pin.cell === null) {
      this.tip.hide();
      return;
    }
    this.tip.show(cell, y);
    const drawn = this.blocks.element(cell);
    const [line, sheet] = [drawn.getBoundingClientRect(), this.tip.element.getBoundingClientRect()];
    if (line.bottom > sheet.top && line.top < sheet.bottom) drawn.scrollIntoView({ block: "center" });
  }

  copy(event) {
    const copied = selected(this.root, this.text);
    if (!copied) return;
    event.clipboardData.setData("text/plain", copied.toString());
    event.preventDefault();
  }

  /** Save a passage as "png" or "svg". */
  async picture(form) {
    this.tip.hide();
    const cells = passage(this.root, this.blocks, this.controls, this.pin.cell ?? this.keyboard.at);
    const drawn = cells.map((cell) => this.blocks.element(cell));
    const found = layOut(this.root, drawn, this.blocks.paragraphBefore(cells[0]), this.controls.scale);
    save(form === "svg" ? asSvg(found) : await asPng(found), `candor.${form}`);
    this.status.textContent = found.cut ? "The passage was too long: the picture shows its beginning." : "Saved as a picture.";
    this.controls.explanation.textContent = this.status.textContent;
  }
}

function keys(names) {
  return names.split(" ").flatMap((name, i) => [i ? " " : "", element("kbd", {}, name)]);
}
