// What stands above the text: the metric, the grouping, the legend with its thresholds, and what to show.

import { shared } from "./shared.js";
import { colours, edgesOf, legendOf, moveEdge, placeOf, scaleOf } from "./colours.js";
import { count, element } from "./words.js";

const GROUPINGS = { token: "token", word: "word", sentence: "sentence", line: "line", pattern: "pattern …" };
const PICTURES = { "": "Picture …", png: "PNG", svg: "SVG" };
export const TOGGLES = { spaces: "Spaces", code: "Fixed width", fold: "Fold prompt", mute: "Mute template", plain: "Flags only" };

/**
 * Keeps what the reader chose, and tells: `changed` after colours did, `moved` after thresholds did, `shown` after a
 * toggle, `asked` when a pattern was typed, `pictured` when a picture is wanted.
 */
export class Controls {
  constructor(heard) {
    this.heard = heard;
    this.view = null;
    this.metric = shared.scales[0].name; // the one in use
    this.wanted = null; // the one last chosen, which not every completion has
    this.grouping = "token"; // the one in use
    this.wantedGrouping = "token";
    this.pattern = "";
    this.build();
  }

  build() {
    this.metrics = element("div", { class: "metrics", role: "radiogroup", "aria-label": "Colour by" });
    for (const { name, label } of shared.scales) {
      this.metrics.append(element("button", { type: "button", role: "radio", value: name }, label));
    }
    const options = Object.entries(GROUPINGS).map(([name, label]) => element("option", { value: name }, label));
    this.groupings = element("select", { "aria-label": "Group by" }, ...options);
    this.toggles = Object.fromEntries(Object.keys(TOGGLES).map((name) => [name, element("input", { type: "checkbox" })]));
    const pictures = Object.entries(PICTURES).map(([name, label]) => element("option", { value: name }, label));
    this.pictures = element("select", { class: "pictures", "aria-label": "Save as a picture", title: "The selected text, the pinned token's line, or what is in sight" }, ...pictures);
    this.expression = element("input", {
      type: "text", class: "expression", spellcheck: "false", autocomplete: "off", maxlength: "500",
      "aria-label": "Regular expression", placeholder: "Regular expression, such as \\d[\\d.,]*",
    });
    this.answered = element("span", { class: "answered", role: "status" });
    this.asking = element("div", { class: "asking", hidden: "" }, this.expression, this.answered);
    this.legend = element("div", { class: "key", role: "group", "aria-label": "Legend" });
    this.adjust = element("button", {
      type: "button", class: "adjust", "aria-expanded": "false", title: "Move the thresholds between the colours",
    }, "Adjust");
    this.edges = element("div", { class: "edges", role: "group", "aria-label": "Thresholds", hidden: "" });
    this.explanation = element("p", { class: "explanation" });
    this.metrics.onclick = (event) => this.choose(event.target.closest("button"));
    this.metrics.onkeydown = (event) => this.chooseByKey(event);
    this.metrics.onpointerover = (event) => this.explain(event.target.closest("button"));
    this.metrics.onpointerleave = () => this.explain(null);
    this.groupings.onchange = () => this.groupBy(this.groupings.value);
    this.pictures.onchange = () => {
      const { value } = this.pictures;
      this.pictures.value = "";
      if (value) this.heard.pictured(value);
    };
    this.expression.onchange = () => this.match(this.expression.value);
    this.adjust.onclick = () => this.openEdges(this.edges.hidden);
    this.edges.onchange = (event) => this.edited(event.target);
    for (const [name, input] of Object.entries(this.toggles)) input.onchange = () => this.heard.shown(name, input.checked);
  }

  /** The elements in their order, with the map's own beside the toggles. */
  *elements(...beside) {
    const group = element("label", { class: "choice" }, "by", this.groupings);
    this.labels = Object.fromEntries(Object.entries(TOGGLES).map(([name, label]) =>
      [name, element("label", { class: "choice" }, this.toggles[name], label)]));
    yield element("div", { class: "bar" }, this.metrics, group, ...Object.values(this.labels), this.pictures, ...beside);
    yield* [this.asking, this.legend, this.edges, element("div", { class: "about" }, this.explanation, this.adjust)];
  }

  get scale() {
    return scaleOf(this.metric);
  }

  get groups() {
    return this.view.groups[this.grouping];
  }

  /** Take up earlier choices. */
  recall({ metric, grouping, pattern }) {
    this.wanted = metric ?? null;
    this.wantedGrouping = Object.hasOwn(GROUPINGS, grouping) ? grouping : "token";
    this.pattern = this.expression.value = pattern ?? "";
  }

  get chosen() {
    return { metric: this.wanted, grouping: this.wantedGrouping, pattern: this.pattern };
  }

  /** Offer what a completion has; keep to the reader's choices as far as it has them. */
  offer(view) {
    this.view = view;
    // In a file there is no Python to look for a pattern.
    if (view.options.file) this.groupings.querySelector('[value="pattern"]')?.remove();
    const usable = shared.scales.filter(({ name }) => !view.missing.has(name));
    this.metric = (usable.find(({ name }) => name === this.wanted) ?? usable[0] ?? shared.scales[0]).name;
    this.grouping = view.groups[this.wantedGrouping] ? this.wantedGrouping : "token";
    this.groupings.value = this.wantedGrouping;
    this.labels.fold.hidden = !(view.boundary > 0 && view.boundary < view.length);
    this.labels.mute.hidden = !view.hasTemplate;
    this.show();
  }

