// The passage that a reader selected, copied or wants as a picture.

/**
 * The cells of a picture: those of the selection, or of the group or line of the pinned one, or those in sight.
 * @returns {number[]}
 */
export function passage(root, blocks, controls, own) {
  const { groups, grouping } = controls;
  const { view, text } = blocks;
  const range = selected(root, text);
  let [first, last] = [0, view.length - 1];
  if (range && !range.collapsed) {
    const within = [...text.querySelectorAll("i")].filter((each) => range.intersectsNode(each) && each.cell !== undefined);
    [first, last] = [within[0]?.cell ?? 0, within.at(-1)?.cell ?? last];
  } else if (own !== null && grouping !== "token") {
    const group = groups.group(own);
    [first, last] = [groups.start(group), groups.end(group) - 1];
  } else if (own !== null) {
    const lines = view.groups.line;
    if (lines) [first, last] = [lines.start(lines.group(own)), lines.end(lines.group(own)) - 1];
  } else {
    const [from, to] = blocks.inSight();
    [first, last] = [blocks.all[from].first, blocks.all[to - 1].end - 1];
  }
  if (blocks.folded && first < view.boundary && last >= view.boundary) first = view.boundary;
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** The selected part of the text as a range; undefined if nothing in it is selected. */
export function selected(root, text) {
  const [tree, selection] = [root.getRootNode(), document.getSelection()];
  const own = tree.getSelection?.();
  const range = selection.getComposedRanges?.({ shadowRoots: [tree] })[0] ?? (own?.rangeCount ? own.getRangeAt(0) : undefined);
  if (!range || !text.contains(range.startContainer)) return undefined;
  const found = document.createRange();
  found.setStart(range.startContainer, range.startOffset);
  found.setEnd(range.endContainer, range.endOffset);
  return found;
}
