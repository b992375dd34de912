// Flags as the browser reads them, and the passages that they make from a threshold on.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Terms, Mark, amount, bySeverity, passageAt } from "../../components/token_map/browser/flags.js";
import { markName } from "../../components/token_map/browser/cells.js";
import { View, readFrame } from "../../components/token_map/browser/frame.js";
import { learn } from "../../components/token_map/browser/shared.js";

const folder = process.env.FRAMES;
const expected = JSON.parse(readFileSync(`${folder}/expected.json`, "utf8")).flags;
const META = { presets: [["few", 6], ["usual", 3]], threshold: 3, clear: 3, strong: 6, unit: "nats", scale: 1 };

/** Terms in a text of these cells. Each is [first, last, score, sudden]. */
function terms(texts, rows, meta = META, boundary = 0) {
  const columns = {
    first: Uint32Array.from(rows, ([first]) => first),
    last: Uint32Array.from(rows, ([, last]) => last),
    score: Float32Array.from(rows, ([, , score]) => score),
    sudden: Uint8Array.from(rows, ([, , , sudden]) => (sudden ? 1 : 0)),
    listed: new Uint8Array(rows.length),
    probability: new Float32Array(0),
    "text.text": new Uint8Array(0),
    "text.chars": new Uint8Array(0),
  };
  return new Terms({ meta, columns }, /** @type {any} */ ({ texts, length: texts.length, boundary }));
}

const spans = (passages) => passages.map(({ first, last }) => [first, last]);

for (const name of ["flags", "flags_deflated"]) {
  test(`terms of ${name} are those that Python packed`, async () => {
    const frame = await readFrame(new Uint8Array(readFileSync(`${folder}/${name}.frame`)));
    learn(frame.options.shared);
    const found = new Terms(frame.flags, new View(frame));
    assert.deepEqual([...found.first], expected.first);
    assert.deepEqual([...found.last], expected.last);
    assert.deepEqual([...found.scores], expected.scores);
    assert.deepEqual([...found.sudden].map(Boolean), expected.sudden);
    assert.ok(expected.sudden.includes(true));
    assert.equal(found.meta.scale, expected.scale);
    for (const [each, texts] of expected.alternatives.entries()) {
      assert.deepEqual(found.alternatives(each).map(({ text }) => text), texts);
    }
  });
}

test("a frame without flags has none", async () => {
  assert.equal((await readFrame(new Uint8Array(readFileSync(`${folder}/whole.frame`)))).flags, null);
});

test("a score that equals the threshold reaches it, and no score reaches none", () => {
  const found = terms(["a", " b", " c"], [[0, 1, 0.1], [1, 2, NaN], [2, 3, Infinity]]);
  assert.deepEqual(spans(found.passages(0.1)), [[0, 1], [2, 3]]);
  assert.deepEqual(spans(found.passages(-1e9)), [[0, 1], [2, 3]]);
  assert.equal(found.unscored, 1);
});

test("terms with white space, punctuation or a hyphen between them are one passage", () => {
  for (const between of [" ", ",", " – ", "-", ", (", "", "’", "`"]) {
    const found = terms(["Ada", between, "King"], [[0, 1, 4], [2, 3, 9]]);
    assert.deepEqual(spans(found.passages(3)), [[0, 3]], between);
    assert.deepEqual(found.passages(3)[0], { first: 0, last: 3, score: 9, severity: 3, of: [0, 1] });
  }
});

test("terms with a word, a symbol or a line break between them are two", () => {
  for (const between of [" and", "\n", ".\r\n", " = ", "7", "\u2028"]) {
    assert.deepEqual(spans(terms(["Ada", between, "King"], [[0, 1, 4], [2, 3, 4]]).passages(3)), [[0, 1], [2, 3]], between);
  }
});

test("a term below the threshold keeps its neighbours apart", () => {
  const found = terms(["10", " May", " 1815"], [[0, 1, 4], [1, 2, 2], [2, 3, 4]]);
  assert.deepEqual(spans(found.passages(3)), [[0, 1], [2, 3]]);
  assert.deepEqual(spans(found.passages(2)), [[0, 3]]);
});

