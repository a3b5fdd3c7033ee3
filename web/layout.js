// Justified rows: pictures keep their shape, rows fill the width exactly, and row heights stay near a target. Row breaks
// are chosen for a whole section at once (least squared log of height / target), so no section ends in a ragged row.
// Pure functions; all lengths are CSS pixels.

// Shapes beyond these are cropped in the grid: a panorama must not make a row 30 pixels high.
const kNarrowest = 0.5;
const kWidest = 2.6;

export const aspect = (item) => Math.min(kWidest, Math.max(kNarrowest, item.width / item.height));

// Lays out `items` in `width`. `gap` lies between pictures and below each row, `caption` is added under each picture.
// `last`: the section ends the collection, so its last row may be shorter than the width.
// Returns {height, boxes: [{x, y, width, height}]}; a box has the picture's height without the caption.
export function justify(items, {width, target, gap, caption, last}) {
  const n = items.length;
  const aspects = items.map(aspect);
  const best = new Float64Array(n + 1).fill(Infinity);  // cost of the best rows for the first i items
  const from = new Int32Array(n + 1);                   // where the last of those rows begins
  best[0] = 0;
  for (let end = 1; end <= n; end += 1) {
    let sum = 0;
    for (let begin = end - 1; begin >= 0; begin -= 1) {
      sum += aspects[begin];
      const height = (width - gap * (end - begin - 1)) / sum;
      const ratio = height / target;
      const ragged = last && end === n && ratio > 1;
      const cost = best[begin] + (ragged ? 0.02 : Math.log(Math.max(ratio, 0.01)) ** 2);
      if (cost < best[end]) { best[end] = cost; from[end] = begin; }
      if (ratio < 0.5) break;
    }
  }
  const breaks = [];
  for (let end = n; end > 0; end = from[end]) breaks.unshift([from[end], end]);

  const boxes = [];
  let y = 0;
  for (const [begin, end] of breaks) {
    let sum = 0;
    for (let i = begin; i < end; i += 1) sum += aspects[i];
    const full = (width - gap * (end - begin - 1)) / sum;
    const ragged = last && end === n && full > target;
    const height = Math.round(ragged ? target : full);
    let exact = 0;
    for (let i = begin; i < end; i += 1) {
      const x = Math.round(exact);
      exact += aspects[i] * (ragged ? target : full) + gap;
      boxes.push({x, y, width: Math.round(exact - gap) - x, height});
    }
    y += height + caption + gap;
  }
  return {height: y, boxes};
}

// How high `n` pictures of mean shape `mean` will be, before they are known.
export function estimate(n, mean, {width, target, gap, caption}) {
  const perRow = Math.max(1, (width + gap) / (target * mean + gap));
  return Math.ceil(Math.ceil(n / perRow) * (target + caption + gap));
}
