// The list of flagged passages: an entry for each, up to a number that a page can show at once.

import { SEVERITIES, amount } from "./flags.js";
import { count, element, marked, percent } from "./words.js";

const MOST = 300; // entries
const TERMS = 3; // of a passage whose alternatives are listed
const LONGEST = 160; // characters of a passage
const REMEMBERED = 3000; // entries that are kept while the threshold moves

export class FlagEntries {
  /** @param {(passage: object) => void} opened called after the reader chose an entry */
  constructor(opened) {
    this.opened = opened;
    this.element = element("ol", { class: "entries" });
    this.made = new Map(); // entries by the candidates they are made of: most stay while the threshold moves
    this.total = 0;
    this.highlighted = null;
    this.element.onclick = (event) => {
      const passage = event.target.closest("button")?.passage;
      if (passage) this.opened(passage);
    };
    this.element.onkeydown = (event) => this.pressed(event);
  }

  forget() {
    this.made.clear();
  }

  /** Show passages in this order. @param {import("./flags.js").Candidates} candidates */
  show(candidates, passages) {
    if (this.made.size > REMEMBERED) this.made.clear();
    this.total = passages.length;
    const shown = passages.slice(0, MOST).map((passage) => this.entry(candidates, passage));
    const now = this.element.children;
    if (shown.length === now.length && shown.every((each, i) => each === now[i])) return;
    this.element.replaceChildren(...shown);
    this.rove(this.buttons[0]);
  }

  entry(candidates, passage) {
    const key = passage.of.join();
    if (!this.made.has(key)) this.made.set(key, element("li", {}, entryOf(candidates, passage)));
    return this.made.get(key);
  }

  /** What to say if not all passages are listed. */
  left() {
    const more = this.total > MOST;
    return more ? `The list shows ${MOST} of ${count(this.total, "passage")}. Raise the threshold to see the others.` : "";
  }

  get buttons() {
    return this.element.querySelectorAll("button");
  }

  // --- the entry that is chosen, and the one that the keyboard is on ---

  highlight(passage) {
    this.highlighted?.removeAttribute("aria-current");
    const entry = passage ? this.made.get(passage.of.join()) : undefined;
    this.highlighted = entry?.isConnected ? entry.firstChild : null;
    this.highlighted?.setAttribute("aria-current", "true");
    if (this.highlighted) this.rove(this.highlighted);
  }

  /** Scroll the list, and nothing around it, to the highlighted entry. */
  reveal() {
    if (!this.highlighted) return;
    const [entry, list] = [this.highlighted.getBoundingClientRect(), this.element.getBoundingClientRect()];
    if (entry.top < list.top) this.element.scrollTop += entry.top - list.top;
    else if (entry.bottom > list.bottom) this.element.scrollTop += entry.bottom - list.bottom;
  }

  /** Make one entry the one that Tab leads to. */
  rove(button) {
    if (this.roving) this.roving.tabIndex = -1;
    this.roving = button;
    if (button) button.tabIndex = 0;
  }

  pressed(event) {
    const buttons = [...this.buttons];
    const at = buttons.indexOf(event.target);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const button = buttons[Math.max(0, Math.min(to, buttons.length - 1))];
    this.rove(button);
    button.focus();
  }
}

function entryOf(candidates, passage) {
  const { unit } = candidates.meta;
  const { first, last, score, severity } = passage;
  const name = SEVERITIES[severity - 1];
  const button = element("button", { type: "button", class: "entry", tabindex: "-1" },
    element("span", { class: "severity" }, name[0].toUpperCase() + name.slice(1)), " ",
    element("span", { class: "score" }, `${passage.of.length > 1 ? "up to " : ""}${amount(score)} ${unit}`), " ",
    element("span", { class: "passage" },
      element("bdi", { class: "before" }, candidates.before(first)), " ",
      element("bdi", { class: `d${severity}` }, cut(candidates.textOf(first, last)))),
    ...instead(candidates, passage));
  button.passage = passage;
  return button;
}

/** What else the model considered, for each term of a passage. */
function* instead(candidates, { of }) {
  const terms = of.map((each) => [each, candidates.alternatives(each)]).filter(([, listed]) => listed.length);
  for (const [each, listed] of terms.slice(0, TERMS)) {
    const name = of.length > 1
      ? ["Instead of ", element("bdi", {}, cut(candidates.textOf(candidates.first[each], candidates.last[each]))), ": "]
      : ["Instead: "];
    const others = listed.flatMap(({ text, probability }, i) =>
      [i ? " · " : "", element("bdi", {}, marked(text).trim() || "no text"), ` ${percent(Math.log(probability))}`]);
    yield element("span", { class: "instead" }, ...name, ...others);
  }
  if (terms.length > TERMS) yield element("span", { class: "instead" }, `And ${count(terms.length - TERMS, "more term")}.`);
}

function cut(text) {
  const letters = [...text.slice(0, 2 * LONGEST)];
  return letters.length > LONGEST ? `${letters.slice(0, LONGEST).join("").trimEnd()} …` : text;
}
