// Cells as elements: <i> with the classes that token_map.css knows, filled with text nodes.

import { shared } from "./shared.js";
import { Kind } from "./frame.js";
import { Mark } from "./flags.js";
import { BLANK, DIRECTION, HIDDEN, codePoint, element } from "./words.js";

const ORDINARY = new RegExp(`^ ?[^\\s${BLANK}]+$`, "u");
const PARTS = new RegExp(`(?<n>\\r\\n|\\n|\\r)|(?<t>\\t)|(?<p> +)|(?<c>${HIDDEN.source})`, "gu");
const STEP_NAMES = Array.from({ length: 256 }, (_, colour) => `s${colour}`);

const MARK_NAMES = Array.from({ length: 16 }, (_, mark) => {
  const severity = mark & Mark.SEVERITY;
  return severity ? `d${severity} ${mark & Mark.BEGINS ? "da " : ""}${mark & Mark.ENDS ? "dz " : ""}` : "";
});

/** The classes for the flag of a cell. */
export function markName(mark) {
  return mark ? MARK_NAMES[mark] : "";
}

/** The class for a colour. */
export function stepName(colour) {
  if (colour === shared.unscored) return "su";
  return colour === shared.outside ? "so" : STEP_NAMES[colour];
}

/** The classes of a cell that no metric and no grouping changes. */
export function classesOf(kind, text) {
  const names = [];
  if (kind === Kind.SPECIAL || kind === Kind.STOP || kind === Kind.IMAGE) names.push("x");
  if (kind === Kind.STOP) names.push("stop");
  if (kind === Kind.REASONING) names.push("r");
  if (kind === Kind.TOOL) names.push("f");
  if (kind === Kind.FORCED) names.push("o");
  if (text === "") names.push("e");
  else if (!text.trim()) names.push("w");
  if (ORDINARY.test(text)) {
    if (text[0] === " ") names.push("l");
  } else if (DIRECTION.test(text)) names.push("b");
  return names.length ? `${names.join(" ")} ` : "";
}

/** Fill a cell with its text; white space and invisible characters get elements that CSS can mark. */
export function fill(cell, text) {
  if (text === "" || ORDINARY.test(text)) {
    cell.textContent = text;
    return;
  }
  let done = 0;
  for (const match of text.matchAll(PARTS)) {
    const name = Object.keys(match.groups).find((each) => match.groups[each] !== undefined);
    const mark = name === "c" ? { "data-mark": codePoint(match[0]) } : {};
    cell.append(text.slice(done, match.index), element("u", { class: name, ...mark }, match[0]));
    done = match.index + match[0].length;
  }
  cell.append(text.slice(done));
}

/** Tell how high a block will about be, so that the scroll bar is right before it is laid out. */
export function estimate(block, cells) {
  block.style.containIntrinsicBlockSize = `auto ${Math.ceil(cells / 15) * 1.8}em`;
}

/** Remove the cells from `first` on from a block. */
export function trim(block, first) {
  let last = block.lastElementChild;
  while (last && (last.cell === undefined || last.cell >= first)) {
    last.remove();
    last = block.lastElementChild;
  }
}
