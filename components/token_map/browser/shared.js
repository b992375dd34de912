// What both halves must agree on, as Python sends it with a text's first frame; see SHARED in ../frames.py.

/** The scales of lib/display/scales.py, how many colours there are, and what the numbers in a column of steps mean. */
export const shared = { scales: [], colours: 0, unsure: 0, outside: 0, unscored: 0, unknown: "" };

export function learn(told) {
  if (told) Object.assign(shared, told);
}