  show() {
    for (const button of this.metrics.children) {
      const missing = this.view.missing.has(button.value);
      const chosen = button.value === this.metric;
      button.title = missing ? scaleOf(button.value).reason : "";
      button.setAttribute("aria-disabled", missing);
      button.setAttribute("aria-checked", chosen);
      button.tabIndex = chosen ? 0 : -1;
    }
    this.showPattern();
    this.explain(null);
    const scale = `${this.metric} ${edgesOf(this.scale)}`;
    if (scale === this.shown) return; // a growing answer shows often, and must not take away what is being typed
    this.shown = scale;
    this.colours = colours(this.scale);
    this.drawLegend();
    this.openEdges(!this.edges.hidden);
  }

  // --- the metric ---

  choose(button) {
    if (!button) return;
    if (button.getAttribute("aria-disabled") === "true") {
      this.explain(button);
      return;
    }
    this.metric = this.wanted = button.value;
    this.show();
    this.heard.changed();
  }

  chooseByKey(event) {
    const way = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const buttons = [...this.metrics.children];
    const from = buttons.indexOf(event.target);
    if (!way || from < 0) return;
    event.preventDefault();
    const next = buttons[(from + way + buttons.length) % buttons.length];
    next.focus();
    this.explain(next);
    this.choose(next);
  }

  /** Explain the present metric; for a button that cannot be chosen, say why. */
  explain(button) {
    const missing = button && this.view.missing.has(button.value) ? scaleOf(button.value) : null;
    const none = this.view.missing.has(this.metric) ? this.scale.reason : null;
    const wait = this.missing && this.wantedGrouping !== "pattern" ? `Looking for every ${this.wantedGrouping} …` : null;
    this.explanation.textContent = missing?.reason ?? none ?? wait ?? this.scale.explanation;
  }

  // --- the grouping ---

  groupBy(grouping) {
    this.wantedGrouping = grouping;
    this.grouping = this.view.groups[grouping] ? grouping : "token";
    this.show();
    this.heard.changed();
    if (this.missing) this.heard.asked();
    if (grouping === "pattern") this.expression.focus();
  }

  /** Whether Python has to be asked for what the reader wants to group by. */
  get missing() {
    if (this.view.options.live) return false;
    if (this.wantedGrouping === "pattern") return this.pattern !== this.view.asked.text;
    return !this.view.groups[this.wantedGrouping];
  }

  match(pattern) {
    this.pattern = pattern;
    this.showPattern();
    this.heard.asked();
  }

  showPattern() {
    const { asked, options } = this.view;
    this.asking.hidden = this.wantedGrouping !== "pattern";
    this.answered.classList.toggle("wrong", false);
    if (!this.pattern) this.answered.textContent = "Press Enter to see how sure the model was of each match.";
    else if (options.live) this.answered.textContent = "Matches are shown once the answer is complete.";
    else if (asked.text !== this.pattern) this.answered.textContent = "…";
    else {
      this.answered.textContent = asked.error || count(asked.found, "match", "matches");
      this.answered.classList.toggle("wrong", Boolean(asked.error));
    }
  }

  // --- legend and thresholds ---

  drawLegend() {
    const { unit } = this.scale;
    const words = legendOf(this.scale);
    const named = words.some((each) => unit && each.includes(unit)) ? "sure" : `sure, in ${unit}`;
    const steps = words.map((each, step) => element("i", { class: `s${step}` }, each || "–"));
    this.legend.replaceChildren(element("span", {}, unit ? named : "sure"), element("span", { class: "ramp" }, ...steps),
      element("span", {}, "unsure"), element("i", { class: "su" }, "unscored"));
  }

  openEdges(open) {
    this.edges.hidden = !open;
    this.adjust.setAttribute("aria-expanded", open);
    this.adjust.textContent = open ? "Done" : "Adjust";
    if (!open) return;
    const { scale } = this;
    const fields = edgesOf(scale).map((place, i) => element("label", {},
      element("i", { class: `s${i + 1}`, "aria-hidden": "true" }), scale.rising ? "above" : "below",
      element("input", {
        type: "text", inputmode: "decimal", value: scale.words[place].replace("%", ""), "data-edge": i,
        "aria-label": `Colour ${i + 2} begins ${scale.rising ? "above" : "below"}`,
      }), scale.unit));
    const reset = element("button", { type: "button" }, "Usual thresholds");
    reset.onclick = () => this.move(null, null);
    this.edges.replaceChildren(...fields, reset);
  }

  edited(input) {
    const place = placeOf(this.scale, input.value);
    this.move(Number(input.dataset.edge), place ?? edgesOf(this.scale)[Number(input.dataset.edge)]);
    this.openEdges(true); // with the threshold that the typed number led to
    this.edges.querySelector(`[data-edge="${input.dataset.edge}"]`)?.focus();
  }

  move(number, place) {
    moveEdge(this.scale, number, place);
    this.heard.moved();
  }
}
