// The grid of epochs by features (paper, figure 5): each square is what one feature has of one day's pictures, and fills
// as the parts come in.

import {el} from './dom.js';
import {count, plural} from './format.js';

const kUnfinished = 0.97;  // parts are counted, not weighed: only a sealed cell is full

// The squares of an answer of /v1/status, by epoch and feature.
function squares({cells, part_images: partImages}) {
  const at = new Map();
  for (const cell of cells) {
    const key = `${cell.epoch} ${cell.feature}`;
    const one = at.get(key) ?? {images: 0, computed: 0, shards: 0, done: 0, begun: false};
    one.images += cell.images;
    one.shards += 1;
    if (cell.state === 'done') {
      one.done += 1;
      one.computed += cell.images;
    } else {
      one.computed += Math.min(cell.images * kUnfinished, cell.parts * partImages);
      one.begun ||= cell.state === 'running';
    }
    at.set(key, one);
  }
  return at;
}

const stateOf = (one) => (one.done === one.shards ? 'done' : (one.begun || one.done > 0 ? 'running' : 'missing'));

// Rounded down, so that 100 is said of what is whole alone.
const percent = (one) => Math.min(one.done === one.shards ? 100 : 99, Math.floor(100 * one.computed / Math.max(1, one.images)));

function describe(square, one) {
  const state = stateOf(one);
  const words = `${state}: ${plural(one.images, 'picture')}, ${one.done} of ${plural(one.shards, 'shard')} done` +
      (state === 'running' ? `, about ${percent(one)} %` : '');
  const shown = state === 'running' ? `${percent(one)} %` : count(one.images);
  if (square.title === words) return;
  square.className = `cell ${state}`;
  square.title = words;
  square.style.setProperty('--done', `${percent(one)}%`);
  square.firstChild.textContent = words;
  square.lastChild.textContent = shown;
}

// Returns {node, update(answer)}. The table is built anew when a row or a column comes; otherwise its squares change.
export function coverage() {
  const node = el('div');
  let shape = null;
  let drawn = new Map();
  let totals = new Map();
  const build = (at, epochs, features) => {
    drawn = new Map();
    totals = new Map(features.map((feature) => [feature, el('small', {class: 'muted'})]));
    const square = (epoch, feature) => {
      const key = `${epoch} ${feature}`;
      if (!at.has(key)) return el('td', {}, el('span', {class: 'cell none', title: 'No such cell'}, '–'));
      drawn.set(key, el('span', {class: 'cell'}, el('span', {class: 'hidden'}), el('span', {class: 'number', 'aria-hidden': 'true'})));
      return el('td', {}, drawn.get(key));
    };
    const [kind, version] = [(f) => f.split('/')[0], (f) => f.split('/')[1] ?? ''];
    node.replaceChildren(
      el('div', {class: 'cells-box', tabindex: '0', role: 'region', 'aria-label': 'Cells'}, el('table', {class: 'cells'},
        el('thead', {}, el('tr', {}, el('th', {scope: 'col'}, 'Epoch'), ...features.map((f) => el('th', {scope: 'col', title: f},
          el('span', {class: 'kind'}, ...kind(f).split(/(?<=[._])/).flatMap((word, i) => (i ? [el('wbr'), word] : [word]))), el('small', {class: 'muted version'}, version(f)), totals.get(f))))),
        el('tbody', {}, ...epochs.map((epoch) => el('tr', {}, el('th', {scope: 'row'}, epoch), ...features.map((f) => square(epoch, f))))))),
      el('p', {class: 'legend muted', 'aria-hidden': 'true'}, ...['done', 'running', 'missing'].map((state) => el('span', {}, el('i', {class: `cell ${state}`}), state))));
  };
  return {
    node,
    update(found) {
      const at = squares(found);
      if (at.size === 0) {
        shape = null;
        node.replaceChildren(el('p', {class: 'muted'}, 'No cells yet.'));
        return;
      }
      const features = [...new Set(found.cells.map((cell) => cell.feature))].sort();
      const epochs = [...new Set(found.cells.map((cell) => cell.epoch))].sort().reverse();
      const now = JSON.stringify([epochs, features, [...at.keys()].sort()]);
      if (now !== shape) {
        const box = node.querySelector('.cells-box');
        const [left, top] = [box?.scrollLeft ?? 0, box?.scrollTop ?? 0];
        build(at, epochs, features);
        node.firstChild.scrollTo(left, top);
        shape = now;
      }
      for (const [key, one] of at) describe(drawn.get(key), one);
      for (const feature of features) {
        const mine = [...at].filter(([key]) => key.endsWith(` ${feature}`)).map(([, one]) => one);
        const sum = (member) => mine.reduce((total, one) => total + one[member], 0);
        const all = {images: sum('images'), computed: sum('computed'), shards: sum('shards'), done: sum('done')};
        totals.get(feature).textContent = all.done === all.shards ? 'all done' : `${percent(all)} %`;
      }
    },
  };
}
