// Two pictures that show the same: side by side with what both show outlined, or laid upon one another as the evidence
// says, with a slider between them, blinking, or as their difference.
//
// A side is {signature, width, height, caption} for a picture of the collection, or {blob, width, height, caption} for
// a file of the user. The transform takes pixels of the first to pixels of the second.

import {thumbnailAddress} from './api.js';
import {el, icon} from './dom.js';
import {count, percent, plural} from './format.js';
import {outline} from './outline.js';
import {load, unload} from './picture.js';

const kWays = [['sides', 'Side by side'], ['slider', 'Slider'], ['blink', 'Blink'], ['difference', 'Difference']];
const kBlink = 700;  // ms
const kWhole = 0.97;  // a share from here on is all of it: borders of a pixel or two count for nothing

export const kVerdicts = {same: 'Same photograph', similar: 'Similar'};

// The mark of a verdict: a sign and a word, never a color alone.
export const verdictMark = (verdict, word = kVerdicts[verdict]) =>
  el('span', {class: `verdict ${verdict}`}, el('span', {class: 'sign', 'aria-hidden': 'true'}, verdict === 'same' ? '=' : '≈'), word);

// What became of the first picture on the way to the second, in words; at least one. Of another photograph, only that.
export function changes({verdict, evidence}) {
  if (verdict !== 'same') return ['another photograph'];
  const out = [];
  if (evidence.mirrored) out.push('mirrored');
  const turned = Math.round(evidence.turned);
  if (Math.abs(turned) >= 1) out.push(`turned ${Math.abs(turned)}° ${turned > 0 ? 'right' : 'left'}`);
  if (evidence.query_coverage < kWhole) out.push(`cropped to ${percent(evidence.query_coverage)}`);
  if (evidence.coverage < kWhole) out.push(`${percent(1 - evidence.coverage)} added around it`);
  if (Math.abs(evidence.scale - 1) > 0.02) out.push(`scaled to ${percent(evidence.scale)}`);
  return out.length ? out : ['size and place unchanged'];
}

// The evidence with the two pictures exchanged.
export function reversed(e) {
  const [a, b, left, c, d, top] = e.transform;
  const area = a * d - b * c;
  return {...e, transform: [d / area, -b / area, (b * top - d * left) / area, -c / area, a / area, (c * left - a * top) / area],
          turned: e.mirrored ? e.turned : -e.turned, scale: 1 / e.scale, query_region: e.region, region: e.query_region,
          query_coverage: e.coverage, coverage: e.query_coverage};
}

// The box, in pixels of the second picture, that holds both: {left, top, width, height}.
export function boxOf([a, b, left, c, d, top], first, second) {
  const xs = [0, second.width];
  const ys = [0, second.height];
  for (const [x, y] of [[0, 0], [first.width, 0], [0, first.height], [first.width, first.height]]) {
    xs.push(a * x + b * y + left);
    ys.push(c * x + d * y + top);
  }
  const [x0, y0] = [Math.min(...xs), Math.min(...ys)];
  return {left: x0, top: y0, width: Math.max(...xs) - x0, height: Math.max(...ys) - y0};
}

export class Compare {
  constructor(dialog) {
    this.dialog = dialog;
    this.way = 'sides';
    this.images = [];
    this.timer = 0;
    dialog.addEventListener('close', () => this.#forget());
    dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });  // the backdrop
    dialog.addEventListener('keydown', (event) => this.#key(event));
    this.resized = new ResizeObserver(() => this.layout?.());
  }

