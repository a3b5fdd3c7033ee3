// Colors: the palette of a picture as swatches, and the control beside the query that asks for a color.

import {el, icon} from './dom.js';
import {percent} from './format.js';

// What the control offers at once; any other color comes from the system's own picker.
const kOffered = [['Red', '#c8202a'], ['Orange', '#e8792b'], ['Yellow', '#f2c230'], ['Green', '#2f8f46'], ['Blue', '#2456b5'],
                  ['Purple', '#7a3fa0'], ['Pink', '#e98bb0'], ['Brown', '#7b4a2b'], ['Black', '#161616'], ['White', '#fafafa']];

function swatch(color, label, pressed, onclick) {
  const button = el('button', {type: 'button', class: 'swatch', title: label, 'aria-label': label, 'data-color': color, onclick});
  if (pressed !== null) button.setAttribute('aria-pressed', String(pressed));
  button.style.backgroundColor = color;
  return button;
}

// A palette ([{color, name, weight}]) as a bar whose parts are as wide as their share, and search when clicked.
export function paletteBar(palette, onpick) {
  const bar = el('div', {class: 'palette', role: 'group', 'aria-label': 'Colors of this picture'});
  for (const {color, name, weight} of palette) {
    const part = swatch(color, `Search in ${name}, ${percent(weight)}`, null, () => onpick(color));
    part.style.flexGrow = String(Math.max(weight, 0.06));
    bar.append(part);
  }
  return bar;
}

// The same without a click: for a result.
export function paletteStrip(palette) {
  const strip = el('span', {class: 'strip', 'aria-hidden': 'true'});
  for (const {color, weight} of palette) {
    const part = el('i');
    part.style.backgroundColor = color;
    part.style.flexGrow = String(weight);
    strip.append(part);
  }
  return strip;
}

// The row of colors beside the query. Callback: onpick(color or '').
export class ColorTool {
  constructor(onpick) {
    this.color = '';
    this.alone = false;
    this.onpick = onpick;
    this.input = el('input', {type: 'color', value: '#808080', 'aria-label': 'Another color', title: 'Another color'});
    this.input.addEventListener('change', () => this.onpick(this.input.value));
    this.title = el('h2', {class: 'color-title'});
    this.row = el('div', {class: 'swatches', role: 'group', 'aria-label': 'Wanted color'});
    this.clear = el('button', {type: 'button', class: 'plain', onclick: () => this.onpick('')}, icon('close'), el('span', {}, 'Any color'));
    this.host = el('div', {class: 'color-tool'}, this.title, this.row, this.clear);
  }

  // `alone`: there is no picture to have the look of.
  set(color, alone) {
    this.color = color;
    this.alone = alone;
    this.title.textContent = alone ? 'Another color' : color ? 'The same look, in this color' : 'The same look, in a color';
    this.clear.hidden = !color || alone;
    const offered = kOffered.some(([, one]) => one === color);
    if (color) this.input.value = color;
    this.input.classList.toggle('chosen', Boolean(color) && !offered);
    this.row.replaceChildren(...kOffered.map(([name, one]) => swatch(one, name, one === color, () => this.onpick(one === color && !alone ? '' : one))), this.input);
  }
}
