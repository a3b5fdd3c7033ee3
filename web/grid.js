// A grid of any number of pictures, of which the DOM holds only those near the viewport.
//
// The collection is cut into sections (source.js). A section that is loaded has exact justified rows; one that is not
// has an estimated height, so the scrollbar is right from the start and a jump loads only the sections it lands on. When
// a section's true height arrives, the picture at the top of the viewport stays where it is.
//
// The window scrolls, not the grid. Callbacks: onopen(item, event), ondetail(item), onfirst(index of the first picture
// in view), oncut(how many can be shown) where the collection is higher than browsers can scroll.

import {aspect, estimate, justify} from './layout.js';
import {kSection} from './source.js';
import {makeTile} from './tile.js';

const kOverscan = 500;         // pixels kept above and below the viewport
const kHighest = 15_000_000;   // browsers place nothing beyond about 17 to 33 million pixels

export class Grid {
  constructor(host, {caption, target, narrow, href, label}) {
    this.host = host;
    this.captionHeight = caption;
    this.target = target;           // height of a row on a wide window, pixels
    this.narrow = narrow;           // and on a phone
    this.href = href;
    this.source = null;
    this.tiles = new Map();         // index -> tile
    this.blanks = new Map();        // section -> placeholder
    this.sections = [];             // {top, height, boxes: null | [...]}
    this.active = 0;                // the picture that Tab reaches
    this.pending = null;            // to be focused as soon as it is loaded
    this.lastTop = 0;
    this.frame = 0;
    this.onopen = this.ondetail = this.onfirst = this.oncut = () => {};
    host.className = 'grid';
    host.setAttribute('role', 'list');
    host.setAttribute('aria-label', label);
    host.addEventListener('click', (event) => this.#click(event));
    host.addEventListener('keydown', (event) => this.#key(event));
    host.addEventListener('focusin', (event) => this.#focused(event));
    addEventListener('scroll', () => this.#soon(), {passive: true});
    addEventListener('resize', () => this.#soon());
    new ResizeObserver(() => this.#resized()).observe(host);
  }

  // Shows another source, from its first picture, or with picture `first` at the top.
  show(source, first = 0) {
    this.source?.stop();
    this.#clear();
    this.source = source;
    this.mean = 0.9;
    this.first = first;
    this.active = first;
    this.pending = null;
    source.onsection = (s) => this.#arrived(s);
    if (source.total === null) { this.sections = []; this.host.style.height = '100vh'; source.want([0]); this.#soon(); }
    else this.#begin();
  }

  get count() { return this.shown ?? 0; }

  // Puts the keyboard on picture `index`, scrolling as little as needed.
  focus(index) {
    index = Math.max(0, Math.min(this.count - 1, index));
    if (this.count === 0) return;
    const s = Math.floor(index / kSection);
    const section = this.sections[s];
    this.pending = index;
    const box = section.boxes?.[index - s * kSection];
    const top = this.#hostTop() + section.top + (box ? box.y : section.height * ((index % kSection) / kSection));
    const bottom = top + (box ? box.height + this.captionHeight : 200);
    const head = document.getElementById('bar').offsetHeight + 8;
    if (top < scrollY + head) scrollTo(0, top - head);
    else if (bottom > scrollY + innerHeight - 8) scrollTo(0, bottom - innerHeight + 8);
    this.update();
  }

  // Lays out again: after the page shows a grid that was hidden.
  refresh() { this.#resized(); }

  #geometry() {
    const width = this.width;
    const narrow = width < 560;
    return {width, gap: narrow ? 8 : 14, caption: this.captionHeight,
            target: narrow ? this.narrow : this.target};
  }

  #hostTop() { return this.host.getBoundingClientRect().top + scrollY; }

  #clear() {
    for (const tile of this.tiles.values()) tile.gone();
    for (const blank of this.blanks.values()) blank.remove();
    this.tiles.clear();
    this.blanks.clear();
    this.shown = 0;
  }

  // The total is known: makes the sections.
  #begin() {
    const source = this.source;
    this.width = this.host.clientWidth;
    const known = source.section(0) ?? [];
    if (known.length) this.mean = known.reduce((sum, item) => sum + aspect(item), 0) / known.length;
    const each = estimate(kSection, this.mean, this.#geometry());
    const most = Math.floor(kHighest / each);
    this.shown = Math.min(source.total, most * kSection);
    if (this.shown < source.total) this.oncut(this.shown);
    this.sections = Array.from({length: Math.ceil(this.shown / kSection)}, () => ({top: 0, height: 0, boxes: null}));
    this.#layoutAll();
    this.#place();
    if (this.first > 0) {
      const s = Math.min(this.sections.length - 1, Math.floor(this.first / kSection));
      const section = this.sections[s];
      if (section) scrollTo(0, this.#hostTop() + section.top + section.height * ((this.first % kSection) / kSection) - document.getElementById('bar').offsetHeight);
    }
    this.update();
  }

  #length(s) { return Math.min(kSection, this.shown - s * kSection); }

  #layout(s) {
    const items = this.width > 0 ? this.source.section(s) : null;
    const section = this.sections[s];
    const geometry = this.#geometry();
    const found = items && justify(items.slice(0, this.#length(s)), {...geometry, last: s === this.sections.length - 1});
    section.boxes = found ? found.boxes : null;
    section.height = found ? found.height : estimate(this.#length(s), this.mean, geometry);
  }

  #layoutAll() { for (let s = 0; s < this.sections.length; s += 1) this.#layout(s); }

  #place() {
    let top = 0;
    for (const section of this.sections) { section.top = top; top += section.height; }
    this.host.style.height = `${top}px`;
  }

  #arrived(s) {
    if (this.sections.length === 0) { this.#begin(); return; }
    if (!this.sections[s]) return;
    this.#keeping(() => this.#layout(s));
  }

  #resized() {
    const width = this.host.clientWidth;
    if (!this.source || width === 0) return;
    if (width !== this.width && this.sections.length) this.#keeping(() => { this.width = width; this.#layoutAll(); });
    else this.update();
  }

  // Makes a change of heights while the picture at the top of the viewport stays where it is.
  #keeping(change) {
    const before = scrollY - this.#hostTop();
    const s = before > 0 ? this.#sectionAt(before) : -1;
    let index = -1;
    let offset = 0;
    if (s >= 0) {
      const section = this.sections[s];
      const inside = before - section.top;
      index = section.boxes ? section.boxes.findIndex((box) => box.y + box.height > inside) : -1;
      offset = index >= 0 ? inside - section.boxes[index].y : inside / section.height;
    }
    change();
    this.#place();
    if (s >= 0) {
      const section = this.sections[s];
      const box = index >= 0 ? section.boxes?.[index] : null;
      const after = section.top + (box ? box.y + offset : Math.min(1, offset) * section.height);
      if (Math.abs(after - before) >= 1) scrollTo(0, this.#hostTop() + after);
    }
    this.update();
  }

  #sectionAt(y) {
    let low = 0;
    let high = this.sections.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.sections[middle].top <= y) low = middle; else high = middle - 1;
    }
    return low;
  }

  #soon() {
    if (!this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.update(); });
  }

  // Brings the DOM in line with the viewport. Cost: the pictures near the viewport, whatever the size of the collection.
  update() {
    if (!this.source || this.host.clientWidth === 0 || this.sections.length === 0) return;
    const top = scrollY - this.#hostTop();
    const fast = Math.abs(top - this.lastTop) > innerHeight;
    this.lastTop = top;
    const low = top - kOverscan;
    const high = top + innerHeight + kOverscan;
    const wanted = new Set();
    const blank = new Set();
    const needed = [];
    for (let s = this.#sectionAt(Math.max(0, low)); s < this.sections.length && this.sections[s].top < high; s += 1) {
      const section = this.sections[s];
      needed.push(s);
      if (!section.boxes) { blank.add(s); continue; }
      section.boxes.forEach((box, i) => {
        const y = section.top + box.y;
        if (y + box.height + this.captionHeight >= low && y <= high) wanted.add(s * kSection + i);
      });
    }
    this.source.want(needed);
    this.#drop(wanted, blank);
    for (const s of blank) this.#blank(s);
    for (const index of wanted) this.#tile(index, fast);
    this.#settle(wanted, top);
    if (fast) { clearTimeout(this.settling); this.settling = setTimeout(() => this.update(), 80); }
  }

  #drop(wanted, blank) {
    for (const [index, tile] of this.tiles) {
      if (wanted.has(index) || tile.tile.contains(document.activeElement)) continue;
      tile.gone();
      this.tiles.delete(index);
    }
    for (const [s, node] of this.blanks) if (!blank.has(s)) { node.remove(); this.blanks.delete(s); }
  }

  #blank(s) {
    let node = this.blanks.get(s);
    if (!node) {
      node = document.createElement('div');
      node.className = 'blank';
      this.blanks.set(s, node);
      this.host.append(node);
    }
    node.style.transform = `translateY(${this.sections[s].top}px)`;
    node.style.height = `${this.sections[s].height - this.#geometry().gap}px`;
  }

