// The pinned token: chosen by a click or by Enter, and told to Python, which shows its details beside the map.

import { details } from "./tooltip.js";
import { element } from "./words.js";

export class Pin {
  /**
   * @param {import("./blocks.js").Blocks} blocks
   * @param {import("./controls.js").Controls} controls
   * @param {() => void} changed called after the reader pinned or unpinned a token
   */
  constructor(blocks, controls, changed) {
    this.blocks = blocks;
    this.controls = controls;
    this.changed = changed;
    this.told = null; // what Python was told: {cell, tokens, fingerprint}
    this.cell = null; // the pinned cell, if the pin belongs to this completion
    this.panel = element("aside", { class: "pinned", "aria-label": "Pinned token" });
  }

  toggle(cell) {
    const { view } = this.blocks;
    const { tokens } = view;
    this.told = cell === this.cell ? null : { cell, tokens, fingerprint: view.fingerprint(tokens) };
    this.validate();
    this.changed();
  }

  clear() {
    if (this.cell !== null) this.toggle(this.cell);
  }

  /** Whether the pin was made on this completion, or on a beginning of it. Python checks the same. */
  get isOurs() {
    if (!this.told) return false;
    const { cell, tokens, fingerprint } = this.told;
    const { view } = this.blocks;
    return cell < view.length && view.first[cell + 1] <= tokens && tokens <= view.tokens
      && view.fingerprint(tokens) === fingerprint;
  }

  /** Mark the pinned cell, if there is one in this completion. */
  validate() {
    this.blocks.element(this.cell)?.removeAttribute("data-pin");
    this.cell = this.isOurs ? this.told.cell : null;
    this.blocks.element(this.cell)?.setAttribute("data-pin", "");
    this.show();
  }

  /** Show the pinned token's details. Only in an exported file: elsewhere the page around the map shows them. */
  show() {
    const { view } = this.blocks;
    if (!view.options.file) return;
    const { grouping, scale } = this.controls;
    this.panel.replaceChildren(...(this.cell === null ? [] : details(view, this.cell, grouping, scale)));
  }
}
