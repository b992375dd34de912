// Numbers and text as people read them; the numbers in the words of lib/formatting.py.

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

// Characters that show nothing; lib/segmentation/char_classes.py has the same rules, and says why.
export const BLANK = String.raw`\p{Default_Ignorable_Code_Point}\p{Cc}\p{Zl}\p{Zp}\p{Zs}\ufff9-\ufffb\u2800\u{1d159}`;
const JOINING = "Arabic Syriac Mandaic Nko Mongolian Phags_Pa Adlam Hanifi_Rohingya Devanagari Bengali Gurmukhi Gujarati Oriya Tamil "
  + "Telugu Kannada Malayalam Sinhala Khmer Myanmar Tibetan Balinese Javanese Tai_Tham Meetei_Mayek Grantha Newa";
const LETTER = String.raw`(?=[\p{L}\p{M}])[${JOINING.replace(/\S+ ?/g, (name) => `\\p{Script_Extensions=${name.trim()}}`)}]`;
const TAGS = String.raw`(?:\u{e0065}\u{e006e}\u{e0067}|\u{e0073}\u{e0063}\u{e0074}|\u{e0077}\u{e006c}\u{e0073})`;
const AT_WORK = [
  String.raw`\p{Extended_Pictographic}[\ufe0e\ufe0f]`,
  String.raw`[0-9#*]\ufe0f(?=\u20e3)`,
  String.raw`\p{Extended_Pictographic}[\ufe0e\ufe0f\p{Emoji_Modifier}]?\u200d(?=\p{Extended_Pictographic})`,
  String.raw`${LETTER}[\u200c\u200d]`,
  String.raw`\p{Script=Mongolian}[\u180b-\u180d\u180f]`,
  String.raw`\u{1f3f4}(?=\u{e0067}\u{e0062}${TAGS}\u{e007f})[\u{e0020}-\u{e007f}]{1,6}`,
];
export const HIDDEN = new RegExp(`(?![ \\t\\n\\r])[${BLANK}]${AT_WORK.map((each) => `(?<!${each})`).join("")}`, "gu");
export const DIRECTION = /[\u202a-\u202e\u2066-\u2069]/;

export function codePoint(letter) {
  return `U+${letter.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}

/** Text with each hidden character as its number. Spaces, tabs and line breaks stay as they are. */
export function marked(text) {
  return text.replace(HIDDEN, (each) => `‹${codePoint(each)}›`);
}

/** Text with its white space and its hidden characters made visible. */
export function visible(text) {
  if (text === "") return "no text";
  return marked(text)
    .replace(/\r\n|\n/g, "↵").replaceAll("\t", "→").replaceAll(" ", "·").replaceAll("\r", "␍");
}

/** The beginning of a text on one line, in quotation marks. */
export function excerpt(text, most = 120) {
  const line = marked(text).replace(/\s+/g, " ").trim();
  const letters = [...line.slice(0, 2 * most + 2)];
  return `“${letters.length > most ? `${letters.slice(0, most).join("").trimEnd()} …` : line}”`;
}

/**
 * An element with a class, attributes and children; strings become text nodes.
 * @param {string} name
 * @param {Record<string, string>} attributes
 * @param {...(Node | string)} children
 * @returns {any} the type of element depends on `name`
 */
export function element(name, { class: className, ...attributes } = {}, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
