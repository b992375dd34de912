// The scales of lib/display/scales.py, and the thresholds between their colours, which a reader may move.

import { shared } from "./shared.js";
import { lowerBound } from "./frame.js";

const THRESHOLDS = "candor.thresholds"; // the reader's own, in local storage: for all maps and visits
export const scaleOf = (name) => shared.scales.find((scale) => scale.name === name);

/** The places in a scale's grid where its colours part: the reader's, or the usual ones. */
export function edgesOf(scale) {
  const own = remembered("localStorage", THRESHOLDS)[scale.name];
  return isEdges(own, scale) ? own : scale.edges;
}

function isEdges(edges, { words }) {
  return Array.isArray(edges) && edges.length === shared.colours - 1
    && edges.every((edge, i) => Number.isInteger(edge) && edge >= (edges[i - 1] ?? 0) && edge < words.length);
}

/** Move one threshold, as far as its neighbours let it; null for all of them sets them back. */
export function moveEdge(scale, number, place) {
  const all = remembered("localStorage", THRESHOLDS);
  if (number === null) delete all[scale.name];
  else {
    const edges = [...edgesOf(scale)];
    edges[number] = Math.min(Math.max(place, edges[number - 1] ?? 0), edges[number + 1] ?? scale.words.length - 1);
    all[scale.name] = edges;
  }
  remember("localStorage", THRESHOLDS, all);
}

/** The colour of every fine step. */
export function colours(scale) {
  const edges = edgesOf(scale);
  return Uint8Array.from({ length: 256 }, (_, fine) => (fine >= shared.outside ? fine : lowerBound(edges, fine, edges.length)));
}

/** The range of values of each colour; empty for one that moved thresholds left nothing. As Scale.legend. */
export function legendOf(scale) {
  const places = [-1, ...edgesOf(scale), scale.words.length];
  return places.slice(1).map((far, i) => between(scale, places[i], far));
}

/** The values from the grid's `near` up to its `far`, the more confident end. */
function between({ words, whole, rising }, near, far) {
  if (near === far) return "";
  if (near < 0) return whole && words[far] === "1" ? words[far] : `${rising ? "≤" : "≥"} ${words[far]}`;
  if (far === words.length) return `${rising ? ">" : "<"} ${words[near]}`;
  if (!whole) return rising ? `${words[near]} – ${words[far]}` : `${words[far]} – ${words[near]}`;
  const least = (written(words[near]) + 1).toLocaleString("en");
  return least === words[far] ? least : `${least} – ${words[far]}`;
}

/** What is known of a value from its fine step. */
export function fineInWords(scale, fine) {
  return withUnit(scale, between(scale, fine - 1, fine));
}

/** A legend text with its unit, which percentages already have. */
export function withUnit({ unit }, words) {
  return words.includes(unit) ? words : `${words} ${unit}`;
}

/** The number in a typed text, or in the legend. */
function written(text) {
  return Number.parseFloat(text.replaceAll(",", ""));
}

/** The place in the grid nearest to a typed number, or null if it isn't a number. */
export function placeOf(scale, text) {
  const number = written(text);
  if (Number.isNaN(number)) return null;
  const far = scale.words.map((words) => Math.abs(written(words) - number));
  return far.indexOf(Math.min(...far));
}

/**
 * Choices that outlive a reload. Even naming the storage may be forbidden; then they last as long as the page.
 * @param {"localStorage" | "sessionStorage"} storage
 * @param {string} key
 */
export function remembered(storage, key) {
  try {
    return JSON.parse(window[storage].getItem(key)) ?? {};
  } catch {
    return {};
  }
}

/**
 * @param {"localStorage" | "sessionStorage"} storage
 * @param {string} key
 * @param {object} chosen
 */
export function remember(storage, key, chosen) {
  try {
    window[storage].setItem(key, JSON.stringify(chosen));
  } catch {
    // Nothing to be done, and nothing lost that matters.
  }
}
