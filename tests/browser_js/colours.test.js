// The thresholds between colours, as readers move them.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { colours, edgesOf, legendOf, moveEdge, placeOf } from "../../components/token_map/browser/colours.js";
import { learn } from "../../components/token_map/browser/shared.js";

const scale = {
  name: "surprisal", label: "Surprisal", unit: "nats", rising: true, whole: false,
  words: ["0", "1", "2", "3", "4"], edges: [0, 1, 3],
};

class Storage {
  stored = new Map();
  getItem(key) { return this.stored.get(key) ?? null; }
  setItem(key, value) { this.stored.set(key, value); }
}

beforeEach(() => {
  globalThis.window = { localStorage: new Storage(), sessionStorage: new Storage() };
  learn({ scales: [scale], colours: 4, unsure: 2, outside: 250, unscored: 255, unknown: "?" });
});

test("every fine step has a colour, and what is not scored keeps its mark", () => {
  const found = colours(scale);
  assert.deepEqual([...found.slice(0, 6)], [0, 1, 2, 2, 3, 3]);
  assert.equal(found[255], 255);
  assert.equal(found[250], 250);
});

test("a threshold moves no further than its neighbours", () => {
  moveEdge(scale, 1, 9);
  assert.deepEqual(edgesOf(scale), [0, 3, 3]);
  moveEdge(scale, 1, -5);
  assert.deepEqual(edgesOf(scale), [0, 0, 3]);
  moveEdge(scale, null, null);
  assert.deepEqual(edgesOf(scale), scale.edges);
});

test("stored thresholds that cannot be are ignored", () => {
  for (const bad of ['{"surprisal": [2, 1, 0]}', '{"surprisal": [0, 1]}', '{"surprisal": "x"}', "no json", "null"]) {
    window.localStorage.setItem("candor.thresholds", bad);
    assert.deepEqual(edgesOf(scale), scale.edges);
  }
});

test("the legend names every range, and one that is empty is blank", () => {
  assert.deepEqual(legendOf(scale), ["≤ 0", "0 – 1", "1 – 3", "> 3"]);
  moveEdge(scale, 1, 0);
  assert.equal(legendOf(scale)[1], "");
});

test("a typed number finds the nearest threshold", () => {
  assert.equal(placeOf(scale, "2.4"), 2);
  assert.equal(placeOf(scale, "much"), null);
});