  #tile(index, fast) {
    const s = Math.floor(index / kSection);
    let tile = this.tiles.get(index);
    if (!tile) {
      const item = this.source.section(s)[index - s * kSection];
      tile = makeTile(item, {index, total: this.source.total, href: this.href(item)});
      this.tiles.set(index, tile);
      this.host.append(tile.tile);
    }
    const section = this.sections[s];
    const box = section.boxes[index - s * kSection];
    tile.move(box.x, section.top + box.y, box);
    if (!fast) tile.show();
  }

  // Decides which picture Tab reaches, and gives the keyboard to one that was waited for.
  #settle(wanted, top) {
    if (this.pending !== null && this.tiles.has(this.pending)) {
      const index = this.pending;
      this.pending = null;
      this.active = index;
      this.tiles.get(index).link.focus({preventScroll: true});
      this.focusRing = true;
    }
    let first = Infinity;
    for (const index of wanted) {
      const s = Math.floor(index / kSection);
      const box = this.sections[s].boxes[index - s * kSection];
      if (index < first && this.sections[s].top + box.y + box.height > top + 60) first = index;
    }
    if (first !== Infinity && top > -innerHeight) this.onfirst(top > 0 ? first : 0);
    if (!this.tiles.has(this.active)) this.active = first === Infinity ? 0 : first;
    for (const [index, tile] of this.tiles) tile.link.tabIndex = index === this.active ? 0 : -1;
  }

  #focused(event) {
    const tile = event.target.closest('.tile');
    if (!tile) return;
    this.tiles.get(this.active)?.link.setAttribute('tabindex', '-1');
    this.active = Number(tile.dataset.index);
    this.tiles.get(this.active)?.link.setAttribute('tabindex', '0');
  }

  #click(event) {
    const node = event.target.closest('.tile');
    if (!node) return;
    const {item} = this.tiles.get(Number(node.dataset.index));
    if (event.target.closest('.tile-info')) { this.ondetail(item); return; }
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;  // a link still: new tab, new window
    event.preventDefault();
    this.onopen(item);
  }

  #key(event) {
    if (event.metaKey || event.ctrlKey || event.altKey) return;
    const index = this.active;
    const to = {ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: this.count - 1}[event.key] ??
        (event.key === 'ArrowDown' ? this.#vertical(index, 1) : event.key === 'ArrowUp' ? this.#vertical(index, -1) : null);
    if (to !== null) { event.preventDefault(); this.focus(to); return; }
    if (event.key === 'i' || event.key === 'I') { event.preventDefault(); this.ondetail(this.tiles.get(index).item); }
  }

  // The picture above (-1) or below (1), nearest by its middle.
  #vertical(index, step) {
    const s = Math.floor(index / kSection);
    const from = this.sections[s].boxes?.[index - s * kSection];
    if (!from) return index;
    const middle = from.x + from.width / 2;
    const find = (boxes, y) => {
      let best = -1;
      let least = Infinity;
      boxes.forEach((box, i) => {
        const away = Math.abs(box.x + box.width / 2 - middle);
        if (box.y === y && away < least) { best = i; least = away; }
      });
      return best;
    };
    const rows = (boxes) => boxes.map((box) => box.y);
    const beyond = rows(this.sections[s].boxes).filter((y) => (step > 0 ? y > from.y : y < from.y));
    if (beyond.length) return s * kSection + find(this.sections[s].boxes, step > 0 ? Math.min(...beyond) : Math.max(...beyond));
    const next = this.sections[s + step];
    if (!next) return index;
    if (!next.boxes) return step > 0 ? (s + 1) * kSection : s * kSection - 1;
    const edge = step > 0 ? 0 : Math.max(...rows(next.boxes));
    return (s + step) * kSection + find(next.boxes, edge);
  }
}
