// A text in spans, each tinted by a difference. Python works out every number; texts are never markup.

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".differences") ?? parentElement.appendChild(element("div", "differences"));
  const legend = element("div", "legend");
  legend.append(element("span", "end", data.less));
  data.legend.forEach((words, place) => legend.append(element("span", tint(place - data.most), words)));
  legend.append(element("span", "end", data.more));
  const text = element("div", "text");
  text.setAttribute("role", "group");
  text.setAttribute("aria-label", data.label);
  data.texts.forEach((each, place) => {
    plain(text, data.around[place]);
    const span = element("span", tint(data.steps[place]), each);
    span.title = data.tips[place];
    text.append(span);
  });
  plain(text, data.around[data.texts.length]);
  root.replaceChildren(legend, text);
}

/** Text that nothing is said of. */
function plain(text, content) {
  if (content) text.append(element("span", "none", content));
}

function tint(step) {
  return step ? `${step > 0 ? "more" : "less"} s${Math.abs(step)}` : "zero";
}

function element(name, classes, content = "") {
  const made = document.createElement(name);
  made.className = classes;
  made.textContent = content;
  return made;
}
