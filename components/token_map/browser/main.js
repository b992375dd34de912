// The token map on a page: with answers that grow.

import draw from "./token_map.js";
import { Feed } from "./feed.js";

/** Called by Streamlit whenever the data or the theme changed. */
export default function drawOnPage(component) {
  return draw(component, Feed);
}
