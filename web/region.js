// A rectangle on a picture: drawn by dragging, moved by its middle, sized by its corners, with mouse, finger or keys.
//
// Regions are {x, y, width, height} in whole pixels of the upright picture, half open, always inside it. onchange(region)
// comes when a drag ends and shortly after the last key; null when it is cleared.

import {el} from './dom.js';

const kLeast = 16;      // pixels of the picture; less holds nothing to compare
const kClick = 6;       // CSS pixels; a shorter drag is a click
const kKeyPause = 500;  // ms after the last key

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export class RegionTool {
  // `stage` is the element that the picture fills exactly.
  constructor(stage, onchange) {
    this.stage = stage;
    this.onchange = onchange;
    this.size = null;     // {width, height} of the upright picture; no region before it is known
    this.region = null;
    this.timer = 0;
    this.box = el('div', {class: 'region', tabindex: '0', role: 'group', hidden: true,
                          'aria-roledescription': 'region', 'aria-keyshortcuts': 'Delete'},
                  ...['nw', 'ne', 'sw', 'se'].map((corner) => el('span', {class: `corner ${corner}`, 'data-corner': corner})));
    stage.append(this.box);
    stage.addEventListener('pointerdown', (event) => this.#down(event));
    this.box.addEventListener('keydown', (event) => this.#key(event));
  }

  setSize(width, height) { this.size = {width, height}; this.#draw(); }

  // Shows a region without telling.
  set(region) { clearTimeout(this.timer); this.region = region; this.#draw(); }

  clear() { if (this.region) { this.set(null); this.onchange(null); } }

  // A first region for those who do not drag: the middle half, with the keyboard on it.
  start() {
    if (!this.size) return;
    if (!this.region) {
      const {width, height} = this.size;
      this.region = this.#whole({x: width / 4, y: height / 4, width: width / 2, height: height / 2});
      this.#draw();
      this.#tellSoon();
    }
    this.box.focus();
  }

  #whole(r) {
    const {width, height} = this.size;
    const least = {width: Math.min(kLeast, width), height: Math.min(kLeast, height)};
    const w = clamp(Math.round(r.width), least.width, width);
    const h = clamp(Math.round(r.height), least.height, height);
    return {x: clamp(Math.round(r.x), 0, width - w), y: clamp(Math.round(r.y), 0, height - h), width: w, height: h};
  }

  #draw() {
    const r = this.size && this.region;
    this.box.hidden = !r;
    this.stage.classList.toggle('has-region', Boolean(r));
    if (!r) return;
    const {width, height} = this.size;
    const style = this.box.style;
    style.left = `${(r.x / width) * 100}%`;
    style.top = `${(r.y / height) * 100}%`;
    style.width = `${(r.width / width) * 100}%`;
    style.height = `${(r.height / height) * 100}%`;
    this.box.setAttribute('aria-label', `Region ${r.width} by ${r.height} pixels at ${r.x}, ${r.y}. ` +
        'Arrow keys move it, Shift with arrow keys resizes it, Delete clears it.');
  }

  #tellSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.onchange(this.region), kKeyPause);
  }

  #down(event) {
    if (!this.size || event.button !== 0 || event.target.closest('button')) return;
    event.preventDefault();
    const rect = this.stage.getBoundingClientRect();
    const scale = this.size.width / rect.width;
    const at = (e) => ({x: clamp((e.clientX - rect.left) * scale, 0, this.size.width),
                        y: clamp((e.clientY - rect.top) * scale, 0, this.size.height)});
    const begin = at(event);
    const old = this.region;
    const corner = event.target.dataset.corner ?? '';
    const moving = !corner && old && this.box.contains(event.target);
    // The corner opposite to the one that is dragged stays; a fresh drag stays at its beginning.
    const fixed = corner ? {x: corner.includes('w') ? old.x + old.width : old.x, y: corner.includes('n') ? old.y + old.height : old.y} : begin;
    let dragged = false;
    const move = (e) => {
      if (!dragged && Math.hypot(e.clientX - event.clientX, e.clientY - event.clientY) < kClick) return;
      dragged = true;
      const now = at(e);
      this.region = this.#whole(moving ? {...old, x: old.x + now.x - begin.x, y: old.y + now.y - begin.y} :
          {x: Math.min(fixed.x, now.x), y: Math.min(fixed.y, now.y), width: Math.abs(now.x - fixed.x), height: Math.abs(now.y - fixed.y)});
      this.#draw();
    };
    const stop = () => {
      this.stage.removeEventListener('pointermove', move);
      this.stage.removeEventListener('pointerup', up);
      this.stage.removeEventListener('pointercancel', cancel);
    };
    const up = () => { stop(); this.box.focus({preventScroll: true}); if (dragged) this.onchange(this.region); };
    const cancel = () => { stop(); this.set(old); };
    clearTimeout(this.timer);
    this.stage.setPointerCapture(event.pointerId);
    this.stage.addEventListener('pointermove', move);
    this.stage.addEventListener('pointerup', up);
    this.stage.addEventListener('pointercancel', cancel);
  }

  #key(event) {
    if (event.key === 'Delete' || event.key === 'Backspace') { event.preventDefault(); this.clear(); return; }
    const way = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (!way || !this.region) return;
    event.preventDefault();
    const step = Math.max(1, Math.round(Math.max(this.size.width, this.size.height) / 40));
    const r = this.region;
    this.region = this.#whole(event.shiftKey ?
        {...r, width: Math.min(r.width + way[0] * step, this.size.width - r.x), height: Math.min(r.height + way[1] * step, this.size.height - r.y)} :
        {...r, x: r.x + way[0] * step, y: r.y + way[1] * step});
    this.#draw();
    this.#tellSoon();
  }
}
