// The text as elements: lines in runs ("blocks") of cells, drawn when they are in sight and repainted when colours change.

import { Kind } from "./frame.js";
import { classesOf, estimate, fill, markName, stepName, trim } from "./cells.js";
import { element } from "./words.js";

const BLOCK = 250; // cells after which a block ends at the next line
const AT_ONCE = 4000; // cells that are drawn at once; of more, those out of sight follow bit by bit, …
const SLICE = 12; // … for this many milliseconds at a time
const ROOM = 2400; // square pixels of the window per cell of the text that it shows
const LONGEST_HEADER = 16; // cells of markers that are skipped to find what they open

export class Blocks {
  /**
   * @param {HTMLElement} text the element that holds the blocks
   * @param {import("./controls.js").Controls} controls what the reader chose
   * @param {AbortSignal} gone aborted when the map leaves the page
   */
  constructor(text, controls, gone) {
    this.text = text;
    this.controls = controls;
    this.gone = gone;
    this.view = null;
    this.marks = new Uint8Array(0); // the flag of each cell; as in flags.js
    this.folded = false; // whether the prompt's cells are hidden
    this.all = []; // {element, first, end, turn}, by their cells; turn null: not drawn yet
    this.cells = []; // one element per cell, in blocks that are drawn
    this.classes = []; // its classes that neither metric nor grouping changes
    this.names = []; // all of its classes
  }

  /** Remove the cells from `first` on. */
  drop(first) {
    while (this.all.length && this.all.at(-1).first >= first) this.all.pop().element.remove();
    const last = this.all.at(-1);
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
    let block = this.all.at(-1);
    for (let cell = first; cell < view.length; cell++) {
      if (!block || (cell - block.first >= BLOCK && view.begins(cell, "line"))) {
        block = { element: this.text.appendChild(element("div")), first: cell, end: cell, turn: null };
        this.all.push(block);
      }
      if (block.turn !== null) this.drawCell(block, cell);
      block.end = cell + 1;
    }
    for (const each of this.all) {
      if (each.end <= first) continue;
      estimate(each.element, each.end - each.first);
      if (each.turn === null) each.element.textContent = this.plainText(each);
    }
  }

  /** Hide or show the cells of the prompt. */
  fold(folded) {
    if (folded === this.folded) return;
    this.folded = folded;
    for (const block of this.all) {
      if (block.first < this.view.boundary && block.turn === null) block.element.textContent = this.plainText(block);
    }
  }

  plainText({ first, end }) {
    return this.view.texts.slice(this.folded ? Math.max(first, this.view.boundary) : first, end).join("");
  }

  drawCell({ element: parent }, cell) {
    const text = this.view.texts[cell];
    const label = this.label(cell);
    if (label) parent.append(element("b", { "data-label": label, class: this.endsLine(cell - 1) ? "start" : "" }));
    const drawn = Object.assign(document.createElement("i"), { cell });
    this.classes[cell] = this.fixedClasses(cell);
    drawn.className = this.names[cell] = this.nameOf(cell);
    fill(drawn, text);
    this.cells[cell] = drawn;
    parent.append(drawn);
  }

  fixedClasses(cell) {
    const { view } = this;
    const part = cell < view.boundary ? "p " : "";
    return `${part}${view.isTemplate(cell) ? "m " : ""}${classesOf(view.kind(cell), view.texts[cell])}`;
  }

  /** The element of a cell, drawn if need be; undefined if there is no such cell. */
  element(cell) {
    if (cell === null || cell < 0 || cell >= this.view.length) return undefined;
    if (!this.cells[cell]) this.paintBlock(this.blockOf(cell));
    return this.cells[cell];
  }

  blockOf(cell) {
    let [low, high] = [0, this.all.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.all[middle].first <= cell) low = middle;
      else high = middle;
    }
    return this.all[low];
  }

  endsLine(cell) {
    return cell < 0 || this.view.texts[cell].endsWith("\n");
  }

  /** The text from the start of a cell's paragraph up to that cell. */
  paragraphBefore(cell) {
    let first = cell;
    while (!this.endsLine(first - 1)) first--;
    return this.view.texts.slice(first, cell).join("");
  }

  /** The name of the part that begins with a cell, or null if none does. */
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

  // --- colours ---

  /** The colour of a cell, which is that of its group. */
  colour(cell) {
    const { groups, metric, colours } = this.controls;
    const { of } = groups;
    return colours[groups.steps[metric][of ? of[cell] : cell]];
  }

  /** The classes of a cell. One in the same group as the cell before joins it. */
  nameOf(cell) {
    const { of } = this.controls.groups;
    const joins = of && cell > 0 && of[cell] === of[cell - 1] && cell !== this.view.boundary;
    return `${this.classes[cell]}${joins ? "j " : ""}${markName(this.marks[cell])}${stepName(this.colour(cell))}`;
  }

  /**
   * Draw all cells in their present colours: those in sight at once, and of many the others bit by bit.
   * @param {boolean} fresh nothing was drawn before, so the beginning is what is in sight
   */
  paint(fresh = false) {
    const turn = (this.turn = {});
    const [first, last] = this.view.length <= AT_ONCE ? [0, this.all.length] : fresh ? this.firstInSight() : this.inSight();
    for (let block = first; block < last; block++) this.paintBlock(this.all[block]);
    const later = [...this.all.slice(last), ...this.all.slice(0, first)];
    const more = () => {
      const until = performance.now() + SLICE;
      while (later.length && this.turn === turn && performance.now() < until) this.paintBlock(later.shift());
      if (later.length && this.turn === turn && !this.gone.aborted) setTimeout(more);
    };
    if (later.length) requestAnimationFrame(() => setTimeout(more)); // once what is in sight is on the screen
  }

  /** The range of blocks that a screen can show. A guess, since layout would take long. */
  firstInSight() {
    const cells = (window.innerWidth * window.innerHeight) / ROOM;
    const last = this.all.findIndex(({ end }) => end > cells);
    return [0, last < 0 ? this.all.length : last + 1];
  }

  /** The range of blocks that are in sight, or nearly. */
  inSight() {
    const { top, bottom } = this.text.getBoundingClientRect();
    const near = ({ element: each }) => {
      const box = each.getBoundingClientRect();
      return box.bottom > top - 100 && box.top < bottom + 100;
    };
    const first = Math.max(0, this.all.findIndex(near));
    const beyond = this.all.findIndex((block, i) => i > first && !near(block));
    return [first, beyond < 0 ? this.all.length : beyond];
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
}
