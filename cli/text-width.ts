const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const EMOJI = /\p{Emoji_Presentation}|\uFE0F/u;
/** East Asian wide and fullwidth blocks: terminals give such a character two columns. */
const WIDE =
  /[\u1100-\u115F\u2E80-\u303E\u3041-\uA4CF\uA960-\uA97F\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6\u{1B000}-\u{1B2FF}\u{20000}-\u{3FFFD}]/u;
const ASCII = /^[\x20-\x7E]*$/;

/** How many columns of a terminal a text without control characters takes. */
export function textWidth(text: string): number {
  if (ASCII.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += graphemeWidth(segment);
  return width;
}

/** Cuts a text to so many columns, with … at its end when something is missing; never within a character. */
export function fitWidth(text: string, most: number): string {
  if (most < 2) return "";
  // No character has more columns than code units: what is far too long need not be looked at to its end.
  const near = text.length > 8 * most ? text.slice(0, 8 * most) : text;
  if (near === text && textWidth(text) <= most) return text;
  let width = 0;
  let kept = "";
  for (const { segment } of graphemes.segment(near)) {
    width += graphemeWidth(segment);
    if (width > most - 1) break;
    kept += segment;
  }
  return `${kept}…`;
}

/** Spaces behind a text up to a width. */
export function padWidth(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - textWidth(text)));
}

function graphemeWidth(segment: string): number {
  return EMOJI.test(segment) || WIDE.test(segment) ? 2 : 1;
}
