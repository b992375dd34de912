// The browser's reading of frames that Python packed (write_frames.py): numbers, texts, groups, growth.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { View, lowerBound, readFrame } from "../../components/token_map/browser/frame.js";
import { learn, shared } from "../../components/token_map/browser/shared.js";

const folder = process.env.FRAMES;
const expected = JSON.parse(readFileSync(`${folder}/expected.json`, "utf8"));

async function view(name, before = null) {
  const frame = await readFrame(new Uint8Array(readFileSync(`${folder}/${name}.frame`)));
  learn(frame.options.shared);
  return new View(frame, before);
}

test("every cell has the text that Python gives it", async () => {
  const whole = await view("whole");
  assert.deepEqual(whole.texts, expected.texts);
  assert.equal(whole.boundary, expected.boundary);
});

test("logprobs, ranks and alternatives arrive to a thousandth of a nat", async () => {
  const whole = await view("whole");
  for (const [row, { id, logprob, rank, alternatives }] of expected.tokens.entries()) {
    const token = whole.token(row);
    assert.equal(token.id, id);
    assert.equal(token.rank, rank);
    if (logprob === null) assert.equal(token.logprob, null);
    else assert.ok(Math.abs(token.logprob - logprob) <= 0.0006, `${token.logprob} is not ${logprob}`);
    assert.deepEqual(whole.alternatives(row).map(({ text }) => text), alternatives);
  }
});

test("the steps of every cell are Python's", async () => {
  const whole = await view("whole");
  for (const { name } of shared.scales) assert.deepEqual([...whole.groups.token.steps[name]], expected.steps[name]);
});

test("words, sentences and lines begin where Python says", async () => {
  const whole = await view("whole");
  for (const name of ["word", "sentence", "line"]) assert.deepEqual([...whole.groups[name].first], expected.groups[name]);
});

test("a frame that continues another adds up to the whole", async () => {
  const [whole, grown] = [await view("whole"), await view("rest", await view("beginning"))];
  assert.deepEqual(grown.texts, whole.texts);
  assert.equal(grown.fingerprint(grown.tokens), expected.fingerprint);
  assert.equal(whole.fingerprint(whole.tokens), expected.fingerprint);
  assert.ok(whole.continues(grown) && grown.continues(whole));
});

test("what belongs to the chat template is known, and the prompt's own text", async () => {
  const whole = await view("whole");
  assert.equal(whole.ownText(whole.boundary), expected.own);
});

test("a deflated frame is the same view", async () => {
  assert.deepEqual((await view("deflated")).texts, expected.texts);
});

test("lowerBound finds the first value that is not below", () => {
  const values = [1, 3, 3, 7];
  assert.deepEqual([0, 1, 2, 3, 4, 7, 8].map((each) => lowerBound(values, each, 4)), [0, 0, 1, 1, 3, 3, 4]);
});
