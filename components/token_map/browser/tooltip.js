// What there is to know of a cell, in words and bars.

import { shared } from "./shared.js";
import { fineInWords } from "./colours.js";
import { Kind } from "./frame.js";
import { bracket, count, element, marked, nats, percent, rankInWords, rest, visible } from "./words.js";

const PASSAGE_NAMES = { word: "Word", sentence: "Sentence", line: "Line", pattern: "Match" };

/** Everything known of a cell and, with a grouping, of the group it belongs to, as children of the tooltip. */
export function* details(view, cell, grouping, scale) {
  yield* aboutGroup(view, cell, grouping, scale);
  const tokens = view.tokensOf(cell);
  if (tokens.length > 1) yield element("h6", {}, `${visible(view.texts[cell])} is made of ${tokens.length} tokens`);
  if (view.kind(cell) === Kind.FORCED) yield element("div", { class: "facts" }, "forced, not chosen by the model");
  for (const token of tokens) yield* facts(token);
  const unsure = leastSure(tokens);
  if (tokens.length > 1) yield element("h6", {}, "Instead of ", element("code", {}, visible(unsure.text)));
  yield alternatives(view, unsure);
}

function* aboutGroup(view, cell, grouping, scale) {
  if (grouping === "token") return;
  const groups = view.groups[grouping];
  const group = groups.group(cell);
  const fine = groups.steps[scale.name][group];
  const tokens = view.first[groups.end(group)] - view.first[groups.start(group)];
  if (fine === shared.outside || (tokens === 1 && grouping === "word")) return;
  const name = `${PASSAGE_NAMES[grouping]} of ${count(tokens, "token")}`;
  yield element("p", { class: "group" }, element("strong", {}, name), groupInWords(grouping, scale, fine));
}

function groupInWords(grouping, scale, fine) {
  if (fine === shared.unscored) return " · not scored";
  const value = fineInWords(scale, fine);
  if (grouping === "word" || grouping === "pattern") return ` · ${scale.label.toLowerCase()} ${value}`;
  return ` · one word in ten, at least one, is no more confident than ${scale.label.toLowerCase()} ${value}`;
}

function leastSure(tokens) {
  return tokens.reduce((a, b) => ((b.logprob ?? 0) < (a.logprob ?? 0) ? b : a));
}

function* facts(token) {
  const text = element("code", {}, visible(token.text));
  const id = token.id < 0 ? [] : [`id ${token.id}`];
  if (token.logprob === null) {
    yield element("header", {}, text);
    const why = token.row === 0 ? "not scored: nothing precedes the first token" : "not scored";
    yield element("div", { class: "facts" }, [why, ...id].join(" · "));
    return;
  }
  yield element("header", {}, text, element("strong", {}, percent(token.logprob)));
  const entropy = token.low === null ? [] : [element("br"), `entropy ${bracket(token.low, token.high)}`];
  yield element("div", { class: "facts" },
    [`logprob ${nats(token.logprob)}`, rankInWords(token.rank), ...id].join(" · "), ...entropy);
}

/** The alternatives as bars, the chosen token among or after them, and what is left for all other tokens. */
function alternatives(view, token) {
  const list = element("ol");
  const listed = view.alternatives(token.row);
  for (const each of listed) list.append(bar(visible(each.text), each.logprob, each.ref === token.ref ? "chosen" : ""));
  const absent = token.logprob !== null && !listed.some((each) => each.ref === token.ref);
  if (absent) list.append(bar(visible(token.text), token.logprob, "chosen"));
  if (token.others !== null) {
    list.append(row("others", "all others", token.others, rest(token.others)));
  }
  if (!list.children.length) list.hidden = true;
  return list;
}

function bar(text, logprob, className) {
  return row(className, element("code", {}, text), Math.exp(logprob), percent(logprob));
}

function row(className, label, share, words) {
  const filled = element("span");
  filled.style.width = `${100 * share}%`;
  return element("li", { class: className }, element("span", {}, label), element("span", { class: "bar" }, filled),
    element("span", {}, words));
}

/** What a screen reader says of a cell, and of the group it begins. */
export function spoken(view, cell, grouping, scale, colour) {
  const token = leastSure(view.tokensOf(cell));
  const text = marked(view.texts[cell].trim()) || visible(view.texts[cell]);
  const forced = view.kind(cell) === Kind.FORCED ? ", forced" : "";
  const doubt = colour < shared.colours && colour >= shared.unsure ? ", unsure" : "";
  const own = token.logprob === null ? "not scored" : `${percent(token.logprob)}, ${rankInWords(token.rank)}`;
  const groups = view.groups[grouping];
  const begins = grouping !== "token" && groups.start(groups.group(cell)) === cell;
  const fine = groups.steps[scale.name][groups.group(cell)];
  const about = begins && fine !== shared.outside ? `, ${PASSAGE_NAMES[grouping]}${groupInWords(grouping, scale, fine)}` : "";
  return `${text}, ${own}${about}${forced}${doubt}`;
}
