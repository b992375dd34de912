// Moving through the text by keys: token by token, line by line, from one unsure place to the next.

import { shared } from "./shared.js";
import { spoken } from "./tooltip.js";

export class Keyboard {
  /** @param {import("./token_map.js").TokenMap} map */
  constructor(map) {
    this.map = map;
    this.at = null; // the cell that the keyboard is on
    this.column = null; // where Up and Down aim, in pixels
  }

  focused() {
    const { map } = this;
    if (!map.view?.length || !map.text.matches(":focus-visible")) return;
    map.root.setAttribute("data-keys", "");
    this.visit(this.at ?? map.pin.cell ?? this.firstShown);
  }

  /** The first cell that is not folded away. */
  get firstShown() {
    const { blocks, view } = this.map;
    return blocks.folded ? view.boundary : 0;
  }

  pressed(event) {
    const { map } = this;
    if (event.target !== map.text || event.altKey || event.metaKey || !map.view?.length) return;
    const [first, last] = [this.firstShown, map.view.length - 1];
    const at = this.at ?? first;
    const far = event.ctrlKey;
    const acts = {
      ArrowLeft: () => this.visit(Math.max(first, at - 1)),
      ArrowRight: () => this.visit(Math.min(last, at + 1)),
      ArrowUp: () => this.visitLine(-1),
      ArrowDown: () => this.visitLine(+1),
      Home: () => this.visit(far ? first : this.endOfLine(at, -1)),
      End: () => this.visit(far ? last : this.endOfLine(at, +1)),
      Enter: () => map.pin.toggle(at),
      " ": () => map.pin.toggle(at),
      Escape: () => (map.tip.hide(), map.pin.clear()),
      n: () => this.seek(+1),
      N: () => this.seek(-1),
      ...(map.flags.terms && { f: () => this.seekFlag(at, +1), F: () => this.seekFlag(at, -1) }),
    };
    if (!Object.hasOwn(acts, event.key) || (far && event.key !== "Home" && event.key !== "End")) return;
    event.preventDefault();
    event.stopPropagation();
    map.root.setAttribute("data-keys", "");
    acts[event.key]();
  }

  moveTo(cell) {
    const { blocks } = this.map;
    blocks.element(this.at)?.removeAttribute("data-at");
    this.at = cell;
    blocks.element(cell).setAttribute("data-at", "");
    this.column = null;
  }

  /** Go to a cell: bring it into view, show its details, say what it is. */
  visit(cell) {
    const { map } = this;
    const { blocks, controls, tip } = map;
    if (blocks.folded && cell < map.view.boundary) map.showMarks("fold", false);
    const drawn = blocks.element(cell);
    // Positions are read before anything changes, as after that they would have to be laid out again.
    let lines = [...drawn.getClientRects()];
    const text = map.text.getBoundingClientRect();
    if (!lines.length || lines[0].top < Math.max(text.top, 0) || lines.at(-1).bottom > Math.min(text.bottom, innerHeight)) {
      drawn.scrollIntoView({ block: "nearest", inline: "nearest" });
      lines = [...drawn.getClientRects()];
    }
    this.moveTo(cell);
    tip.show(cell, undefined, lines);
    map.status.textContent = spoken(map.view, cell, controls.grouping, controls.scale, blocks.colour(cell))
      + map.flags.spoken(cell);
  }

  /** Go a visual line up or down, to the cell nearest to where the way began. */
  visitLine(way) {
    const at = this.at ?? this.firstShown;
    const column = this.column ?? middle(this.rect(at)).x;
    const there = this.endOfLine(at, way) + way;
    if (there < this.firstShown || !this.map.blocks.element(there)) return;
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
    for (; cell >= this.firstShown && this.map.blocks.element(cell); cell += way) {
      if (Math.abs(middle(this.rect(cell)).y - y) > 0.6 * height) return;
      yield cell;
    }
  }

  rect(cell) {
    const drawn = this.map.blocks.element(cell);
    return drawn.getClientRects()[0] ?? drawn.getBoundingClientRect();
  }

  /** Go to the next flag, around the end if need be. */
  seekFlag(from, way) {
    const cell = this.map.flags.next(from, way);
    if (cell !== null) this.visit(cell);
  }

  /** Go to the next unsure group, around the end if need be. */
  seek(way) {
    const { map } = this;
    const { groups } = map.controls;
    const count = groups.length;
    const from = this.at === null ? (way > 0 ? -1 : count) : groups.group(this.at);
    for (let passed = 1; passed <= count; passed++) {
      const group = (((from + way * passed) % count) + count) % count;
      if (!isUnsure(map.controls, group)) continue;
      map.root.setAttribute("data-keys", "");
      map.text.focus({ preventScroll: true });
      this.visit(groups.start(group));
      return;
    }
  }
}

export function isUnsure({ groups, metric, colours }, group) {
  const colour = colours[groups.steps[metric][group]];
  return colour >= shared.unsure && colour < shared.colours;
}

function middle({ left, top, width, height }) {
  return { x: left + width / 2, y: top + height / 2, height };
}
