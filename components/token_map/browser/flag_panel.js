// The threshold of the flags, and the list of what is flagged. Both follow the reader without a message to Python.

import { Terms, SEVERITIES, SUDDEN, amount, bySeverity, passageAt } from "./flags.js";
import { FlagEntries } from "./flag_entries.js";
import { count, element } from "./words.js";

const ORDERS = { reading: "Reading order", severity: "Severity" };

export class FlagPanel {
  /**
   * @param {{moved: () => void, settled: () => void, opened: (cell: number) => void, told: (text: string) => void}} heard
   *   after the threshold moved, after the reader let go of it, after an entry was chosen; and what a screen reader says
   */
  constructor(heard) {
    this.heard = heard;
    /** @type {Terms | null} */
    this.terms = null; // null: this text has no flags
    this.about = ""; // what tells these flags from others
    this.wanted = null; // the reader's threshold: {value, scale}
    this.order = "reading";
    this.at = null; // the cell whose passage is highlighted in the list
    this.passages = [];
    this.marks = new Uint8Array(0); // per cell
    this.build();
  }

  build() {
    this.slider = element("input", { type: "range", "aria-label": "Flag from" });
    this.value = element("output");
    this.presets = element("span", { class: "presets", role: "group", "aria-label": "How much to flag" });
    this.count = element("strong");
    this.bar = element("div", { class: "flags", hidden: "", role: "group", "aria-label": "Flags" },
      element("label", { class: "from" }, element("span", {}, "Flag from"), this.slider, this.value), this.presets, this.count);
    const buttons = Object.entries(ORDERS).map(([name, label]) => element("button", { type: "button", role: "radio", value: name }, label));
    this.orders = element("div", { class: "order", role: "radiogroup", "aria-label": "Order of the list" }, ...buttons);
    this.entries = new FlagEntries((passage) => this.heard.opened(passage.first));
    this.note = element("p", { class: "note" });
    this.list = element("aside", { class: "flagged", hidden: "", "aria-label": "Flagged passages" },
      this.orders, this.entries.element, this.note);
    this.slider.oninput = () => this.move(Number(this.slider.value));
    this.slider.onchange = () => this.heard.settled();
    this.presets.onclick = (event) => this.preset(event.target.closest("button"));
    this.orders.onclick = (event) => this.sort(event.target.closest("button"));
    this.orders.onkeydown = (event) => this.sortByKey(event);
  }

  // --- what Python sends, and what the reader chose ---

  /** Take the flags of a frame. same: the text is that of the frame before, so that the same flags need no work. */
  offer(frame, view, same) {
    const about = frame.options.flags?.join() ?? "";
    if (same && about === this.about) return;
    this.about = about;
    this.terms = frame.flags ? new Terms(frame.flags, view) : null;
    this.entries.forget();
    this.bar.hidden = this.list.hidden = !this.terms;
    if (this.terms) this.buildPresets();
  }

  buildPresets() {
    const { meta, slider } = this.terms;
    this.slider.min = slider.least;
    this.slider.max = slider.most;
    this.slider.step = slider.step;
    this.presets.replaceChildren(...meta.presets.map(([name, value]) =>
      element("button", { type: "button", value: String(value), title: `From ${this.withUnit(value)}` }, name)));
  }

  get threshold() {
    const { threshold } = this.terms.meta;
    return this.isMoved ? this.wanted.value : threshold;
  }

  /** Whether the reader's threshold, not Python's, is in use. One that was chosen on another scale means nothing here. */
  get isMoved() {
    return this.wanted !== null && this.wanted.scale === this.terms?.meta.scale;
  }

  /** Take up earlier choices. They come from storage, so they may be anything. */
  recall(chosen) {
    const { value, scale, order } = chosen ?? {};
    this.wanted = Number.isFinite(value) && Number.isInteger(scale) ? { value, scale } : null;
    this.order = Object.hasOwn(ORDERS, order) ? order : "reading";
  }

  get chosen() {
    return { ...this.wanted, order: this.order };
  }

  // --- the threshold ---

  move(value) {
    this.wanted = { value, scale: this.terms.meta.scale };
    this.show();
    this.heard.moved();
  }

  preset(button) {
    if (!button) return;
    this.move(Number(button.value));
    this.heard.told(this.count.textContent);
    this.heard.settled();
  }

  /** Work out what is flagged, and show it beside the text. */
  show() {
    const { terms } = this;
    this.passages = terms?.passages(this.threshold) ?? [];
    this.marks = terms?.marks(this.passages) ?? new Uint8Array(0);
    if (!terms) return;
    const words = this.withUnit(this.threshold);
    this.slider.value = this.threshold;
    this.value.textContent = words;
    this.count.textContent = `${count(this.passages.length, "passage")} flagged`;
    this.slider.setAttribute("aria-valuetext", `${words}, ${this.count.textContent}`);
    for (const button of this.presets.children) button.setAttribute("aria-pressed", Number(button.value) === this.threshold);
    this.showList();
  }

  withUnit(value) {
    return `${amount(value)} ${this.terms.meta.unit}`;
  }

  // --- the list ---

  showList() {
    const { terms, passages, order } = this;
    for (const button of this.orders.children) {
      button.setAttribute("aria-checked", button.value === order);
      button.tabIndex = button.value === order ? 0 : -1;
    }
    this.entries.show(terms, order === "severity" ? bySeverity(passages) : passages);
    this.entries.highlight(passageAt(passages, this.at));
    this.note.textContent = [this.entries.left(), this.without()].filter(Boolean).join(" ");
  }

  /** What else there is to say of the list. */
  without() {
    const { terms, passages } = this;
    if (!terms.length) return "There is nothing to flag in this answer.";
    const { unscored } = terms;
    const none = passages.length ? "" : `Nothing reaches ${this.withUnit(this.threshold)}.`;
    return unscored ? `${none} ${count(unscored, "term has", "terms have")} no score.`.trim() : none;
  }

  sort(button) {
    if (!button) return;
    this.order = button.value;
    this.showList();
    this.entries.element.scrollTop = 0;
    this.heard.moved();
  }

  sortByKey(event) {
    if (!/^Arrow/.test(event.key)) return;
    event.preventDefault();
    const other = [...this.orders.children].find((each) => each.value !== this.order);
    other.focus();
    this.sort(other);
  }

  // --- the text and the list ---

  /** Highlight the entry of the passage that a cell is in; none if it is in none. */
  choose(cell) {
    this.at = cell;
    const passage = cell === null ? undefined : passageAt(this.passages, cell);
    this.entries.highlight(passage);
    if (passage) this.entries.reveal();
  }

  /** The first cell of the next passage from a cell on, going `way`, around the end if need be; null without any. */
  next(cell, way) {
    const { passages } = this;
    if (!passages.length) return null;
    if (way > 0) return (passages.find(({ first }) => first > cell) ?? passages[0]).first;
    return (passages.findLast(({ last }) => last <= cell) ?? passages.at(-1)).first;
  }

  /** What a screen reader says of a cell besides what it always does. */
  spoken(cell) {
    const passage = passageAt(this.passages, cell);
    if (!passage) return "";
    return `, flagged, ${SEVERITIES[passage.severity - 1]}${this.terms.isSudden(passage) ? `, ${SUDDEN}` : ""}`;
  }
}
