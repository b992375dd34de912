// The list of flagged passages: an entry for each, up to a number that a page can show at once.

import { SEVERITIES, SUDDEN, amount } from "./flags.js";
import { count, element, marked, percent, visible } from "./words.js";

const MOST = 300; // entries
const FIRST_FILLED = 24; // of these that are filled at once; the others follow bit by bit, …
const BIT = 12; // … for this many milliseconds at a time
const TERMS = 3; // of a passage whose alternatives are listed
const LONGEST = 160; // characters of a passage
const DROP = "Far less likely than the tokens before it";
const REMEMBERED = 3000; // entries that are kept while the threshold moves

export class FlagEntries {
  /** @param {(passage: object) => void} opened called after the reader chose an entry */
  constructor(opened) {
    this.opened = opened;
    this.element = element("ol", { class: "entries" });
    this.made = new Map(); // entries by the terms they are made of: most stay while the threshold moves
    this.total = 0;
    this.turn = 0; // counts what was shown, so that what is left of an earlier one stops
    this.highlighted = null;
    this.element.onclick = (event) => {
      const entry = event.target.closest("button")?.parentElement;
      if (entry) this.opened(entry.passage);
    };
    this.element.onkeydown = (event) => this.pressed(event);
  }

  forget() {
    this.made.clear();
  }

  /** Show passages in this order. @param {import("./flags.js").Terms} terms */
  show(terms, passages) {
    if (this.made.size > REMEMBERED) this.made.clear();
    this.terms = terms;
    this.total = passages.length;
    const shown = passages.slice(0, MOST).map((passage) => this.entry(passage));
    const now = this.element.children;
    if (shown.length === now.length && shown.every((each, i) => each === now[i])) return;
    this.element.replaceChildren(...shown);
    for (const each of shown.slice(0, FIRST_FILLED)) this.fill(each);
    this.fillLater(shown.slice(FIRST_FILLED), ++this.turn);
    this.rove(shown.length ? this.fill(shown[0]) : null);
  }

  entry(passage) {
    const key = membersOf(passage);
    if (!this.made.has(key)) this.made.set(key, Object.assign(element("li"), { passage }));
    return this.made.get(key);
  }

  /** The button of an entry, made if need be. */
  fill(entry) {
    if (!entry.firstChild) entry.append(entryOf(this.terms, entry.passage));
    return entry.firstChild;
  }

  fillLater(entries, turn) {
    if (!entries.length) return;
    setTimeout(() => {
      const until = performance.now() + BIT;
      let filled = 0;
      while (filled < entries.length && this.turn === turn && performance.now() < until) this.fill(entries[filled++]);
      if (this.turn === turn) this.fillLater(entries.slice(filled), turn);
    }, BIT);
  }

  /** What to say if not all passages are listed. */
  left() {
    const more = this.total > MOST;
    return more ? `The list shows ${MOST} of ${count(this.total, "passage")}. Raise the threshold to see the others.` : "";
  }

  // --- the entry that is chosen, and the one that the keyboard is on ---

  highlight(passage) {
    this.highlighted?.removeAttribute("aria-current");
    const entry = passage && this.made.get(membersOf(passage));
    this.highlighted = entry?.isConnected ? this.fill(entry) : null;
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
    const entries = [...this.element.children];
    const at = entries.indexOf(event.target.parentElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: entries.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const button = this.fill(entries[Math.max(0, Math.min(to, entries.length - 1))]);
    this.rove(button);
    button.focus();
  }
}

/** What an entry depends on. */
function membersOf(passage) {
  return passage.of.join();
}

function entryOf(terms, passage) {
  const { unit } = terms.meta;
  const { first, last, score, severity } = passage;
  const name = SEVERITIES[severity - 1];
  const drop = terms.isSudden(passage) ? [", ", element("span", { class: "sudden", title: DROP }, SUDDEN)] : [];
  return element("button", { type: "button", class: "entry", tabindex: "-1" },
    element("span", { class: "severity" }, name[0].toUpperCase() + name.slice(1), ...drop), " ",
    element("span", { class: "score" }, `${passage.of.length > 1 ? "up to " : ""}${amount(score)} ${unit}`), " ",
    element("span", { class: "passage" },
      element("bdi", { class: "before" }, terms.before(first)), " ",
      element("bdi", { class: `d${severity}` }, cut(terms.textOf(first, last)))),
    ...instead(terms, passage));
}

/** What else the model considered, for each term of a passage. */
function* instead(terms, { of }) {
  const found = of.map((each) => [each, terms.alternatives(each)]).filter(([, listed]) => listed.length);
  for (const [each, listed] of found.slice(0, TERMS)) {
    const name = of.length > 1
      ? ["Instead of ", element("bdi", {}, cut(terms.textOf(terms.first[each], terms.last[each]))), ": "]
      : ["Instead: "];
    const others = listed.flatMap(({ text, probability }, i) =>
      [...(i ? [" · "] : []), element("bdi", {}, marked(text).trim() || visible(text)), ` ${percent(Math.log(probability))}`]);
    yield element("span", { class: "instead" }, ...name, ...others);
  }
  if (found.length > TERMS) yield element("span", { class: "instead" }, `And ${count(found.length - TERMS, "more term")}.`);
}

function cut(text) {
  const letters = [...text.slice(0, 2 * LONGEST)];
  return letters.length > LONGEST ? `${letters.slice(0, LONGEST).join("").trimEnd()} …` : text;
}
