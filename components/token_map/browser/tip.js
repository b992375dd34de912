// The tooltip: what is known of the cell under the pointer or the keyboard, and where that is shown.

import { details } from "./tooltip.js";
import { element } from "./words.js";

const GAP = 8; // pixels between the tooltip and its token, and the edges of the window
const TIP_WIDTH = 320; // pixels, as in the style sheet
const ENOUGH = 320; // pixels of height that most tooltips need

export class Tip {
  /**
   * @param {HTMLElement} text the map's text
   * @param {import("./blocks.js").Blocks} blocks
   * @param {import("./controls.js").Controls} controls
   */
  constructor(text, blocks, controls) {
    this.text = text;
    this.blocks = blocks;
    this.controls = controls;
    this.element = element("div", { class: "tip", role: "tooltip", popover: "manual" });
    this.cell = null; // the cell it describes, …
    this.line = 0; // … and the line of that cell it is shown beside
    this.within = []; // elements of the group under the pointer
  }

  hover(event) {
    const cell = event.target.closest("i")?.cell;
    if (cell === undefined) return this.hide();
    if (cell !== this.cell) this.show(cell, event.clientY);
  }

  hide() {
    this.cell = null;
    this.markGroup(null);
    this.element.removeAttribute("data-shown");
    if (this.element.matches(":popover-open")) this.element.hidePopover();
  }

  /** Show what is known of a cell beside its line at height `y`, or its first. */
  show(cell, y, lines = [...this.blocks.element(cell).getClientRects()]) {
    const tip = this.element;
    this.line = Math.max(0, lines.findIndex((rect) => rect.top <= y && y <= rect.bottom));
    this.cell = cell;
    this.markGroup(cell);
    tip.replaceChildren(...details(this.blocks.view, cell, this.controls.grouping, this.controls.scale));
    tip.setAttribute("data-shown", "");
    if (tip.showPopover && !tip.matches(":popover-open")) tip.showPopover();
    this.place(lines[this.line]);
  }

  /** Mark the group that a cell belongs to, if cells are grouped. */
  markGroup(cell) {
    for (const each of this.within) each.removeAttribute("data-within");
    this.within = [];
    if (cell === null || this.controls.grouping === "token") return;
    const { groups } = this.controls;
    const group = groups.group(cell);
    for (let each = groups.start(group); each < groups.end(group); each++) this.within.push(this.blocks.element(each));
    for (const each of this.within) each.setAttribute("data-within", "");
  }

  /** Keep the tooltip beside its cell while something scrolls. */
  follow() {
    if (this.cell === null) return;
    const line = this.blocks.element(this.cell)?.getClientRects()[this.line];
    const text = this.text.getBoundingClientRect();
    if (line && line.bottom > text.top && line.top < text.bottom) this.place(line);
    else this.hide();
  }

  /** Place the tooltip below a line, or above if there is more room. Nothing is measured: that would cost a layout. */
  place(line) {
    const { innerWidth: width, innerHeight: height } = window;
    const { style } = this.element;
    const room = height - line.bottom - 2 * GAP;
    const below = room >= ENOUGH || room >= line.top - 2 * GAP;
    style.left = `${Math.max(GAP, Math.min(line.left, width - TIP_WIDTH - 2 * GAP))}px`;
    style.top = below ? `${Math.max(GAP, line.bottom + GAP)}px` : "auto";
    style.bottom = below ? "auto" : `${height - line.top + GAP}px`;
    style.maxHeight = `${below ? room : line.top - 2 * GAP}px`;
  }
}
