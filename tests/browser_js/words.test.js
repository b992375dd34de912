// Numbers and texts as they are shown. tests/lib/test_formatting.py holds Python's to the same examples.

import assert from "node:assert/strict";
import { test } from "node:test";
import { bracket, count, excerpt, marked, nats, percent, rest, visible } from "../../components/token_map/browser/words.js";

test("probabilities keep steady decimals, and tiny ones are not zero", () => {
  const shown = [0.5, 0.09949, 0.001, 0.00012, 1e-7].map((p) => percent(Math.log(p)));
  assert.deepEqual(shown, ["50.0%", "9.95%", "0.10%", "0.012%", "1.0e-07"]);
  assert.equal(percent(-Infinity), "< 1e-28");
});

test("logprobs have a true minus sign, and no minus zero", () => {
  assert.deepEqual([-0.7, -0.0001, 0, -Infinity].map(nats), ["−0.700", "0.000", "0.000", "< −65.5"]);
});

test("an entropy known exactly is one number", () => {
  assert.deepEqual([bracket(1, 1.001), bracket(1, 2), bracket(1, Infinity)], ["1.00 nats", "1.00 to 2.00 nats", "at least 1.00 nats"]);
});

test("counts agree with their nouns", () => {
  assert.deepEqual([count(1, "match", "matches"), count(1200, "token")], ["1 match", "1,200 tokens"]);
});

test("mass outside the list is never shown as nothing", () => assert.equal(rest(0.0001), "< 0.05%"));

test("hidden characters are shown by number, and joiners at work are left alone", () => {
  assert.equal(marked("a\u200bb"), "a‹U+200B›b");
  assert.equal(marked("👩\u200d🔬"), "👩\u200d🔬");
  assert.equal(visible(" a\n\t"), "·a↵→");
  assert.equal(visible(""), "no text");
});

test("an excerpt is one line and cut between letters", () => {
  assert.equal(excerpt(" a\n b "), "“a b”");
  assert.equal(excerpt("👩".repeat(50), 5), `“${"👩".repeat(5)} …”`);
});
