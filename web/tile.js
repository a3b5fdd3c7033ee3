// One picture of a grid: a link that searches with it, its caption, and a button for its details.

import {thumbnailAddress} from './api.js';
import {paletteStrip} from './color.js';
import {el, icon} from './dom.js';
import {caption, percent, score} from './format.js';
import {partOf} from './outline.js';
import {load, thumbnailSize, unload} from './picture.js';

// A score as a bar and a number. Scores below zero show an empty bar.
export function scoreBar(value) {
  const fill = el('span', {class: 'fill'});
  fill.style.width = `${Math.max(0, Math.min(1, value)) * 100}%`;
  return el('span', {class: 'score'}, el('span', {class: 'track', 'aria-hidden': 'true'}, fill), el('b', {}, score(value)));
}

// Keypoints that query and hit have in common; the full sentence is in the title.
const keypoints = (e) => e.tokens && el('span', {title: `${e.tokens.verified} keypoints lie as in the picture asked with`}, `${e.tokens.verified} points`);

const copyWords = (n) => (n === 1 ? 'and 1 copy' : `and ${n} copies`);

function words(item) {
  if (!item.evidence) {
    return el('span', {class: 'over'}, el('span', {class: 'line'}, caption(item)),
              item.board_title && item.board_title !== caption(item) && el('span', {class: 'line small'}, item.board_title));
  }
  const e = item.evidence;
  if (e.color) {
    return el('span', {class: 'under'}, scoreBar(item.score), el('span', {class: 'why-line', title: `How much of it has the color: ${percent(e.color.match)}`},
      paletteStrip(e.color.palette), el('span', {}, `${percent(e.color.match)} in this color`)), el('span', {class: 'line'}, caption(item)));
  }
  const copies = item.duplicates?.length ?? 0;
  return el('span', {class: 'under'}, scoreBar(item.score), el('span', {class: 'why-line', title: `${e.feature}: ${e.hamming_bits} of ${e.code_bits} bits differ, cosine ${score(e.cosine)}`},
    e.probability === undefined ? el('span', {}, `${e.hamming_bits}/${e.code_bits} bits`) : el('span', {}, `${percent(e.probability)} sure`),
    keypoints(e), el('span', {}, `cos ${score(e.cosine)}`), copies > 0 && el('span', {class: 'copies'}, copyWords(copies))), el('span', {class: 'line'}, caption(item)));
}

// `place` is {index, total, href}. The element has show() to load its picture, gone() to stop, move(box) to place it.
export function makeTile(item, place) {
  const img = el('img', {alt: '', decoding: 'async', draggable: 'false'});
  const frame = el('span', {class: 'frame'}, img, partOf(item.evidence));
  const said = item.evidence ? `, score ${score(item.score)}` : '';
  const link = el('a', {class: 'tile-link', href: place.href, draggable: 'false', tabindex: '-1', 'aria-keyshortcuts': 'i',
                        'aria-label': `Search like: ${caption(item)}${said}`}, frame, words(item));
  const info = el('button', {class: 'tile-info', type: 'button', tabindex: '-1', title: 'Details (I)',
                             'aria-label': `Details of ${caption(item)}`}, icon('info'));
  const tile = el('div', {class: 'tile', role: 'listitem', 'data-index': place.index, 'data-signature': item.signature,
                          'aria-posinset': place.index + 1, 'aria-setsize': place.total}, link, info);
  let shown = false;
  let longest = 0;
  return {
    tile, link, item,
    show() {
      if (shown) return;
      shown = true;
      load(img, thumbnailAddress(item.signature, thumbnailSize(longest)));
    },
    gone() { unload(img); tile.remove(); },
    move(x, y, box) {
      longest = Math.max(box.width, box.height);
      tile.style.transform = `translate(${x}px, ${y}px)`;
      tile.style.width = `${box.width}px`;
      frame.style.height = `${box.height}px`;
    },
  };
}