test("terms that overlap are one passage", () => {
  const found = terms(["a", "b", "c", "d"], [[0, 3, 4], [1, 2, 8], [2, 4, 5]]);
  assert.deepEqual(found.passages(3), [{ first: 0, last: 4, score: 8, severity: 3, of: [0, 1, 2] }]);
});

test("severity has three steps, whatever the threshold", () => {
  const found = terms(["a", " x", " b", " x", " c"], [[0, 1, 2.9], [2, 3, 3], [4, 5, 6]]);
  assert.deepEqual(found.passages(0).map(({ severity }) => severity), [1, 2, 3]);
  assert.deepEqual(found.passages(5).map(({ severity }) => severity), [3]);
});

test("a passage is a sudden drop if a term of it is one that reaches the threshold", () => {
  const found = terms(["Ada", " King", " and", " Bab", "bage"], [[0, 1, 4], [1, 2, 2, true], [3, 5, 9]]);
  assert.deepEqual(found.passages(1).map((each) => found.isSudden(each)), [true, false]);
  assert.deepEqual(found.passages(3).map((each) => found.isSudden(each)), [false, false]);
});

test("every cell of a passage is marked, and where it begins and ends", () => {
  const found = terms(["x", "a", ",", "b", "x"], [[1, 2, 3], [3, 4, 6]]);
  const marks = [...found.marks(found.passages(3))];
  assert.deepEqual(marks, [0, 3 | Mark.BEGINS, 3, 3 | Mark.ENDS, 0]);
  assert.deepEqual(marks.map(markName), ["", "d3 da ", "d3 ", "d3 dz ", ""]);
  assert.equal(markName(undefined), "");
});

test("passages by severity come most doubtful first, and those alike in reading order", () => {
  const rows = [[0, 1, 3], [2, 3, 6], [4, 5, 3]];
  const passages = terms(["a", " x", " b", " x", " c"], rows).passages(0);
  assert.deepEqual(spans(bySeverity(passages)), [[2, 3], [0, 1], [4, 5]]);
  assert.deepEqual(spans(passages), [[0, 1], [2, 3], [4, 5]]);
});

test("the passage of a cell is found", () => {
  const passages = [{ first: 1, last: 3 }, { first: 5, last: 6 }];
  const found = [0, 1, 2, 3, 4, 5, 6].map((cell) => passages.indexOf(passageAt(passages, cell)));
  assert.deepEqual(found, [-1, 0, 0, -1, -1, 1, -1]);
  assert.equal(passageAt([], 0), undefined);
});

test("what precedes a passage is about 40 characters, on one line, from a word of the answer on", () => {
  const words = Array.from({ length: 40 }, (_, i) => ` word${i}`);
  const found = terms(words, [], META, 20);
  assert.equal(found.before(39), "… word34 word35 word36 word37 word38");
  assert.equal(found.before(22), "word20 word21");
  assert.equal(found.before(20), "");
  assert.equal(terms(["a\u202e", "\n b", "c"], []).before(2), "a‹U+202E› b");
});

test("the slider reaches every score and every preset", () => {
  for (const scores of [[0.2, 61.3], [1e-5], [-3, 2], [Infinity, NaN], [], [7]]) {
    for (const presets of [[], [["few", 12.5]]]) {
      const { slider } = terms(["a"], scores.map((score) => [0, 1, score]), { ...META, presets, threshold: 0.5 });
      const { least, most, step } = slider;
      assert.ok(step > 0 && least <= 0, `${scores}`);
      for (const each of [...scores, 0.5, ...presets.map(([, value]) => value)].filter(Number.isFinite)) {
        assert.ok(least <= each && each <= most, `${each} is not from ${least} to ${most}`);
      }
      assert.ok((most - least) / step <= 203, `${(most - least) / step} steps`);
    }
  }
});

test("amounts have steady digits and a true minus sign", () => {
  assert.deepEqual([0, -0, 0.004, 4.2, 12.34, 123.4, -1.5, Infinity, -0.001].map(amount),
    ["0.00", "0.00", "0.00", "4.20", "12.3", "123", "−1.50", "∞", "0.00"]);
});