  // Opens on the pair at `at` of `pairs`, each {first, second, verdict, score, evidence}.
  open(pairs, at = 0) {
    this.pairs = pairs;
    this.at = at;
    this.stage = el('div', {class: 'compare-stage'});
    this.resized.disconnect();
    this.resized.observe(this.stage);
    this.title = el('h2', {id: 'compare-title'});
    this.facts = el('div', {class: 'compare-facts'});
    this.ways = el('div', {class: 'ways', role: 'radiogroup', 'aria-label': 'How to compare'},
      ...kWays.map(([way, label]) => el('button', {type: 'button', role: 'radio', 'data-way': way, onclick: () => this.#show(way)}, label)));
    this.place = el('span', {class: 'muted', role: 'status'});
    const step = (by, name, turn) => el('button', {type: 'button', class: `round ${turn}`, 'aria-label': name, title: name, onclick: () => this.#step(by)}, icon('back'));
    this.steps = el('div', {class: 'steps', hidden: pairs.length < 2}, step(-1, 'Previous pair (P)', ''), this.place, step(1, 'Next pair (N)', 'forth'));
    this.dialog.replaceChildren(
      el('div', {class: 'compare-head'}, this.title, this.ways, this.steps,
         el('button', {type: 'button', class: 'round', 'aria-label': 'Close', title: 'Close (Esc)', onclick: () => this.dialog.close()}, icon('close'))),
      this.stage, this.facts);
    if (!this.dialog.open) this.dialog.showModal();
    this.#pair();
    this.ways.querySelector('[aria-checked="true"]').focus({focusVisible: false});
  }

  #step(by) {
    this.at = (this.at + by + this.pairs.length) % this.pairs.length;
    this.#pair();
  }

  #key(event) {
    if (event.metaKey || event.ctrlKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key === 'n' || key === 'p') { if (this.pairs.length > 1) this.#step(key === 'n' ? 1 : -1); return; }
    if (event.target.getAttribute('role') !== 'radio' || !/^Arrow/.test(event.key)) return;
    event.preventDefault();
    const by = /Right|Down/.test(event.key) ? 1 : kWays.length - 1;
    const way = kWays[(kWays.findIndex(([one]) => one === this.way) + by) % kWays.length][0];
    this.#show(way);
    this.ways.querySelector(`[data-way="${way}"]`).focus();
  }

  #pair() {
    const {first, second, verdict, score, evidence: e} = this.pairs[this.at];
    this.title.replaceChildren(verdictMark(verdict));
    this.place.textContent = `${this.at + 1} of ${this.pairs.length}`;
    const rows = [
      ['Change', changes(this.pairs[this.at]).join(', ')],
      ['Keypoints', e.keypoints.inliers ? `${count(e.keypoints.inliers)} of ${plural(e.keypoints.pairs, 'pair')} lie where they should` : 'too few agree; the hashes do'],
      ['Hash', e.hash && `${e.hash.distance} of 256 bits differ`],
      ['In both', `${percent(e.query_coverage)} of the first, ${percent(e.coverage)} of the second`],
      ['Pixels', `${percent(e.pixels.agreeing)} of the blocks agree, correlation ${e.pixels.correlation.toFixed(2)}`],
      ['Score', `${score.toFixed(2)}; the same photograph from 0.50 on`],
    ];
    this.facts.replaceChildren(
      el('p', {class: 'meaning'}, verdict === 'same' ? 'The second is the first one altered.' : 'Two photographs of something alike: where they overlap, the pixels do not agree.'),
      el('dl', {class: 'facts-list'}, ...rows.filter(([, value]) => value).map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value)))));
    this.#show(this.way);
  }

  #forget() {
    clearInterval(this.timer);
    this.layout = null;
    for (const img of this.images) unload(img);
    this.images = [];
  }

