// Numbers and text as people read them; the numbers in the words of lib/formats.py.

/** A probability from its logprob. */
export function percent(logprob) {
  if (logprob === -Infinity) return "< 1e-28";
  const p = Math.exp(logprob);
  if (p >= 0.0995) return `${(100 * p).toFixed(1)}%`;
  if (p >= 0.001) return `${(100 * p).toFixed(2)}%`;
  if (p >= 1e-6) return `${plain((100 * p).toPrecision(2))}%`;
  return p.toExponential(1).replace(/e-(\d)$/, "e-0$1");
}

/** 6.1e-7 written out, 0.00000061, and 0.0010 as 0.001. */
function plain(number) {
  const written = number.includes("e") ? Number(number).toFixed(9) : number;
  return written.replace(/0+$/, "");
}

export function nats(logprob) {
  return logprob === -Infinity ? "< −65.5" : logprob.toFixed(3).replace(/^-(?=0\.0+$)/, "").replace("-", "−");
}

/** A range in nats, as one number where it is tight. */
export function bracket(low, high) {
  if (!Number.isFinite(high)) return `at least ${low.toFixed(2)} nats`;
  const [least, most] = [low.toFixed(2), high.toFixed(2)];
  return least === most ? `${most} nats` : `${least} to ${most} nats`;
}

export function rest(mass) {
  return mass < 0.0005 ? "< 0.05%" : `${(100 * mass).toFixed(1)}%`;
}

export function rankInWords(rank) {
  return rank === null ? "rank unknown" : `rank ${NUMBERS.format(rank)}`;
}

export function count(number, noun, nouns = `${noun}s`) {
  return `${NUMBERS.format(number)} ${number === 1 ? noun : nouns}`;
}

const NUMBERS = new Intl.NumberFormat("en"); // toLocaleString makes one every time

export const INVISIBLE = /[\0-\x08\v\f\x0e-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/u;
export const DIRECTION = /[\u202a-\u202e\u2066-\u2069]/;
export const JOINERS_ONLY = /^[\u200c\u200d\ufe00-\ufe0f]+$/;

export function codePoints(text) {
  return Array.from(text, (each) => `U+${each.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`).join(" ");
}

/** Text with its white space and its invisible characters to be seen. */
export function visible(text) {
  if (text === "") return "no text";
  if (JOINERS_ONLY.test(text)) return codePoints(text);
  return text.replace(/\r\n|\n/g, "↵").replaceAll("\t", "→").replaceAll(" ", "·").replaceAll("\r", "␍")
    .replace(new RegExp(INVISIBLE, "gu"), (each) => `‹${codePoints(each)}›`);
}

/** An element with a class, attributes and children; strings become text nodes. */
export function element(name, { class: className, ...attributes } = {}, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
