// Maps that are read side by side scroll together: prompt beside prompt and answer beside answer.

/** Where a map is scrolled to: 0 to 1 within its prompt, 1 to 2 within its answer, however long each of them is. */
export function placeIn(map) {
  const [answer, most] = landmarks(map);
  const { scrollTop } = map.text;
  if (scrollTop < answer) return scrollTop / answer;
  return most > answer ? 1 + (scrollTop - answer) / (most - answer) : 1;
}

/** Scroll a map to the same place. */
export function lead(map, place) {
  const [answer, most] = landmarks(map);
  map.text.scrollTop = place < 1 ? place * answer : answer + (place - 1) * (most - answer);
}

/** How far a map is scrolled where its answer begins at the top, and at its end. */
function landmarks(map) {
  const { text, view } = map;
  const most = text.scrollHeight - text.clientHeight;
  const { boundary } = view;
  if (boundary === 0 || boundary >= view.length || map.blocks.folded) return [0, most];
  const element = map.blocks.cells[boundary] ?? map.blocks.blockOf(boundary).element;
  const top = element.getBoundingClientRect().top - text.getBoundingClientRect().top + text.scrollTop;
  return [Math.max(0, Math.min(top, most)), most];
}
