// A growing answer, fetched as it grows (components/token_map/feed.py): no run of the page, and so no work for React.

import { readFrame } from "./frame.js";

const TRIES = 4; // until frames are taken to be out of reach
const AGAIN = 1000; // milliseconds between tries, and until Python is told again what it seems to have missed
const SHARE = 5; // after a frame the browser rests for this many times as long as the frame took it
const REST = { first: 30, least: 100, most: 500 }; // milliseconds of that
const FIRST = 5; // frames that follow each other as fast as they can

/** Where the server answers, whatever prefix it is behind: beside the address that this file came from. */
function address(key) {
  const [before] = import.meta.url.split("/_stcore/");
  return `${before}/growing/${encodeURIComponent(key)}`;
}

export class Feed {
  /**
   * @param {string} key
   * @param {object} options of every frame
   * @param {import("./token_map.js").TokenMap} map
   */
  constructor(key, options, map) {
    this.key = key;
    this.options = options;
    this.map = map;
    this.stopped = new AbortController();
    this.version = -1;
    this.settled = 0;
    this.follow().catch((error) => this.failed(error));
  }

  stop() {
    this.stopped.abort();
  }

  /** The page then shows the answer another way. */
  failed(error) {
    if (this.stopped.signal.aborted) return;
    console.error(error);
    this.tell("unreachable").catch(() => {});
  }

  async follow() {
    const { signal } = this.stopped;
    let [failed, drawn] = [0, 0];
    while (!signal.aborted) {
      await inSight(signal);
      const frame = await this.next().catch((error) => {
        if (signal.aborted) throw error;
        return null;
      });
      if (frame === null) {
        if (++failed >= TRIES) return this.tell("unreachable");
        await pause(AGAIN, signal);
        continue;
      }
      failed = 0;
      const began = performance.now();
      this.draw(frame);
      if (frame.options.over) return this.tell("over");
      await painted(signal);
      const least = ++drawn > FIRST ? REST.least : REST.first;
      await pause(Math.min(Math.max(SHARE * (performance.now() - began), least), REST.most), signal);
    }
  }

  /** The next frame, with what is new after the one before; null if the server has none to give. */
  async next() {
    const before = this.settled ? this.map.view.fingerprint(this.settled) : 0;
    const asked = `version=${this.version}&base=${this.settled}&before=${before}`;
    const response = await fetch(`${address(this.key)}?${asked}`, { cache: "no-store", signal: this.stopped.signal });
    return response.ok ? readFrame(new Uint8Array(await response.arrayBuffer())) : null;
  }

  draw(frame) {
    const { version, settled, status } = frame.options;
    this.version = version;
    this.map.tellProgress(status);
    if (!frame.meta) return;
    Object.assign(frame.options, this.options);
    this.map.update(frame);
    this.settled = settled;
  }

  /** Tell Python, until it answers with something that ends this feed. */
  async tell(what) {
    const { signal } = this.stopped;
    while (!signal.aborted) {
      this.map.send(what, { key: this.key, at: Date.now() });
      await pause(3 * AGAIN, signal);
    }
  }
}

/** Once the page can be seen: nothing is drawn in a tab behind others. */
function inSight(signal) {
  return document.visibilityState === "visible" ? null : heard(document, "visibilitychange", signal);
}

/** Once the browser has drawn what was changed; at the latest after a while, as it draws nothing that is out of sight. */
function painted(signal) {
  return Promise.race([new Promise((done) => requestAnimationFrame(() => setTimeout(done))), pause(500, signal)]);
}

function pause(milliseconds, signal) {
  return new Promise((done, fail) => {
    const stop = () => (clearTimeout(timer), fail(signal.reason));
    const timer = setTimeout(() => (signal.removeEventListener("abort", stop), done()), milliseconds);
    signal.addEventListener("abort", stop, { once: true });
  });
}

function heard(target, event, signal) {
  return new Promise((done, fail) => {
    target.addEventListener(event, done, { once: true, signal });
    signal.addEventListener("abort", () => fail(signal.reason), { once: true });
  });
}