  #picture(side, name) {
    const img = el('img', {alt: `${name}: ${side.caption}`, draggable: 'false'});
    if (side.blob) { img.onload = () => img.classList.add('ready'); img.src = side.blob; }
    else load(img, thumbnailAddress(side.signature, 1024));
    this.images.push(img);
    return img;
  }

  #show(way) {
    this.#forget();
    this.way = way;
    for (const button of this.ways.children) {
      const chosen = button.dataset.way === way;
      button.setAttribute('aria-checked', String(chosen));
      button.tabIndex = chosen ? 0 : -1;
    }
    this.stage.className = `compare-stage ${way}`;
    if (way === 'sides') this.#sides();
    else this.#overlay(way);
    this.layout();
  }

  #sides() {
    const {first, second, evidence} = this.pairs[this.at];
    const figures = [[first, 'First', evidence.query_region], [second, 'Second', evidence.region]].map(([side, name, region]) => {
      const frame = el('div', {class: 'side-frame'}, this.#picture(side, name), region.length > 2 && outline(region, side));
      return {side, frame, node: el('figure', {}, frame, el('figcaption', {}, el('b', {}, name), ' ', el('span', {}, side.caption),
        el('small', {}, `${count(side.width)} × ${count(side.height)}`)))};
    });
    this.stage.replaceChildren(...figures.map((figure) => figure.node));
    this.layout = () => {
      const narrow = this.stage.clientWidth < 560;
      const room = {width: narrow ? this.stage.clientWidth : (this.stage.clientWidth - 16) / 2, height: innerHeight * (narrow ? 0.3 : 0.56)};
      for (const {side, frame} of figures) {
        const scale = Math.min(room.width / side.width, room.height / side.height);
        frame.style.width = `${side.width * scale}px`;
        frame.style.height = `${side.height * scale}px`;
      }
    };
  }

  #overlay(way) {
    const {first, second, evidence} = this.pairs[this.at];
    const below = this.#picture(second, 'Second');
    const above = this.#picture(first, 'First, laid upon it');
    const veil = el('div', {class: 'veil'}, above);
    const edge = el('div', {class: 'edge', hidden: way !== 'slider'});
    const sheet = el('div', {class: 'sheet-of-two'}, below, veil, edge);
    const range = el('input', {type: 'range', min: 0, max: 100, value: 50, 'aria-label': 'How much of the first picture is seen, from the left'});
    const say = el('p', {class: 'muted', role: 'status'});
    const swap = el('button', {type: 'button', class: 'plain'}, 'Hold still');
    const slide = () => {
      veil.style.clipPath = `inset(0 ${100 - range.value}% 0 0)`;
      edge.style.left = `${range.value}%`;
    };
    const turn = (seen) => { veil.hidden = !seen; say.textContent = seen ? 'First' : 'Second'; };
    const blink = (on) => {
      clearInterval(this.timer);
      swap.textContent = on ? 'Hold still' : 'Swap';
      if (on) this.timer = setInterval(() => turn(veil.hidden), kBlink);
    };
    let tools = null;
    if (way === 'slider') {
      tools = [el('span', {}, 'First'), range, el('span', {}, 'Second')];
      range.addEventListener('input', slide);
      const drag = (event) => {
        const box = sheet.getBoundingClientRect();
        range.value = Math.max(0, Math.min(100, (event.clientX - box.left) / box.width * 100));
        slide();
      };
      sheet.addEventListener('pointerdown', (event) => { sheet.setPointerCapture(event.pointerId); drag(event); });
      sheet.addEventListener('pointermove', (event) => { if (sheet.hasPointerCapture(event.pointerId)) drag(event); });
      slide();
    } else if (way === 'blink') {
      // Nothing blinks for who asked for no motion: there a click swaps.
      let moving = !matchMedia('(prefers-reduced-motion: reduce)').matches;
      say.setAttribute('aria-live', 'off');
      turn(true);
      blink(moving);
      swap.onclick = () => { if (moving) { moving = false; blink(false); } else turn(veil.hidden); };
      tools = [swap, say];
    } else tools = [el('p', {class: 'muted'}, 'Black where the two agree.')];
    this.stage.replaceChildren(sheet, el('div', {class: 'overlay-tools'}, ...tools));
    const box = boxOf(evidence.transform, first, second);
    this.layout = () => {
      const scale = Math.min(this.stage.clientWidth / box.width, innerHeight * 0.56 / box.height);
      const [a, b, left, c, d, top] = evidence.transform;
      sheet.style.width = `${box.width * scale}px`;
      sheet.style.height = `${box.height * scale}px`;
      below.style.width = `${second.width * scale}px`;
      below.style.height = `${second.height * scale}px`;
      below.style.transform = `translate(${-box.left * scale}px, ${-box.top * scale}px)`;
      above.style.width = `${first.width * scale}px`;
      above.style.height = `${first.height * scale}px`;
      above.style.transform = `matrix(${a}, ${c}, ${b}, ${d}, ${(left - box.left) * scale}, ${(top - box.top) * scale})`;
    };
  }
}
